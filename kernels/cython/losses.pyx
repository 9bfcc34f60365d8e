"""Losses over a batch, each with its gradient in the same call, and label bookkeeping.

`sample_weight` (one per row) and `dscores` may be None. With `mean` a loss is divided by the total weight, otherwise it
is the sum. A total weight of zero gives NaN, as in PyTorch.
"""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport INFINITY, NAN, exp, fabs, log, log1p

from .arrays cimport columns, data, int64, is_single, rows
from .elementwise cimport exp_neg

cnp.import_array()


cdef inline double row_weight(const floating* sample_weight, Py_ssize_t i) noexcept nogil:
    return 1 if sample_weight == NULL else sample_weight[i]


cdef double mean_scale(const floating* sample_weight, Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    """Return 1 / (total weight of the rows times n), or NaN if that total is zero."""
    cdef Py_ssize_t i
    cdef double total = 0
    for i in range(m):
        total += row_weight(sample_weight, i)
    total *= n
    return 1 / total if total != 0 else NAN


cdef double cross_entropy_scale(
    const int64* targets, const floating* weight, const floating* sample_weight, int64 ignore_index, Py_ssize_t m
) noexcept nogil:
    cdef Py_ssize_t i
    cdef double total = 0
    for i in range(m):
        if targets[i] != ignore_index:
            total += row_weight(sample_weight, i) * (weight[targets[i]] if weight != NULL else 1)
    return 1 / total if total != 0 else NAN


cdef double cross_entropy_rows(
    const floating* logits, const int64* targets, const floating* weight, const floating* sample_weight,
    double smoothing, int64 ignore_index, bint mean, floating* dlogits, Py_ssize_t m, Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t i, c
    cdef int64 target
    cdef const floating* row
    cdef floating* gradient
    cdef floating largest, small
    cdef double normaliser, log_normaliser, nll, smooth_nll, class_weight, factor, loss = 0
    cdef double scale = cross_entropy_scale(targets, weight, sample_weight, ignore_index, m) if mean else 1
    cdef double spread = smoothing / n if n else 0  # what smoothing puts on every class
    cdef double all_weight = n  # sum of the class weights
    if weight != NULL:
        all_weight = 0
        for c in range(n):
            all_weight += weight[c]
    for i in range(m):
        target = targets[i]
        row = logits + i * n
        gradient = dlogits + i * n if dlogits != NULL else NULL
        if target == ignore_index:
            if gradient != NULL:
                for c in range(n):
                    gradient[c] = 0
            continue
        largest = <floating>-INFINITY
        for c in range(n):
            if row[c] > largest or row[c] != row[c]:
                largest = row[c]
        normaliser = 0
        if gradient != NULL:
            for c in range(n):
                gradient[c] = exp_neg(row[c] - largest)
            for c in range(n):
                normaliser += gradient[c]
        else:
            for c in range(n):
                normaliser += exp_neg(row[c] - largest)
        log_normaliser = log(normaliser)
        class_weight = weight[target] if weight != NULL else 1
        nll = (1 - smoothing) * class_weight * (log_normaliser - (row[target] - largest)) if smoothing < 1 else 0
        if smoothing > 0:
            smooth_nll = 0
            for c in range(n):
                smooth_nll += (weight[c] if weight != NULL else 1) * (log_normaliser - (row[c] - largest))
            nll += spread * smooth_nll
        factor = scale * row_weight(sample_weight, i)
        loss += factor * nll
        if gradient != NULL:
            small = <floating>(factor * ((1 - smoothing) * class_weight + spread * all_weight) / normaliser)
            for c in range(n):
                gradient[c] *= small
            if smoothing > 0:
                for c in range(n):
                    gradient[c] -= <floating>(factor * spread * (weight[c] if weight != NULL else 1))
            gradient[target] -= <floating>(factor * (1 - smoothing) * class_weight)
    return loss if scale == scale else NAN


def softmax_cross_entropy(
    cnp.ndarray logits, cnp.ndarray targets, cnp.ndarray weight, cnp.ndarray sample_weight, double label_smoothing,
    int64 ignore_index, bint mean, cnp.ndarray dlogits
):
    """Return the softmax cross-entropy of int64 `targets`; write its gradient to `dlogits`.

    Row i with label t costs (1 - e) w[t] nll[t] + e / C sum_c w[c] nll[c], e being the label smoothing;
    the mean divides by the sum of w[t] over the rows that are not ignored.
    """
    cdef Py_ssize_t m = rows(logits), n = columns(logits)
    cdef int64* ptargets = <int64*>data(targets)
    cdef void* plogits = data(logits)
    cdef void* pweight = data(weight)
    cdef void* psample = data(sample_weight)
    cdef void* pgradient = data(dlogits)
    cdef double loss
    if is_single(logits):
        with nogil:
            loss = cross_entropy_rows(
                <float*>plogits, ptargets, <float*>pweight, <float*>psample, label_smoothing, ignore_index, mean,
                <float*>pgradient, m, n
            )
    else:
        with nogil:
            loss = cross_entropy_rows(
                <double*>plogits, ptargets, <double*>pweight, <double*>psample, label_smoothing, ignore_index, mean,
                <double*>pgradient, m, n
            )
    return loss


cdef double hinge_rows(
    const floating* scores, const int64* targets, const floating* sample_weight, double margin, bint mean,
    floating* dscores, Py_ssize_t m, Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t i, c
    cdef const floating* row
    cdef floating excess
    cdef double factor, violated, cost, loss = 0
    cdef double scale = mean_scale(sample_weight, m, 1) if mean else 1
    for i in range(m):
        row = scores + i * n
        factor = scale * row_weight(sample_weight, i)
        cost = 0
        violated = 0
        for c in range(n):
            excess = row[c] - row[targets[i]] + <floating>margin
            if c == targets[i]:
                excess = 0
            if not excess <= 0:  # NaN counts in the loss
                cost += excess
            if excess > 0:
                violated += factor
            if dscores != NULL:
                dscores[i * n + c] = <floating>factor if excess > 0 else 0
        loss += factor * cost
        if dscores != NULL:
            dscores[i * n + targets[i]] = <floating>-violated
    return loss if scale == scale else NAN


def multiclass_hinge(
    cnp.ndarray scores, cnp.ndarray targets, cnp.ndarray sample_weight, double margin, bint mean, cnp.ndarray dscores
):
    """Return sum_{c != t} max(0, margin + s_c - s_t) over the batch; write its gradient to `dscores`."""
    cdef Py_ssize_t m = rows(scores), n = columns(scores)
    cdef int64* ptargets = <int64*>data(targets)
    cdef void* pscores = data(scores)
    cdef void* psample = data(sample_weight)
    cdef void* pgradient = data(dscores)
    cdef double loss
    if is_single(scores):
        with nogil:
            loss = hinge_rows(<float*>pscores, ptargets, <float*>psample, margin, mean, <float*>pgradient, m, n)
    else:
        with nogil:
            loss = hinge_rows(<double*>pscores, ptargets, <double*>psample, margin, mean, <double*>pgradient, m, n)
    return loss


cdef double mse_rows(
    const floating* prediction, const floating* target, const floating* sample_weight, bint mean, floating* gradient,
    Py_ssize_t m, Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef floating difference
    cdef double factor, cost, loss = 0
    cdef double scale = mean_scale(sample_weight, m, n) if mean else 1
    for i in range(m):
        factor = scale * row_weight(sample_weight, i)
        cost = 0
        for j in range(n):
            difference = prediction[i * n + j] - target[i * n + j]
            cost += <double>difference * difference
            if gradient != NULL:
                gradient[i * n + j] = <floating>(2 * factor * difference)
        loss += factor * cost
    return loss if scale == scale else NAN


def mse(cnp.ndarray prediction, cnp.ndarray target, cnp.ndarray sample_weight, bint mean, cnp.ndarray dprediction):
    """Return the mean (or summed) squared error over all elements of 2-D arrays; write its gradient."""
    cdef Py_ssize_t m = rows(prediction), n = columns(prediction)
    cdef void* pprediction = data(prediction)
    cdef void* ptarget = data(target)
    cdef void* psample = data(sample_weight)
    cdef void* pgradient = data(dprediction)
    cdef double loss
    if is_single(prediction):
        with nogil:
            loss = mse_rows(<float*>pprediction, <float*>ptarget, <float*>psample, mean, <float*>pgradient, m, n)
    else:
        with nogil:
            loss = mse_rows(<double*>pprediction, <double*>ptarget, <double*>psample, mean, <double*>pgradient, m, n)
    return loss


cdef double bce_rows(
    const floating* logits, const floating* targets, double pos_weight, const floating* sample_weight, bint mean,
    floating* gradient, Py_ssize_t m, Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double x, t, small, sigmoid_x, sigmoid_minus_x, factor, cost, loss = 0
    cdef double scale = mean_scale(sample_weight, m, n) if mean else 1
    for i in range(m):
        factor = scale * row_weight(sample_weight, i)
        cost = 0
        for j in range(n):
            x = logits[i * n + j]
            t = targets[i * n + j]
            small = exp(-fabs(x))
            # Two non-negative terms: subtracting would lose the small loss of a confident prediction.
            cost += pos_weight * t * ((-x if x < 0 else 0) + log1p(small))
            cost += (1 - t) * ((0 if x < 0 else x) + log1p(small))
            if gradient != NULL:
                sigmoid_minus_x = (1 if x < 0 else small) / (1 + small)
                sigmoid_x = (small if x < 0 else 1) / (1 + small)
                gradient[i * n + j] = <floating>(factor * ((1 - t) * sigmoid_x - pos_weight * t * sigmoid_minus_x))
        loss += factor * cost
    return loss if scale == scale else NAN


def bce_with_logits(
    cnp.ndarray logits, cnp.ndarray targets, pos_weight, cnp.ndarray sample_weight, bint mean, cnp.ndarray dlogits
):
    """Return the binary cross-entropy of 2-D `targets` in [0, 1] against logits; write its gradient.

    Per element: (1 - t) log(1 + exp(x)) + p t log(1 + exp(-x)), p being the positive class's weight (1 if None).
    """
    cdef Py_ssize_t m = rows(logits), n = columns(logits)
    cdef double p = 1 if pos_weight is None else pos_weight
    cdef void* plogits = data(logits)
    cdef void* ptargets = data(targets)
    cdef void* psample = data(sample_weight)
    cdef void* pgradient = data(dlogits)
    cdef double loss
    if is_single(logits):
        with nogil:
            loss = bce_rows(<float*>plogits, <float*>ptargets, p, <float*>psample, mean, <float*>pgradient, m, n)
    else:
        with nogil:
            loss = bce_rows(<double*>plogits, <double*>ptargets, p, <double*>psample, mean, <double*>pgradient, m, n)
    return loss


cdef Py_ssize_t correct_rows(
    const floating* scores, const int64* targets, int64 ignore_index, Py_ssize_t m, Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t i, c, best, correct = 0
    cdef const floating* row
    for i in range(m):
        row = scores + i * n
        best = 0
        for c in range(1, n):
            if row[c] > row[best] or (row[c] != row[c] and row[best] == row[best]):
                best = c
        correct += best == targets[i] and targets[i] != ignore_index
    return correct


def count_correct(cnp.ndarray scores, cnp.ndarray targets, int64 ignore_index):
    """Return how many rows have their largest score (the first of equals) at the target."""
    cdef Py_ssize_t m = rows(scores), n = columns(scores), correct
    cdef int64* ptargets = <int64*>data(targets)
    cdef void* pscores = data(scores)
    if is_single(scores):
        with nogil:
            correct = correct_rows(<float*>pscores, ptargets, ignore_index, m, n)
    else:
        with nogil:
            correct = correct_rows(<double*>pscores, ptargets, ignore_index, m, n)
    return correct


def first_bad_label(cnp.ndarray targets, int64 classes, int64 ignore_index):
    """Return the first row whose target is neither `ignore_index` nor in [0, classes), or -1."""
    cdef Py_ssize_t i
    cdef int64* ptargets = <int64*>data(targets)
    for i in range(rows(targets)):
        if not (0 <= ptargets[i] < classes or ptargets[i] == ignore_index):
            return i
    return -1

"""Losses over a batch, each with its gradient in the same call.

`sample_weight` (one per row) and `dscores` may be None. With `mean` a loss is divided by the total weight, otherwise it
is the sum. A row whose weight, or class weight, is zero is ignored, whatever its values: its gradient is zero. If all
rows are ignored, the loss is zero, not 0/0 as in PyTorch: a minibatch without weight then adds nothing to a step or to
a sum of losses.
"""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport expm1, log, pow

from .arrays cimport columns, data, int64, is_single, rows
from .calls cimport import_runtime, make
from .denormals cimport pn_float_mode, pn_flush_denormals, pn_restore_denormals
from .loss_rows cimport mean_scale, no_gradient, row_weight
from .reductions cimport row_largest, row_sum
from .row_exponentials cimport exponential_sum, row_exponentials

cnp.import_array()
import_runtime()


cdef enum:
    ROWS = 32  # whose exponentials are computed together
    SHORT = 128  # maximum length of such rows, which stay in the L1 cache


cdef double cross_entropy_scale(
    const int64* targets, const floating* weight, const floating* sample_weight, int64 ignore_index, Py_ssize_t m
) noexcept nogil:
    cdef Py_ssize_t i
    cdef double total = 0
    for i in range(m):
        if targets[i] != ignore_index:
            total += row_weight(sample_weight, i) * (weight[targets[i]] if weight != NULL else 1)
    return 1 / total if total != 0 else 0


cdef inline double focused(double nll, double gamma, double* weight) noexcept nogil:
    """Return weight (1 - p)^gamma nll, with nll = -log p; multiply the weight by the derivative of the rest."""
    cdef double focus, clipped, cost = weight[0] * nll
    if gamma == 0:
        return cost
    focus = pow(-expm1(-nll), gamma)
    clipped = min(max(nll, 1e-300), 700)  # p nll / (1 - p) = nll / expm1(nll) is 1 at 0, and 0 at infinity
    weight[0] *= focus * (1 + gamma * clipped / expm1(clipped))
    return focus * cost


cdef double cross_entropy_rows(
    const floating* logits, const int64* targets, const floating* weight, const floating* sample_weight,
    double smoothing, double gamma, int64 ignore_index, bint mean, floating* dlogits, Py_ssize_t m, Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t i, c, block = ROWS if n <= SHORT else 1
    cdef int64 target
    cdef const floating* row
    cdef floating* gradient = NULL
    cdef floating[ROWS] maxima
    cdef floating largest, small
    cdef double normalizer, log_normalizer, of_label, nll, smooth_nll, class_weight, factor, loss = 0
    cdef double scale = cross_entropy_scale(targets, weight, sample_weight, ignore_index, m) if mean else 1
    cdef double spread = smoothing / n if n else 0  # share of every class due to smoothing
    cdef double all_weight = n  # sum of the class weights
    if weight != NULL:
        all_weight = 0
        for c in range(n):
            all_weight += weight[c]
    for i in range(m):
        row = logits + i * n
        if dlogits != NULL:
            gradient = dlogits + i * n
            if i % block == 0:
                row_exponentials(row, gradient, maxima, min(block, m - i), n)
        target = targets[i]
        factor = 0 if target == ignore_index else scale * row_weight(sample_weight, i)
        class_weight = weight[target] if factor != 0 and weight != NULL else 1
        if factor == 0 or class_weight == 0:
            no_gradient(dlogits, i, n)
            continue
        if gradient != NULL:
            largest = maxima[i % block]
            normalizer = row_sum(gradient, n)
        else:
            largest = row_largest(row, n)
            normalizer = exponential_sum(row, largest, n)
        log_normalizer = log(normalizer)
        of_label = (1 - smoothing) * class_weight
        nll = 0
        if smoothing < 1:
            nll = focused(log_normalizer - (<double>row[target] - largest), gamma, &of_label)
        if smoothing > 0:
            smooth_nll = 0
            for c in range(n):
                smooth_nll += (weight[c] if weight != NULL else 1) * (log_normalizer - (<double>row[c] - largest))
            nll += spread * smooth_nll
        loss += factor * nll
        if gradient != NULL:
            small = <floating>(factor * (of_label + spread * all_weight) / normalizer)
            for c in range(n):
                gradient[c] *= small
            if smoothing > 0:
                for c in range(n):
                    gradient[c] -= <floating>(factor * spread * (weight[c] if weight != NULL else 1))
            gradient[target] -= <floating>(factor * of_label)
    return loss


cdef struct CrossEntropy:
    void* logits
    int64* targets
    void* weight
    void* sample_weight
    void* dlogits
    Py_ssize_t m
    Py_ssize_t n
    double smoothing
    double gamma
    int64 ignore_index
    bint mean
    bint single
    double loss


cdef int run_cross_entropy(void* argument) noexcept nogil:
    cdef CrossEntropy* c = <CrossEntropy*>argument
    cdef pn_float_mode mode = pn_flush_denormals()
    if c.single:
        c.loss = cross_entropy_rows(
            <float*>c.logits, c.targets, <float*>c.weight, <float*>c.sample_weight, c.smoothing, c.gamma,
            c.ignore_index, c.mean, <float*>c.dlogits, c.m, c.n
        )
    else:
        c.loss = cross_entropy_rows(
            <double*>c.logits, c.targets, <double*>c.weight, <double*>c.sample_weight, c.smoothing, c.gamma,
            c.ignore_index, c.mean, <double*>c.dlogits, c.m, c.n
        )
    pn_restore_denormals(mode)
    return 0


def softmax_cross_entropy(
    cnp.ndarray logits, cnp.ndarray targets, cnp.ndarray weight, cnp.ndarray sample_weight, double label_smoothing,
    double gamma, int64 ignore_index, bint mean, cnp.ndarray dlogits
):
    """Return the softmax cross-entropy of int64 `targets`; write its gradient to `dlogits`.

    Row i with label t costs (1 - e) w[t] nll[t] + e / C sum_c w[c] nll[c], with e the label smoothing;
    the mean divides by the sum of w[t] over the rows that are not ignored. With p the probability of t, the first term
    is multiplied by (1 - p)^gamma, as in the focal loss.
    """
    cdef CrossEntropy call = CrossEntropy(
        data(logits), <int64*>data(targets), data(weight), data(sample_weight), data(dlogits), rows(logits),
        columns(logits), label_smoothing, gamma, ignore_index, mean, is_single(logits), 0
    )
    make(
        run_cross_entropy, &call, sizeof(call), 4, (logits, targets, weight, sample_weight, dlogits), &call.loss
    )
    return call.loss


cdef double nll_rows(
    const floating* log_probs, const int64* targets, const floating* weight, const floating* sample_weight,
    int64 ignore_index, bint mean, floating* gradient, Py_ssize_t m, Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t i
    cdef double factor, loss = 0
    cdef double scale = cross_entropy_scale(targets, weight, sample_weight, ignore_index, m) if mean else 1
    for i in range(m):
        no_gradient(gradient, i, n)
        if targets[i] == ignore_index:
            continue
        factor = scale * row_weight(sample_weight, i) * (weight[targets[i]] if weight != NULL else 1)
        if factor == 0:
            continue
        loss -= factor * log_probs[i * n + targets[i]]
        if gradient != NULL:
            gradient[i * n + targets[i]] = <floating>-factor
    return loss


cdef int run_nll(void* argument) noexcept nogil:
    cdef CrossEntropy* c = <CrossEntropy*>argument
    if c.single:
        c.loss = nll_rows(
            <float*>c.logits, c.targets, <float*>c.weight, <float*>c.sample_weight, c.ignore_index, c.mean,
            <float*>c.dlogits, c.m, c.n
        )
    else:
        c.loss = nll_rows(
            <double*>c.logits, c.targets, <double*>c.weight, <double*>c.sample_weight, c.ignore_index, c.mean,
            <double*>c.dlogits, c.m, c.n
        )
    return 0


def nll(
    cnp.ndarray log_probs, cnp.ndarray targets, cnp.ndarray weight, cnp.ndarray sample_weight, int64 ignore_index,
    bint mean, cnp.ndarray dlog_probs
):
    """Return minus the weighted sum, or mean, of the log-probabilities of the targets; write its gradient.

    The mean divides by the sum of the class weights w[t] over the rows that are not ignored.
    """
    cdef CrossEntropy call = CrossEntropy(
        data(log_probs), <int64*>data(targets), data(weight), data(sample_weight), data(dlog_probs), rows(log_probs),
        columns(log_probs), 0, 0, ignore_index, mean, is_single(log_probs), 0
    )
    make(run_nll, &call, sizeof(call), 4, (log_probs, targets, weight, sample_weight, dlog_probs), &call.loss)
    return call.loss


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
        if factor == 0:
            no_gradient(dscores, i, n)
            continue
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
    return loss


cdef struct Hinge:
    void* scores
    int64* targets
    void* sample_weight
    void* dscores
    Py_ssize_t m
    Py_ssize_t n
    double margin
    bint mean
    bint single
    double loss


cdef int run_hinge(void* argument) noexcept nogil:
    cdef Hinge* c = <Hinge*>argument
    if c.single:
        c.loss = hinge_rows(
            <float*>c.scores, c.targets, <float*>c.sample_weight, c.margin, c.mean, <float*>c.dscores, c.m, c.n
        )
    else:
        c.loss = hinge_rows(
            <double*>c.scores, c.targets, <double*>c.sample_weight, c.margin, c.mean, <double*>c.dscores, c.m, c.n
        )
    return 0


def multiclass_hinge(
    cnp.ndarray scores, cnp.ndarray targets, cnp.ndarray sample_weight, double margin, bint mean, cnp.ndarray dscores
):
    """Return sum_{c != t} max(0, margin + s_c - s_t) over the batch; write its gradient to `dscores`."""
    cdef Hinge call = Hinge(
        data(scores), <int64*>data(targets), data(sample_weight), data(dscores), rows(scores), columns(scores),
        margin, mean, is_single(scores), 0
    )
    make(run_hinge, &call, sizeof(call), 3, (scores, targets, sample_weight, dscores), &call.loss)
    return call.loss

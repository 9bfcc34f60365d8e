"""Losses of elements, of predictions and targets of the same shape, each with its gradient in the same call.

As in `losses`: `sample_weight` (one per row) and the gradient may be None, and rows of weight zero are ignored.
"""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport INFINITY, exp, fabs, log

from .arrays cimport columns, data, is_single, rows, size
from .calls cimport import_runtime, make
from .elementwise cimport PN_SIGMOID, PN_SOFTPLUS, map_forward
from .loss_rows cimport mean_scale, no_gradient, row_weight
from .reductions cimport row_sum

cnp.import_array()
import_runtime()

cdef enum:  # as in codes.py
    SMOOTH_L1
    HUBER
    QUANTILE
    POISSON_LOG
    POISSON
    POISSON_LOG_FULL
    POISSON_FULL
    KL
    KL_LOG

cdef enum:
    CHUNK = 256  # elements whose costs and slopes are kept on the stack

cdef double TAU = 6.283185307179586476925286766559


cdef struct Paired:  # a loss of a prediction and a target of the same shape
    void* prediction
    void* target
    void* sample_weight
    void* gradient
    Py_ssize_t m
    Py_ssize_t n
    bint cross_entropy  # of logits; else the squared error
    double pos_weight
    double steepness  # what slopes are multiplied by
    bint mean
    bint single
    double loss


cdef void square_elements(
    const floating* prediction, const floating* target, Py_ssize_t count, double* cost, floating* slope
) noexcept nogil:
    """Write squared errors, and half of their derivatives by the prediction."""
    cdef Py_ssize_t e
    for e in range(count):
        slope[e] = prediction[e] - target[e]
        cost[e] = <double>slope[e] * slope[e]


cdef void bce_elements(
    const floating* logits, const floating* targets, floating pos_weight, Py_ssize_t count, double* cost,
    floating* slope
) noexcept nogil:
    """Write cross-entropies, and their derivatives by the logits."""
    cdef Py_ssize_t e
    cdef floating x, t, less, more
    cdef floating away[CHUNK]
    cdef floating small[CHUNK]
    for e in range(count):
        away[e] = -logits[e] if logits[e] > 0 else logits[e]
    map_forward(away, small, count, PN_SOFTPLUS, <floating>1)
    for e in range(count):
        x, t = logits[e], targets[e]
        # Two non-negative terms: subtracting would lose the small loss of a confident prediction.
        cost[e] = pos_weight * t * ((-x if x < 0 else 0) + small[e]) + (1 - t) * ((0 if x < 0 else x) + small[e])
    map_forward(away, small, count, PN_SIGMOID, <floating>0)
    for e in range(count):
        x, t = logits[e], targets[e]
        less, more = small[e], 1 - small[e]  # sigmoids of -|x| and |x|
        slope[e] = (1 - t) * (less if x < 0 else more) - pos_weight * t * (more if x < 0 else less)


cdef double paired_rows(
    const Paired* c, const floating* prediction, const floating* target, const floating* sample_weight,
    floating* gradient
) noexcept nogil:
    """Compute costs and slopes of CHUNK elements at a time, of any rows; weigh and sum them."""
    cdef Py_ssize_t elements = c.m * c.n, row = -1, left = 0, chunk, first, count, at, stop, e
    cdef Py_ssize_t n = elements if sample_weight == NULL else c.n  # of equal weight
    cdef double scale = mean_scale(sample_weight, c.m, c.n) if c.mean else 1
    cdef double factor = 0, loss = 0
    cdef double cost[CHUNK]
    cdef floating slope[CHUNK]
    for chunk in range((elements + CHUNK - 1) // CHUNK):
        first = chunk * CHUNK
        count = min(elements - first, <Py_ssize_t>CHUNK)
        if c.cross_entropy:
            bce_elements(prediction + first, target + first, <floating>c.pos_weight, count, cost, slope)
        else:
            square_elements(prediction + first, target + first, count, cost, slope)
        at = 0
        while at < count:
            if left == 0:
                row, left = row + 1, n
                factor = scale * row_weight(sample_weight, row)
            stop = min(at + left, count)
            if factor != 0:
                loss += factor * row_sum(cost + at, stop - at)
            if gradient != NULL:
                for e in range(at, stop):
                    gradient[first + e] = <floating>(c.steepness * factor * slope[e] if factor != 0 else 0.0)
            left, at = left - (stop - at), stop
    return loss


cdef int run_paired(void* argument) noexcept nogil:
    cdef Paired* c = <Paired*>argument
    if c.single:
        c.loss = paired_rows(
            c, <float*>c.prediction, <float*>c.target, <float*>c.sample_weight, <float*>c.gradient
        )
    else:
        c.loss = paired_rows(
            c, <double*>c.prediction, <double*>c.target, <double*>c.sample_weight, <double*>c.gradient
        )
    return 0


def mse(cnp.ndarray prediction, cnp.ndarray target, cnp.ndarray sample_weight, bint mean, cnp.ndarray dprediction):
    """Return the mean (or summed) squared error over all elements of 2-D arrays; write its gradient."""
    cdef Paired call = Paired(
        data(prediction), data(target), data(sample_weight), data(dprediction), rows(prediction), columns(prediction),
        False, 1, 2, mean, is_single(prediction), 0
    )
    make(run_paired, &call, sizeof(call), 3, (prediction, target, sample_weight, dprediction), &call.loss)
    return call.loss


def bce_with_logits(
    cnp.ndarray logits, cnp.ndarray targets, pos_weight, cnp.ndarray sample_weight, bint mean, cnp.ndarray dlogits
):
    """Return the binary cross-entropy of 2-D `targets` in [0, 1] against logits; write its gradient.

    Per element: (1 - t) log(1 + exp(x)) + p t log(1 + exp(-x)), with p the positive class's weight (1 if None).
    """
    cdef Paired call = Paired(
        data(logits), data(targets), data(sample_weight), data(dlogits), rows(logits), columns(logits),
        True, 1 if pos_weight is None else pos_weight, 1, mean, is_single(logits), 0
    )
    make(run_paired, &call, sizeof(call), 3, (logits, targets, sample_weight, dlogits), &call.loss)
    return call.loss


cdef void rounded_elements(
    const floating* x, const floating* t, const double* width, bint scaled, Py_ssize_t count, double* cost,
    double* slope
) noexcept nogil:
    """Write |x - t| with a parabola for a tip of this half width, and the derivative; times the width if `scaled`."""
    cdef Py_ssize_t e
    cdef double d, ratio, height
    for e in range(count):
        d = <double>x[e] - t[e]
        ratio = 1 if d > 0 else d  # NaN stays
        ratio = -1 if d < 0 else ratio
        ratio = d / width[e] if fabs(d) < width[e] else ratio
        height = width[e] if scaled else 1
        slope[e] = ratio * height
        cost[e] = ratio * (d - ratio * width[e] / 2) * height


cdef void quantile_elements(
    const floating* x, const floating* t, const double* q, Py_ssize_t count, double* cost, double* slope
) noexcept nogil:
    cdef Py_ssize_t e
    cdef double d, rate
    for e in range(count):
        d = <double>x[e] - t[e]
        rate = 1 - q[e] if d > 0 else -q[e]
        cost[e] = rate * d
        slope[e] = d if (d == 0) | (d != d) else rate  # `or` is a branch


cdef inline double poisson(int code, double x, double t, double eps, double* slope) noexcept nogil:
    cdef double rate, constant = 0
    if code >= POISSON_LOG_FULL and t > 1:
        constant = t * log(t) - t + log(TAU * t) / 2
    if code == POISSON_LOG or code == POISSON_LOG_FULL:
        rate = exp(x)
        slope[0] = rate - t
        return rate - t * x + constant
    slope[0] = 1 - t / (x + eps)
    return x - t * log(x + eps) + constant


cdef inline double divergence(double x, double p, double log_p, double* slope) noexcept nogil:
    cdef double cost = 0 if p == 0 else p * log_p
    slope[0] = x if x != x else -p
    if p == 0 and x == -INFINITY:
        return cost
    return cost - p * x


cdef inline double cost_of(int code, double x, double t, double parameter, double* slope) noexcept nogil:
    """Return the loss of an element; write its derivative by the prediction x."""
    if code == KL:
        return divergence(x, t, log(t), slope)
    if code == KL_LOG:
        return divergence(x, exp(t), t, slope)
    return poisson(code, x, t, parameter, slope)


cdef void pointwise_elements(
    int code, const floating* x, const floating* t, const double* parameter, Py_ssize_t count, double* cost,
    double* slope
) noexcept nogil:
    """Write losses of elements, at most CHUNK, and their derivatives by the predictions x."""
    cdef Py_ssize_t e
    if code == SMOOTH_L1 or code == HUBER:
        rounded_elements(x, t, parameter, code == HUBER, count, cost, slope)
    elif code == QUANTILE:
        quantile_elements(x, t, parameter, count, cost, slope)
    else:
        for e in range(count):
            cost[e] = cost_of(code, x[e], t[e], parameter[e], slope + e)


cdef struct Pointwise:
    void* prediction
    void* target
    double* parameters
    void* sample_weight
    void* gradient
    Py_ssize_t m
    Py_ssize_t n
    Py_ssize_t step  # from one column's parameter to the next: 0 if there is only one
    Py_ssize_t per_row
    int code
    bint single
    double loss


cdef double pointwise_rows(
    const Pointwise* c, const floating* prediction, const floating* target, const floating* sample_weight,
    floating* gradient
) noexcept nogil:
    """Compute losses and slopes of CHUNK elements of equal weight at a time; weigh and sum them."""
    cdef Py_ssize_t m = c.m, n = c.n, i, e, at, count
    cdef double scale = mean_scale(sample_weight, c.m, c.per_row) if c.per_row else 1
    cdef double factor, loss = 0
    cdef double parameter[CHUNK]
    cdef double cost[CHUNK]
    cdef double slope[CHUNK]
    if sample_weight == NULL and c.step == 0:
        m, n = 1, m * n
    for i in range(m):
        factor = scale * row_weight(sample_weight, i)
        if factor == 0:
            no_gradient(gradient, i, n)
            continue
        at = 0
        while at < n:
            count = min(n - at, <Py_ssize_t>CHUNK)
            for e in range(count):
                parameter[e] = c.parameters[(at + e) * c.step]
            pointwise_elements(
                c.code, prediction + i * n + at, target + i * n + at, parameter, count, cost, slope
            )
            loss += factor * row_sum(cost, count)
            if gradient != NULL:
                for e in range(count):
                    gradient[i * n + at + e] = <floating>(factor * slope[e])
            at += count
    return loss


cdef int run_pointwise(void* argument) noexcept nogil:
    cdef Pointwise* c = <Pointwise*>argument
    if c.single:
        c.loss = pointwise_rows(
            c, <float*>c.prediction, <float*>c.target, <float*>c.sample_weight, <float*>c.gradient
        )
    else:
        c.loss = pointwise_rows(
            c, <double*>c.prediction, <double*>c.target, <double*>c.sample_weight, <double*>c.gradient
        )
    return 0


def pointwise_loss(
    cnp.ndarray prediction, cnp.ndarray target, int code, cnp.ndarray parameters, cnp.ndarray sample_weight,
    Py_ssize_t per_row, cnp.ndarray dprediction
):
    """Return the sum of a loss over all elements of 2-D arrays, weighted; write its gradient to `dprediction`.

    `code` is a `LossCode`, `parameters` its float64 parameter: one (1,), or one for each column. The sum is divided by
    the total weight times `per_row`, unless `per_row` is zero. All arithmetic is in float64.
    """
    cdef Pointwise call = Pointwise(
        data(prediction), data(target), <double*>data(parameters), data(sample_weight), data(dprediction),
        rows(prediction), columns(prediction), size(parameters) > 1, per_row, code, is_single(prediction), 0
    )
    make(
        run_pointwise, &call, sizeof(call), 4, (prediction, target, parameters, sample_weight, dprediction), &call.loss
    )
    return call.loss

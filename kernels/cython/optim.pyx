"""Optimiser updates over a flat parameter buffer, and other passes over parameters or gradients.

`bounds` is int64 (segments, 2): start and stop of each segment that is updated; `rates` is float64 (segments, 2): its
learning rate and weight decay. Gradients are multiplied by `grad_scale` first (1, or less where the norm is clipped).
`stats`, unless None, is float64 (segments, 3) and receives the sums of squares of parameter (before the update),
scaled gradient (without weight decay) and update. `momentum` and Adam's `beta1` are float64 (1,), like `step` arrays
because recorded updates read them again.
"""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport INFINITY, fabs, sqrt

from .arrays cimport columns, data, int64, is_single, rows, size
from .calls cimport import_runtime, make

cnp.import_array()
import_runtime()

cdef extern from "optim/optim.h" nogil:
    enum:
        PN_SGD_PLAIN
        PN_SGD_MOMENTUM
        PN_SGD_NESTEROV
        PN_ADAGRAD
        PN_RMSPROP
        PN_RMSPROP_MOMENTUM
        PN_ADAM
    ctypedef struct pn_update_call:
        void* param
        const void* grad
        void* first
        void* second
        const int64* step
        const double* momentum
        const int64* bounds
        const double* rates
        double* stats
        double* sums
        Py_ssize_t segments
        int rule
        int decoupled
        int single
        double grad_scale
        double eps
        double decay1
        double decay2
    enum:
        PN_UPDATE_BLOCK
    int pn_update(void* call) noexcept

cdef extern from "stats/stats.h" nogil:
    double pn_square_sum_f32(const float* x, Py_ssize_t n)
    double pn_square_sum_f64(const double* x, Py_ssize_t n)


cdef pn_update_call settings(int rule, double grad_scale, double eps) noexcept:
    """Return a call with these settings; all others have no effect."""
    cdef pn_update_call call
    call.rule, call.grad_scale, call.eps, call.decoupled = rule, grad_scale, eps, False
    call.decay1 = call.decay2 = 0
    return call


cdef cnp.ndarray sums_of_blocks(cnp.ndarray bounds):
    """Return an uninitialised array for three sums of each block of each segment."""
    cdef int64* bound = <int64*>data(bounds)
    cdef cnp.npy_intp length = 0
    cdef Py_ssize_t segment
    for segment in range(rows(bounds)):
        length += 3 * ((bound[2 * segment + 1] - bound[2 * segment] + PN_UPDATE_BLOCK - 1) // PN_UPDATE_BLOCK)
    return cnp.PyArray_SimpleNew(1, &length, cnp.NPY_DOUBLE)


cdef int update(
    pn_update_call* call, cnp.ndarray param, cnp.ndarray grad, cnp.ndarray first, cnp.ndarray second,
    cnp.ndarray step, cnp.ndarray momentum, cnp.ndarray bounds, cnp.ndarray rates, cnp.ndarray stats
) except -1:
    cdef cnp.ndarray sums = None if stats is None else sums_of_blocks(bounds)
    cdef tuple arrays = (param, grad, first, second, step, momentum, bounds, rates, stats, sums)
    call.param, call.grad, call.first, call.second = data(param), data(grad), data(first), data(second)
    call.step, call.bounds, call.rates = <int64*>data(step), <int64*>data(bounds), <double*>data(rates)
    call.momentum, call.stats, call.sums = <double*>data(momentum), <double*>data(stats), <double*>data(sums)
    call.segments, call.single = rows(bounds), is_single(param)
    make(pn_update, call, sizeof(pn_update_call), 8, arrays)
    return 0


def sgd(
    cnp.ndarray param, cnp.ndarray grad, cnp.ndarray velocity, cnp.ndarray bounds, cnp.ndarray rates,
    cnp.ndarray momentum, bint nesterov, double grad_scale, cnp.ndarray stats
):
    """Update by v = momentum v + g; w -= lr v, or lr (g + momentum v) (Nesterov); no `velocity` without momentum."""
    cdef int rule = PN_SGD_PLAIN if velocity is None else (PN_SGD_NESTEROV if nesterov else PN_SGD_MOMENTUM)
    cdef pn_update_call call = settings(rule, grad_scale, 0)
    update(&call, param, grad, velocity, None, None, momentum, bounds, rates, stats)


def adagrad(
    cnp.ndarray param, cnp.ndarray grad, cnp.ndarray square_sum, cnp.ndarray bounds, cnp.ndarray rates, double eps,
    double grad_scale, cnp.ndarray stats
):
    """Update by s += g^2; w -= lr g / (sqrt(s) + eps)."""
    cdef pn_update_call call = settings(PN_ADAGRAD, grad_scale, eps)
    update(&call, param, grad, square_sum, None, None, None, bounds, rates, stats)


def rmsprop(
    cnp.ndarray param, cnp.ndarray grad, cnp.ndarray square_avg, cnp.ndarray velocity, cnp.ndarray bounds,
    cnp.ndarray rates, double alpha, cnp.ndarray momentum, double eps, double grad_scale, cnp.ndarray stats
):
    """Update by s = alpha s + (1 - alpha) g^2; step = g / (sqrt(s) + eps); with momentum v = momentum v + step."""
    cdef pn_update_call call = settings(PN_RMSPROP if velocity is None else PN_RMSPROP_MOMENTUM, grad_scale, eps)
    call.decay1 = alpha
    update(&call, param, grad, square_avg, velocity, None, momentum, bounds, rates, stats)


def adam(
    cnp.ndarray param, cnp.ndarray grad, cnp.ndarray exp_avg, cnp.ndarray exp_avg_sq, cnp.ndarray bounds,
    cnp.ndarray rates, cnp.ndarray beta1, double beta2, double eps, cnp.ndarray step, bint decoupled,
    double grad_scale, cnp.ndarray stats
):
    """Update by Adam (Kingma & Ba 2015); `decoupled` decay makes it AdamW (Loshchilov 2019).

    `step`, int64 (1,), counts from 1.
    """
    cdef pn_update_call call = settings(PN_ADAM, grad_scale, eps)
    call.decay2, call.decoupled = beta2, decoupled
    update(&call, param, grad, exp_avg, exp_avg_sq, step, beta1, bounds, rates, stats)


cdef inline double square_sum_of(const floating* x, Py_ssize_t n) noexcept nogil:
    if floating is float:
        return pn_square_sum_f32(x, n)
    else:
        return pn_square_sum_f64(x, n)


def sum_of_squares(cnp.ndarray x):
    """Return the sum of squares, accumulated in float64."""
    cdef Py_ssize_t n = size(x)
    cdef void* px = data(x)
    cdef bint single = is_single(x)
    cdef double total
    with nogil:
        total = square_sum_of(<float*>px, n) if single else square_sum_of(<double*>px, n)
    return total


cdef void clip_span(floating* x, Py_ssize_t n, floating limit) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        x[i] = limit if x[i] > limit else (-limit if x[i] < -limit else x[i])


def clip_values(cnp.ndarray x, double limit):
    """Clip `x` in place to [-limit, limit]."""
    cdef Py_ssize_t n = size(x)
    cdef void* px = data(x)
    if is_single(x):
        with nogil:
            clip_span(<float*>px, n, <float>limit)
    else:
        with nogil:
            clip_span(<double*>px, n, limit)


cdef double penalize(floating* w, floating* g, Py_ssize_t n, double l1, double l2) noexcept nogil:
    cdef Py_ssize_t i
    cdef double absolute = 0
    cdef floating one = <floating>l1, two = <floating>l2
    if l1 == 0:  # without the signs, whose branches take most of the time
        for i in range(n):
            g[i] += two * w[i]
    else:
        for i in range(n):
            absolute += fabs(w[i])
            g[i] += (one if w[i] > 0 else (-one if w[i] < 0 else one * w[i])) + two * w[i]
    return l1 * absolute + 0.5 * l2 * square_sum_of(w, n)


def add_penalty(cnp.ndarray param, cnp.ndarray grad, cnp.ndarray bounds, double l1, double l2):
    """Add l1 sign(w) + l2 w to the gradient of each segment; return the sum of l1 |w| + l2 w^2 / 2."""
    cdef Py_ssize_t segment, segments = rows(bounds)
    cdef int64* bound = <int64*>data(bounds)
    cdef int64 start, n
    cdef void* p = data(param)
    cdef void* g = data(grad)
    cdef bint single = is_single(param)
    cdef double penalty = 0
    with nogil:
        for segment in range(segments):
            start = bound[2 * segment]
            n = bound[2 * segment + 1] - start
            if single:
                penalty += penalize(<float*>p + start, <float*>g + start, n, l1, l2)
            else:
                penalty += penalize(<double*>p + start, <double*>g + start, n, l1, l2)
    return penalty


cdef void clip_columns(floating* w, Py_ssize_t m, Py_ssize_t n, double limit) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double total, norm, largest
    cdef floating scale
    for j in range(n):
        total = 0
        for i in range(m):
            total += <double>w[i * n + j] * w[i * n + j]
        norm = sqrt(total)
        if norm == INFINITY:  # squares overflow from 1e154 on
            largest = total = 0
            for i in range(m):
                largest = max(largest, fabs(w[i * n + j]))
            for i in range(m):
                total += (w[i * n + j] / largest) * (w[i * n + j] / largest)
            norm = sqrt(total) * largest if largest < INFINITY else INFINITY
        if not norm <= limit:
            scale = <floating>(limit / norm)
            for i in range(m):
                w[i * n + j] *= scale


def clip_column_norms(cnp.ndarray w, double limit):
    """Scale every column of the 2-D `w` whose Euclidean norm exceeds `limit` down to `limit`, in place."""
    cdef Py_ssize_t m = rows(w), n = columns(w)
    cdef void* pw = data(w)
    if is_single(w):
        with nogil:
            clip_columns(<float*>pw, m, n, limit)
    else:
        with nogil:
            clip_columns(<double*>pw, m, n, limit)

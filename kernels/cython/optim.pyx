"""Optimiser updates over a flat parameter buffer, and what else walks over parameters or gradients.

`bounds` is int64 (segments, 2): start and stop of each segment that is updated; `rates` is float64 (segments, 2): its
learning rate and weight decay. Gradients are multiplied by `grad_scale` first (1, or less where the norm is clipped).
`stats`, unless None, is float64 (segments, 3) and receives the sums of squares of parameter (before the update),
scaled gradient (without weight decay) and update.
"""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport fabs, sqrt, sqrtf

from .arrays cimport columns, data, int64, is_single, rows, size

cnp.import_array()

cdef extern from "platform.h" nogil:
    ctypedef int pn_float_mode
    pn_float_mode pn_flush_denormals()
    void pn_restore_denormals(pn_float_mode)

cdef enum:
    BLOCK = 512  # elements per block: gradient and update of a block stay in L1 between the rule and its statistics
    LANES = 16  # partial sums, so that the compiler can add in vectors without reordering a sum

ctypedef enum Rule:
    SGD, ADAGRAD, RMSPROP, ADAM


cdef struct Settings:
    Rule rule
    double grad_scale
    double momentum  # SGD, RMSprop
    bint nesterov  # SGD
    double eps  # all but SGD
    double decay1  # RMSprop's alpha, Adam's beta1
    double decay2  # Adam's beta2
    double correction1  # Adam: 1 - beta1^step
    double correction2  # Adam: sqrt(1 - beta2^step)
    bint decoupled  # AdamW


cdef inline floating root_of(floating x) noexcept nogil:
    if floating is float:
        return sqrtf(x)
    else:
        return sqrt(x)


cdef double square_sum_of(const floating* x, Py_ssize_t n) noexcept nogil:
    cdef double part[LANES]
    cdef double total = 0
    cdef Py_ssize_t i, lane, block, whole = n - n % LANES
    for lane in range(LANES):
        part[lane] = 0
    for block in range((whole + LANES - 1) // LANES):
        i = block * LANES
        for lane in range(LANES):
            part[lane] += <double>x[i + lane] * <double>x[i + lane]
    for i in range(whole, n):
        total += <double>x[i] * <double>x[i]
    for lane in range(LANES):
        total += part[lane]
    return total


cdef inline void update_of(
    floating* g, floating* first, floating* second, Py_ssize_t n, floating lr, Settings* s
) noexcept nogil:
    """Turn the gradient `g` of a block into the update to subtract; `first` and `second` are the rule's state."""
    cdef Py_ssize_t i
    cdef floating momentum = <floating>s.momentum, eps = <floating>s.eps
    cdef floating keep1 = <floating>s.decay1, keep2 = <floating>s.decay2
    cdef floating new1 = <floating>(1 - s.decay1), new2 = <floating>(1 - s.decay2)
    cdef floating rate = lr, root = 1
    if s.rule == SGD:
        if first == NULL:
            for i in range(n):
                g[i] = lr * g[i]
        elif s.nesterov:
            for i in range(n):
                first[i] = momentum * first[i] + g[i]
                g[i] = lr * (g[i] + momentum * first[i])
        else:
            for i in range(n):
                first[i] = momentum * first[i] + g[i]
                g[i] = lr * first[i]
    elif s.rule == ADAGRAD:
        for i in range(n):
            first[i] += g[i] * g[i]
            g[i] = lr * g[i] / (root_of(first[i]) + eps)
    elif s.rule == RMSPROP:
        for i in range(n):
            first[i] = keep1 * first[i] + new1 * g[i] * g[i]
            g[i] = g[i] / (root_of(first[i]) + eps)
        if second != NULL:
            for i in range(n):
                second[i] = momentum * second[i] + g[i]
                g[i] = second[i]
        for i in range(n):
            g[i] = lr * g[i]
    else:
        rate = <floating>(lr / s.correction1)
        root = <floating>(1 / s.correction2)
        for i in range(n):
            first[i] += new1 * (g[i] - first[i])
            second[i] = keep2 * second[i] + new2 * g[i] * g[i]
            g[i] = rate * first[i] / (root_of(second[i]) * root + eps)


cdef void update_segment(
    floating* param, const floating* grad, floating* first, floating* second, Py_ssize_t start, Py_ssize_t stop,
    double lr, double decay, Settings* s, double* stats
) noexcept nogil:
    cdef floating work[BLOCK]
    cdef floating scale = <floating>s.grad_scale, coupled = <floating>decay, shrink = 0
    cdef Py_ssize_t i, n, at, block
    cdef floating* w
    if s.decoupled:
        shrink = <floating>(lr * decay)
        coupled = 0
    if stats != NULL:
        stats[0] = square_sum_of(param + start, stop - start)
        stats[1] = s.grad_scale * s.grad_scale * square_sum_of(grad + start, stop - start)
        stats[2] = 0
    for block in range(((stop - start) + BLOCK - 1) // BLOCK):
        at = start + block * BLOCK
        n = min(stop - at, <Py_ssize_t>BLOCK)
        w = param + at
        for i in range(n):
            work[i] = scale * grad[at + i]
        if coupled != 0:
            for i in range(n):
                work[i] += coupled * w[i]
        update_of(
            work, first + at if first != NULL else NULL, second + at if second != NULL else NULL, n, <floating>lr, s
        )
        if shrink != 0:
            for i in range(n):
                work[i] += shrink * w[i]
        for i in range(n):
            w[i] -= work[i]
        if stats != NULL:
            stats[2] += square_sum_of(work, n)


cdef update(
    cnp.ndarray param, cnp.ndarray grad, cnp.ndarray first, cnp.ndarray second, cnp.ndarray bounds, cnp.ndarray rates,
    Settings* settings, cnp.ndarray stats
):
    cdef Py_ssize_t segment, segments = rows(bounds)
    cdef int64* bound = <int64*>data(bounds)
    cdef double* rate = <double*>data(rates)
    cdef double* watched = <double*>data(stats)
    cdef void* p = data(param)
    cdef void* g = data(grad)
    cdef void* a = data(first)
    cdef void* b = data(second)
    cdef bint single = is_single(param)
    cdef pn_float_mode mode
    with nogil:
        mode = pn_flush_denormals()
        for segment in range(segments):
            if single:
                update_segment(
                    <float*>p, <float*>g, <float*>a, <float*>b, bound[2 * segment], bound[2 * segment + 1],
                    rate[2 * segment], rate[2 * segment + 1], settings,
                    watched + 3 * segment if watched != NULL else NULL
                )
            else:
                update_segment(
                    <double*>p, <double*>g, <double*>a, <double*>b, bound[2 * segment], bound[2 * segment + 1],
                    rate[2 * segment], rate[2 * segment + 1], settings,
                    watched + 3 * segment if watched != NULL else NULL
                )
        pn_restore_denormals(mode)


def sgd(
    cnp.ndarray param, cnp.ndarray grad, cnp.ndarray velocity, cnp.ndarray bounds, cnp.ndarray rates, double momentum,
    bint nesterov, double grad_scale, cnp.ndarray stats
):
    """Update by v = momentum v + g; w -= lr v, or lr (g + momentum v) (Nesterov); no `velocity` without momentum."""
    cdef Settings settings = Settings(SGD, grad_scale, momentum, nesterov, 0, 0, 0, 1, 1, False)
    update(param, grad, velocity, None, bounds, rates, &settings, stats)


def adagrad(
    cnp.ndarray param, cnp.ndarray grad, cnp.ndarray square_sum, cnp.ndarray bounds, cnp.ndarray rates, double eps,
    double grad_scale, cnp.ndarray stats
):
    """Update by s += g^2; w -= lr g / (sqrt(s) + eps)."""
    cdef Settings settings = Settings(ADAGRAD, grad_scale, 0, False, eps, 0, 0, 1, 1, False)
    update(param, grad, square_sum, None, bounds, rates, &settings, stats)


def rmsprop(
    cnp.ndarray param, cnp.ndarray grad, cnp.ndarray square_avg, cnp.ndarray velocity, cnp.ndarray bounds,
    cnp.ndarray rates, double alpha, double momentum, double eps, double grad_scale, cnp.ndarray stats
):
    """Update by s = alpha s + (1 - alpha) g^2; step = g / (sqrt(s) + eps); with momentum v = momentum v + step."""
    cdef Settings settings = Settings(RMSPROP, grad_scale, momentum, False, eps, alpha, 0, 1, 1, False)
    update(param, grad, square_avg, velocity, bounds, rates, &settings, stats)


def adam(
    cnp.ndarray param, cnp.ndarray grad, cnp.ndarray exp_avg, cnp.ndarray exp_avg_sq, cnp.ndarray bounds,
    cnp.ndarray rates, double beta1, double beta2, double eps, long step, bint decoupled, double grad_scale,
    cnp.ndarray stats
):
    """Update by Adam (Kingma & Ba 2015), step counted from 1; `decoupled` decay makes it AdamW (Loshchilov 2019)."""
    cdef Settings settings = Settings(
        ADAM, grad_scale, 0, False, eps, beta1, beta2, 1 - beta1**step, sqrt(1 - beta2**step), decoupled
    )
    update(param, grad, exp_avg, exp_avg_sq, bounds, rates, &settings, stats)


def sum_of_squares(cnp.ndarray x):
    """Return the sum of squares, accumulated in float64."""
    cdef Py_ssize_t n = size(x)
    cdef void* px = data(x)
    cdef double total
    if is_single(x):
        with nogil:
            total = square_sum_of(<float*>px, n)
    else:
        with nogil:
            total = square_sum_of(<double*>px, n)
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


cdef double penalise(floating* w, floating* g, Py_ssize_t n, double l1, double l2) noexcept nogil:
    cdef Py_ssize_t i
    cdef double absolute = 0
    cdef floating one = <floating>l1, two = <floating>l2
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
                penalty += penalise(<float*>p + start, <float*>g + start, n, l1, l2)
            else:
                penalty += penalise(<double*>p + start, <double*>g + start, n, l1, l2)
    return penalty


cdef void clip_columns(floating* w, Py_ssize_t m, Py_ssize_t n, double limit) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double total
    cdef floating scale
    for j in range(n):
        total = 0
        for i in range(m):
            total += <double>w[i * n + j] * w[i * n + j]
        if not sqrt(total) <= limit:
            scale = <floating>(limit / sqrt(total))
            for i in range(m):
                w[i * n + j] *= scale


def clip_column_norms(cnp.ndarray w, double limit):
    """Scale in place every column of the 2-D `w` whose Euclidean norm exceeds `limit` down to it."""
    cdef Py_ssize_t m = rows(w), n = columns(w)
    cdef void* pw = data(w)
    if is_single(w):
        with nogil:
            clip_columns(<float*>pw, m, n, limit)
    else:
        with nogil:
            clip_columns(<double*>pw, m, n, limit)

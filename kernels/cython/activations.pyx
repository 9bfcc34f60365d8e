"""Activations and their derivatives, and the per-unit statistics of their outputs."""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport fabs

from .arrays cimport columns, data, is_single, rows, size
from .elementwise cimport PN_SIGMOID, PN_TANH, activate_backward_span, activate_span

cnp.import_array()

cdef double SATURATION = 0.98


def activate(cnp.ndarray x, int code, double alpha, cnp.ndarray out):
    """Write f(x) to `out`, which may be `x` itself."""
    cdef Py_ssize_t n = size(x)
    cdef void* px = data(x)
    cdef void* py = data(out)
    if is_single(x):
        with nogil:
            activate_span(<float*>px, <float*>py, n, code, <float>alpha)
    else:
        with nogil:
            activate_span(<double*>px, <double*>py, n, code, alpha)


def activate_backward(cnp.ndarray dy, cnp.ndarray saved, int code, double alpha, cnp.ndarray out):
    """Write dy * f'(x) to `out`, which may be `dy` itself.

    `saved` is what the derivative is computed from: the input x for GELU and SiLU, the output f(x) for all others.
    """
    cdef Py_ssize_t n = size(dy)
    cdef void* pdy = data(dy)
    cdef void* psaved = data(saved)
    cdef void* pdx = data(out)
    if is_single(dy):
        with nogil:
            activate_backward_span(<float*>pdy, <float*>psaved, <float*>pdx, n, code, <float>alpha)
    else:
        with nogil:
            activate_backward_span(<double*>pdy, <double*>psaved, <double*>pdx, n, code, alpha)


cdef void prelu_rows(
    const floating* x, const floating* slope, Py_ssize_t per_unit, floating* y, Py_ssize_t m, Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef floating v, s = slope[0]
    for i in range(m):
        for j in range(n):
            v = x[i * n + j]
            if per_unit:
                s = slope[j]
            y[i * n + j] = s * v if v < 0 else v


def prelu(cnp.ndarray x, cnp.ndarray slope, cnp.ndarray out):
    """Write x where x >= 0, else slope * x; `slope` has one entry, or one per column of the 2-D `x`."""
    cdef Py_ssize_t m = rows(x), n = columns(x), per_unit = size(slope) > 1
    cdef void* px = data(x)
    cdef void* ps = data(slope)
    cdef void* py = data(out)
    if is_single(x):
        with nogil:
            prelu_rows(<float*>px, <float*>ps, per_unit, <float*>py, m, n)
    else:
        with nogil:
            prelu_rows(<double*>px, <double*>ps, per_unit, <double*>py, m, n)


cdef void prelu_backward_rows(
    const floating* dy, const floating* x, const floating* slope, Py_ssize_t per_unit, floating* dx, floating* dslope,
    Py_ssize_t m, Py_ssize_t n, bint accumulate
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef floating v, d, s = slope[0]
    cdef double total
    # Columns outside, so that each sum is one float64 register: the slope's gradient runs over the whole batch.
    cdef double all_columns = 0
    for j in range(n):
        total = 0
        if per_unit:
            s = slope[j]
        for i in range(m):
            v = x[i * n + j]
            d = dy[i * n + j]
            if v < 0:
                total += <double>d * v
                dx[i * n + j] = s * d
            else:
                dx[i * n + j] = d
        all_columns += total
        if per_unit:
            dslope[j] = <floating>(dslope[j] + total if accumulate else total)
    if not per_unit:
        dslope[0] = <floating>(dslope[0] + all_columns if accumulate else all_columns)


def prelu_backward(
    cnp.ndarray dy, cnp.ndarray x, cnp.ndarray slope, cnp.ndarray dx, cnp.ndarray dslope, bint accumulate
):
    """Write dx, and dslope = the sum of dy * x over negative x (per column, or over all for a single slope)."""
    cdef Py_ssize_t m = rows(x), n = columns(x), per_unit = size(slope) > 1
    cdef void* pdy = data(dy)
    cdef void* px = data(x)
    cdef void* ps = data(slope)
    cdef void* pdx = data(dx)
    cdef void* pds = data(dslope)
    if is_single(x):
        with nogil:
            prelu_backward_rows(
                <float*>pdy, <float*>px, <float*>ps, per_unit, <float*>pdx, <float*>pds, m, n, accumulate
            )
    else:
        with nogil:
            prelu_backward_rows(
                <double*>pdy, <double*>px, <double*>ps, per_unit, <double*>pdx, <double*>pds, m, n, accumulate
            )


cdef inline bint beats(floating candidate, floating best) noexcept nogil:
    # NaN wins over every number, and the first NaN stays, as in numpy.argmax.
    return candidate > best or (candidate != candidate and best == best)


cdef void maxout_rows(
    const floating* x, Py_ssize_t pieces, floating* y, Py_ssize_t m, Py_ssize_t units
) noexcept nogil:
    cdef Py_ssize_t i, j, u
    cdef const floating* row
    cdef floating* best
    for i in range(m):
        row = x + i * pieces * units
        best = y + i * units
        for u in range(units):
            best[u] = row[u]
        for j in range(1, pieces):
            row = x + (i * pieces + j) * units
            for u in range(units):
                best[u] = row[u] if beats(row[u], best[u]) else best[u]


def maxout(cnp.ndarray x, Py_ssize_t pieces, cnp.ndarray out):
    """Write the maximum over pieces: out[n, u] = max_j x[n, j * units + u]."""
    cdef Py_ssize_t m = rows(x), units = columns(out)
    cdef void* px = data(x)
    cdef void* py = data(out)
    if is_single(x):
        with nogil:
            maxout_rows(<float*>px, pieces, <float*>py, m, units)
    else:
        with nogil:
            maxout_rows(<double*>px, pieces, <double*>py, m, units)


cdef void maxout_backward_rows(
    const floating* dy, const floating* x, Py_ssize_t pieces, floating* dx, Py_ssize_t m, Py_ssize_t units
) noexcept nogil:
    cdef Py_ssize_t i, j, u, winner
    cdef const floating* row
    cdef floating* target
    for i in range(m):
        row = x + i * pieces * units
        target = dx + i * pieces * units
        for u in range(units):
            winner = 0
            for j in range(1, pieces):
                if beats(row[j * units + u], row[winner * units + u]):
                    winner = j
            for j in range(pieces):
                target[j * units + u] = 0
            target[winner * units + u] = dy[i * units + u]


def maxout_backward(cnp.ndarray dy, cnp.ndarray x, Py_ssize_t pieces, cnp.ndarray dx):
    """Hand dy to the piece that was the maximum (the first of equals), 0 to the others."""
    cdef Py_ssize_t m = rows(dy), units = columns(dy)
    cdef void* pdy = data(dy)
    cdef void* px = data(x)
    cdef void* pdx = data(dx)
    if is_single(x):
        with nogil:
            maxout_backward_rows(<float*>pdy, <float*>px, pieces, <float*>pdx, m, units)
    else:
        with nogil:
            maxout_backward_rows(<double*>pdy, <double*>px, pieces, <double*>pdx, m, units)


cdef void add_unit_stats(const floating* y, int code, double* stats, Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double v
    cdef double* total = stats
    cdef double* squares = stats + n
    cdef double* active = stats + 2 * n
    cdef double* saturated = stats + 3 * n
    for i in range(m):
        for j in range(n):
            v = y[i * n + j]
            total[j] += v
            squares[j] += v * v
            active[j] += v > 0
        if code == PN_TANH:
            for j in range(n):
                saturated[j] += fabs(y[i * n + j]) > SATURATION
        elif code == PN_SIGMOID:
            for j in range(n):
                saturated[j] += fabs(2 * y[i * n + j] - 1) > SATURATION


def unit_stats(cnp.ndarray y, int code, cnp.ndarray stats):
    """Add, per column of the 2-D `y`, to the four rows of `stats`: sum, sum of squares, active and saturated count.

    Active means y > 0; saturated is counted for sigmoid and tanh only (see `codes.SATURATION`).
    """
    cdef Py_ssize_t m = rows(y), n = columns(y)
    cdef void* py = data(y)
    cdef double* pstats = <double*>data(stats)
    if is_single(y):
        with nogil:
            add_unit_stats(<float*>py, code, pstats, m, n)
    else:
        with nogil:
            add_unit_stats(<double*>py, code, pstats, m, n)

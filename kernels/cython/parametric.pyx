"""Activations over several arrays: PReLU, whose slope is learnt, and Maxout, the largest of several pieces."""

cimport numpy as cnp
from cython cimport floating

from .arrays cimport columns, data, is_single, rows, size
from .calls cimport import_runtime, make

cnp.import_array()
import_runtime()


cdef enum:
    UNITS = 64  # sums in float64 that are kept at a time


cdef inline Py_ssize_t within_units(Py_ssize_t left) noexcept nogil:
    return UNITS if left > UNITS else left


cdef void prelu_run(const floating* x, const floating slope, floating* y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        y[j] = slope * x[j] if x[j] < 0 else x[j]


cdef void prelu_columns(
    const floating* x, const floating* slope, floating* y, Py_ssize_t m, Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(m):
        for j in range(n):
            y[i * n + j] = slope[j] * x[i * n + j] if x[i * n + j] < 0 else x[i * n + j]


cdef void prelu_units(
    const floating* x, const floating* slope, Py_ssize_t per_unit, floating* y, Py_ssize_t m, Py_ssize_t n,
    Py_ssize_t positions
) noexcept nogil:
    cdef Py_ssize_t i
    if not per_unit:
        prelu_run(x, slope[0], y, m * n * positions)
    elif positions == 1:
        prelu_columns(x, slope, y, m, n)
    else:
        for i in range(m * n):
            prelu_run(x + i * positions, slope[i % n], y + i * positions, positions)


cdef struct Prelu:
    void* x
    void* slope
    void* y
    Py_ssize_t m
    Py_ssize_t n
    Py_ssize_t positions
    Py_ssize_t per_unit
    bint single


cdef int run_prelu(void* argument) noexcept nogil:
    cdef Prelu* c = <Prelu*>argument
    if c.single:
        prelu_units(<float*>c.x, <float*>c.slope, c.per_unit, <float*>c.y, c.m, c.n, c.positions)
    else:
        prelu_units(<double*>c.x, <double*>c.slope, c.per_unit, <double*>c.y, c.m, c.n, c.positions)
    return 0


def prelu(cnp.ndarray x, cnp.ndarray slope, cnp.ndarray out):
    """Write x where x >= 0, else slope * x; `x` is (n, units, positions), `slope` has one entry, or one per unit."""
    cdef Prelu call = Prelu(
        data(x), data(slope), data(out), rows(x), columns(x), cnp.PyArray_DIM(x, 2), size(slope) != 1, is_single(x)
    )
    make(run_prelu, &call, sizeof(call), 2, (x, slope, out))


cdef void prelu_backward_columns(
    const floating* dy, const floating* x, const floating* slope, floating* dx, floating* dslope, Py_ssize_t m,
    Py_ssize_t n
) noexcept nogil:
    """Units of one position each, some columns at a time."""
    cdef Py_ssize_t i, j, k, at = 0, count
    cdef double[UNITS] total
    while at < n:
        count = within_units(n - at)
        for j in range(count):
            total[j] = 0
        for i in range(m):
            for j in range(count):
                k = i * n + at + j
                total[j] += <double>dy[k] * x[k] if x[k] < 0 else 0
                dx[k] = slope[at + j] * dy[k] if x[k] < 0 else dy[k]
        for j in range(count):
            dslope[at + j] = <floating>total[j]
        at += count


cdef floating prelu_backward_unit(
    const floating* dy, const floating* x, const floating slope, floating* dx, Py_ssize_t m, Py_ssize_t apart,
    Py_ssize_t positions
) noexcept nogil:
    """Return the gradient of one slope: of `m` runs of `positions` elements, which start `apart` from each other."""
    cdef Py_ssize_t i, j, k, at, count
    cdef double[UNITS] total
    cdef double sum = 0
    for j in range(UNITS):
        total[j] = 0
    for i in range(m):
        at = 0
        while at < positions:
            count = within_units(positions - at)
            for j in range(count):
                k = i * apart + at + j
                total[j] += <double>dy[k] * x[k] if x[k] < 0 else 0
                dx[k] = slope * dy[k] if x[k] < 0 else dy[k]
            at += count
    for j in range(UNITS):
        sum += total[j]
    return <floating>sum


cdef void prelu_backward_units(
    const floating* dy, const floating* x, const floating* slope, Py_ssize_t per_unit, floating* dx, floating* dslope,
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t positions
) noexcept nogil:
    cdef Py_ssize_t j
    if not per_unit:
        dslope[0] = prelu_backward_unit(dy, x, slope[0], dx, 1, 0, m * n * positions)
    elif positions == 1:
        prelu_backward_columns(dy, x, slope, dx, dslope, m, n)
    else:
        for j in range(n):
            dslope[j] = prelu_backward_unit(
                dy + j * positions, x + j * positions, slope[j], dx + j * positions, m, n * positions, positions
            )


cdef struct PreluBackward:
    void* dy
    void* x
    void* slope
    void* dx
    void* dslope
    Py_ssize_t m
    Py_ssize_t n
    Py_ssize_t positions
    Py_ssize_t per_unit
    bint single


cdef int run_prelu_backward(void* argument) noexcept nogil:
    cdef PreluBackward* c = <PreluBackward*>argument
    if c.single:
        prelu_backward_units(
            <float*>c.dy, <float*>c.x, <float*>c.slope, c.per_unit, <float*>c.dx, <float*>c.dslope, c.m, c.n,
            c.positions
        )
    else:
        prelu_backward_units(
            <double*>c.dy, <double*>c.x, <double*>c.slope, c.per_unit, <double*>c.dx, <double*>c.dslope, c.m, c.n,
            c.positions
        )
    return 0


def prelu_backward(cnp.ndarray dy, cnp.ndarray x, cnp.ndarray slope, cnp.ndarray dx, cnp.ndarray dslope):
    """Write dx, and dslope = the sum of dy * x over negative x (per unit, or over all for a single slope)."""
    cdef PreluBackward call = PreluBackward(
        data(dy), data(x), data(slope), data(dx), data(dslope), rows(x), columns(x), cnp.PyArray_DIM(x, 2),
        size(slope) != 1, is_single(x)
    )
    make(run_prelu_backward, &call, sizeof(call), 3, (dy, x, slope, dx, dslope))


cdef inline bint beats(floating candidate, floating best) noexcept nogil:
    # NaN wins over every number, and the first NaN is kept, as in numpy.argmax.
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


cdef struct Maxout:
    void* x
    void* y
    Py_ssize_t pieces
    Py_ssize_t m
    Py_ssize_t units
    bint single


cdef int run_maxout(void* argument) noexcept nogil:
    cdef Maxout* c = <Maxout*>argument
    if c.single:
        maxout_rows(<float*>c.x, c.pieces, <float*>c.y, c.m, c.units)
    else:
        maxout_rows(<double*>c.x, c.pieces, <double*>c.y, c.m, c.units)
    return 0


def maxout(cnp.ndarray x, Py_ssize_t pieces, cnp.ndarray out):
    """Write the maximum over pieces: out[n, u] = max_j x[n, j * units + u]."""
    cdef Maxout call = Maxout(data(x), data(out), pieces, rows(x), columns(out), is_single(x))
    make(run_maxout, &call, sizeof(call), 1, (x, out))


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


cdef struct MaxoutBackward:
    void* dy
    void* x
    void* dx
    Py_ssize_t pieces
    Py_ssize_t m
    Py_ssize_t units
    bint single


cdef int run_maxout_backward(void* argument) noexcept nogil:
    cdef MaxoutBackward* c = <MaxoutBackward*>argument
    if c.single:
        maxout_backward_rows(<float*>c.dy, <float*>c.x, c.pieces, <float*>c.dx, c.m, c.units)
    else:
        maxout_backward_rows(<double*>c.dy, <double*>c.x, c.pieces, <double*>c.dx, c.m, c.units)
    return 0


def maxout_backward(cnp.ndarray dy, cnp.ndarray x, Py_ssize_t pieces, cnp.ndarray dx):
    """Pass dy to the piece that was the maximum (the first on ties), 0 to the others."""
    cdef MaxoutBackward call = MaxoutBackward(
        data(dy), data(x), data(dx), pieces, rows(dy), columns(dy), is_single(dy)
    )
    make(run_maxout_backward, &call, sizeof(call), 2, (dy, x, dx))

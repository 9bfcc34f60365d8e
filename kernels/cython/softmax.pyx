"""Softmax over the middle dimension of (n, units, positions), and its logarithm."""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport INFINITY
from libc.math cimport log as ln

from .arrays cimport columns, data, is_single, rows, size
from .calls cimport import_runtime, make, pn_parallel, pn_part_start, pn_parts
from .denormals cimport pn_float_mode, pn_flush_denormals, pn_restore_denormals
from .elementwise cimport exp_neg
from .reductions cimport row_dot, row_largest, row_sum
from .row_exponentials cimport exponential_sum, row_exponentials

cnp.import_array()
import_runtime()

cdef enum:
    GRAIN = 8192  # minimum elements per thread
    BLOCK = 128  # positions whose sums are kept
    SPAN = 1024  # elements of short rows that are worked on together, in the L1 cache,
    ROWS = 32  # and how many rows they are at most


cdef inline Py_ssize_t within_block(Py_ssize_t left) noexcept nogil:
    return BLOCK if left > BLOCK else left


cdef inline Py_ssize_t rows_of_span(Py_ssize_t units, Py_ssize_t left) noexcept nogil:
    cdef Py_ssize_t most = ROWS if units * ROWS <= SPAN else SPAN // units
    return max(1, min(most, left))


cdef void softmax_rows(const floating* x, floating* y, Py_ssize_t m, Py_ssize_t units) noexcept nogil:
    cdef floating[ROWS] largest
    cdef floating scale
    cdef floating* row
    cdef Py_ssize_t i, u
    row_exponentials(x, y, largest, m, units)
    for i in range(m):
        row = y + i * units
        scale = <floating>(1 / row_sum(row, units))
        for u in range(units):
            row[u] *= scale


cdef void log_softmax_rows(const floating* x, floating* y, Py_ssize_t m, Py_ssize_t units) noexcept nogil:
    cdef floating[SPAN] exponentials
    cdef floating[ROWS] largest
    cdef double[ROWS] total
    cdef floating scale
    cdef Py_ssize_t i, u
    if units > SPAN:  # then m is 1
        largest[0] = row_largest(x, units)
        total[0] = exponential_sum(x, largest[0], units)
    else:
        row_exponentials(x, exponentials, largest, m, units)
        for i in range(m):
            total[i] = row_sum(exponentials + i * units, units)
    for i in range(m):
        scale = <floating>ln(total[i])
        for u in range(i * units, (i + 1) * units):
            y[u] = (x[u] - largest[i]) - scale


cdef void softmax_positions(
    const floating* x, floating* y, Py_ssize_t units, Py_ssize_t positions, Py_ssize_t count, bint logarithm
) noexcept nogil:
    """Write the softmax over units of `count` neighbouring positions, at most BLOCK."""
    cdef floating[BLOCK] largest
    cdef double[BLOCK] total
    cdef floating e
    cdef Py_ssize_t u, j
    for j in range(count):
        largest[j] = <floating>-INFINITY
        total[j] = 0
    for u in range(units):
        for j in range(count):
            largest[j] = x[u * positions + j] if x[u * positions + j] > largest[j] else largest[j]
    for u in range(units):
        if logarithm:
            for j in range(count):
                total[j] += exp_neg(x[u * positions + j] - largest[j])
        else:
            for j in range(count):
                e = exp_neg(x[u * positions + j] - largest[j])
                total[j] += e
                y[u * positions + j] = e
    for j in range(count):
        total[j] = ln(total[j]) if logarithm else 1 / total[j]
    for u in range(units):
        if logarithm:
            for j in range(count):
                y[u * positions + j] = (x[u * positions + j] - largest[j]) - <floating>total[j]
        else:
            for j in range(count):
                y[u * positions + j] *= <floating>total[j]


cdef void softmax_examples(
    const floating* x, floating* y, Py_ssize_t n, Py_ssize_t units, Py_ssize_t positions, bint logarithm
) noexcept nogil:
    cdef Py_ssize_t i = 0, j = 0, m, count, at
    while i < n and positions == 1:
        m = rows_of_span(units, n - i)
        if logarithm:
            log_softmax_rows(x + i * units, y + i * units, m, units)
        else:
            softmax_rows(x + i * units, y + i * units, m, units)
        i += m
    while i < n:
        count = within_block(positions - j)
        at = i * units * positions + j
        softmax_positions(x + at, y + at, units, positions, count, logarithm)
        j += count
        if j == positions:
            i, j = i + 1, 0


cdef struct Softmax:
    void* x
    void* y
    Py_ssize_t n
    Py_ssize_t units
    Py_ssize_t positions
    bint log
    bint single
    int parts


cdef void softmax_part(void* argument, int index) noexcept nogil:
    cdef Softmax* c = <Softmax*>argument
    cdef Py_ssize_t start = pn_part_start(c.n, 1, index, c.parts)
    cdef Py_ssize_t n = pn_part_start(c.n, 1, index + 1, c.parts) - start, at = start * c.units * c.positions
    cdef pn_float_mode mode = pn_flush_denormals()
    if c.single:
        softmax_examples(<float*>c.x + at, <float*>c.y + at, n, c.units, c.positions, c.log)
    else:
        softmax_examples(<double*>c.x + at, <double*>c.y + at, n, c.units, c.positions, c.log)
    pn_restore_denormals(mode)


cdef int run_softmax(void* argument) noexcept nogil:
    cdef Softmax* c = <Softmax*>argument
    c.parts = pn_parts(<double>c.n * c.units * c.positions, GRAIN)
    pn_parallel(softmax_part, c, c.parts)
    return 0


def softmax(cnp.ndarray x, bint log, cnp.ndarray out):
    """Write exp(x) / sum(exp(x)), or its logarithm, to `out`, which may be `x` itself; the sum runs over units."""
    if size(x) == 0:
        return
    cdef Softmax call = Softmax(
        data(x), data(out), rows(x), columns(x), cnp.PyArray_DIM(x, 2), log, is_single(x), 1
    )
    make(run_softmax, &call, sizeof(call), 1, (x, out))


cdef void softmax_back_rows(
    const floating* dy, const floating* y, floating* dx, Py_ssize_t m, Py_ssize_t units
) noexcept nogil:
    cdef floating sum
    cdef Py_ssize_t i, u
    for i in range(m):
        sum = <floating>row_dot(dy + i * units, y + i * units, units)
        for u in range(i * units, (i + 1) * units):
            dx[u] = y[u] * (dy[u] - sum)


cdef void log_softmax_back_rows(
    const floating* dy, const floating* y, floating* dx, Py_ssize_t m, Py_ssize_t units
) noexcept nogil:
    cdef floating[SPAN] exponentials
    cdef floating sum
    cdef Py_ssize_t i, u
    if units > SPAN:  # then m is 1
        sum = <floating>row_sum(dy, units)
        for u in range(units):
            dx[u] = dy[u] - exp_neg(y[u]) * sum
        return
    for u in range(m * units):
        exponentials[u] = exp_neg(y[u])
    for i in range(m):
        sum = <floating>row_sum(dy + i * units, units)
        for u in range(i * units, (i + 1) * units):
            dx[u] = dy[u] - exponentials[u] * sum


cdef void softmax_back_positions(
    const floating* dy, const floating* y, floating* dx, Py_ssize_t units, Py_ssize_t positions, Py_ssize_t count,
    bint logarithm
) noexcept nogil:
    """Write the gradient of `count` neighbouring positions, at most BLOCK."""
    cdef double[BLOCK] total
    cdef Py_ssize_t u, j, at
    for j in range(count):
        total[j] = 0
    for u in range(units):
        at = u * positions
        if logarithm:
            for j in range(count):
                total[j] += dy[at + j]
        else:
            for j in range(count):
                total[j] += <double>dy[at + j] * y[at + j]
    for u in range(units):
        at = u * positions
        if logarithm:
            for j in range(count):
                dx[at + j] = dy[at + j] - exp_neg(y[at + j]) * <floating>total[j]
        else:
            for j in range(count):
                dx[at + j] = y[at + j] * (dy[at + j] - <floating>total[j])


cdef void softmax_back_examples(
    const floating* dy, const floating* y, floating* dx, Py_ssize_t n, Py_ssize_t units, Py_ssize_t positions,
    bint logarithm
) noexcept nogil:
    cdef Py_ssize_t i = 0, j = 0, m, count, at
    while i < n and positions == 1:
        m = rows_of_span(units, n - i)
        if logarithm:
            log_softmax_back_rows(dy + i * units, y + i * units, dx + i * units, m, units)
        else:
            softmax_back_rows(dy + i * units, y + i * units, dx + i * units, m, units)
        i += m
    while i < n:
        count = within_block(positions - j)
        at = i * units * positions + j
        softmax_back_positions(dy + at, y + at, dx + at, units, positions, count, logarithm)
        j += count
        if j == positions:
            i, j = i + 1, 0


cdef struct SoftmaxBackward:
    void* dy
    void* y
    void* dx
    Py_ssize_t n
    Py_ssize_t units
    Py_ssize_t positions
    bint log
    bint single
    int parts


cdef void softmax_backward_part(void* argument, int index) noexcept nogil:
    cdef SoftmaxBackward* c = <SoftmaxBackward*>argument
    cdef Py_ssize_t start = pn_part_start(c.n, 1, index, c.parts)
    cdef Py_ssize_t n = pn_part_start(c.n, 1, index + 1, c.parts) - start, at = start * c.units * c.positions
    cdef pn_float_mode mode = pn_flush_denormals()
    if c.single:
        softmax_back_examples(
            <float*>c.dy + at, <float*>c.y + at, <float*>c.dx + at, n, c.units, c.positions, c.log
        )
    else:
        softmax_back_examples(
            <double*>c.dy + at, <double*>c.y + at, <double*>c.dx + at, n, c.units, c.positions, c.log
        )
    pn_restore_denormals(mode)


cdef int run_softmax_backward(void* argument) noexcept nogil:
    cdef SoftmaxBackward* c = <SoftmaxBackward*>argument
    c.parts = pn_parts(<double>c.n * c.units * c.positions, GRAIN)
    pn_parallel(softmax_backward_part, c, c.parts)
    return 0


def softmax_backward(cnp.ndarray dy, cnp.ndarray y, bint log, cnp.ndarray out):
    """Write y (dy - sum(dy y)), or dy - exp(y) sum(dy) for the logarithm, to `out`, which may be `dy` itself."""
    if size(dy) == 0:
        return
    cdef SoftmaxBackward call = SoftmaxBackward(
        data(dy), data(y), data(out), rows(dy), columns(dy), cnp.PyArray_DIM(dy, 2), log, is_single(dy), 1
    )
    make(run_softmax_backward, &call, sizeof(call), 2, (dy, y, out))

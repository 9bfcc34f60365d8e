"""Softmax over the middle dimension of (n, units, positions), and its logarithm."""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport INFINITY
from libc.math cimport log as ln

from .arrays cimport columns, data, is_single, rows, size
from .calls cimport import_runtime, make, pn_parallel, pn_part_start, pn_parts
from .denormals cimport pn_float_mode, pn_flush_denormals, pn_restore_denormals
from .elementwise cimport exp_neg
from .reductions cimport row_largest, row_sum

cnp.import_array()
import_runtime()

cdef enum:
    GRAIN = 8192  # minimum elements per thread
    BLOCK = 128  # elements of scratch: exponentials of one row, or sums of as many positions


cdef inline Py_ssize_t within_block(Py_ssize_t left) noexcept nogil:
    return BLOCK if left > BLOCK else left


cdef void softmax_row(const floating* x, floating* y, Py_ssize_t units, bint logarithm) noexcept nogil:
    cdef floating[BLOCK] scratch
    cdef floating largest = row_largest(x, units), scale
    cdef Py_ssize_t u, start, count
    cdef double total = 0
    if not logarithm:
        for u in range(units):
            y[u] = exp_neg(x[u] - largest)
        scale = <floating>(1 / row_sum(y, units))
        for u in range(units):
            y[u] *= scale
        return
    start = 0
    while start < units:
        count = within_block(units - start)
        for u in range(count):
            scratch[u] = exp_neg(x[start + u] - largest)
        total += row_sum(scratch, count)
        start += BLOCK
    scale = <floating>ln(total)
    for u in range(units):
        y[u] = (x[u] - largest) - scale


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
        for j in range(count):
            e = exp_neg(x[u * positions + j] - largest[j])
            total[j] += e
            y[u * positions + j] = x[u * positions + j] - largest[j] if logarithm else e
    for j in range(count):
        total[j] = ln(total[j]) if logarithm else 1 / total[j]
    for u in range(units):
        for j in range(count):
            e = <floating>total[j]
            y[u * positions + j] = y[u * positions + j] - e if logarithm else y[u * positions + j] * e


cdef void softmax_example(
    const floating* x, floating* y, Py_ssize_t units, Py_ssize_t positions, bint logarithm
) noexcept nogil:
    cdef Py_ssize_t start = 0
    if positions == 1:
        softmax_row(x, y, units, logarithm)
        return
    while start < positions:
        softmax_positions(x + start, y + start, units, positions, within_block(positions - start), logarithm)
        start += BLOCK


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
    cdef Py_ssize_t i, at
    cdef pn_float_mode mode = pn_flush_denormals()
    for i in range(pn_part_start(c.n, 1, index, c.parts), pn_part_start(c.n, 1, index + 1, c.parts)):
        at = i * c.units * c.positions
        if c.single:
            softmax_example(<float*>c.x + at, <float*>c.y + at, c.units, c.positions, c.log)
        else:
            softmax_example(<double*>c.x + at, <double*>c.y + at, c.units, c.positions, c.log)
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


cdef void softmax_back(
    const floating* dy, const floating* y, floating* dx, Py_ssize_t units, Py_ssize_t positions, Py_ssize_t count,
    bint logarithm
) noexcept nogil:
    """Write the gradient of `count` neighbouring positions, at most BLOCK."""
    cdef double[BLOCK] total
    cdef floating sum
    cdef Py_ssize_t u, j, at
    for j in range(count):
        total[j] = 0
    for u in range(units):
        for j in range(count):
            at = u * positions + j
            total[j] += dy[at] if logarithm else <double>dy[at] * y[at]
    for u in range(units):
        for j in range(count):
            at = u * positions + j
            sum = <floating>total[j]
            dx[at] = dy[at] - exp_neg(y[at]) * sum if logarithm else y[at] * (dy[at] - sum)


cdef void softmax_back_example(
    const floating* dy, const floating* y, floating* dx, Py_ssize_t units, Py_ssize_t positions, bint logarithm
) noexcept nogil:
    cdef Py_ssize_t start = 0
    while start < positions:
        softmax_back(
            dy + start, y + start, dx + start, units, positions, within_block(positions - start), logarithm
        )
        start += BLOCK


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
    cdef Py_ssize_t i, at
    cdef pn_float_mode mode = pn_flush_denormals()
    for i in range(pn_part_start(c.n, 1, index, c.parts), pn_part_start(c.n, 1, index + 1, c.parts)):
        at = i * c.units * c.positions
        if c.single:
            softmax_back_example(
                <float*>c.dy + at, <float*>c.y + at, <float*>c.dx + at, c.units, c.positions, c.log
            )
        else:
            softmax_back_example(
                <double*>c.dy + at, <double*>c.y + at, <double*>c.dx + at, c.units, c.positions, c.log
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

"""Matrix multiply, and the column sum for its backward pass."""

cimport numpy as cnp
from cython cimport floating

from .arrays cimport columns, data, is_single, rows
from .calls cimport import_runtime, make, pn_parallel, pn_part_start, pn_parts

cnp.import_array()
import_runtime()

cdef extern from "gemm/gemm.h" nogil:
    ctypedef struct pn_product:
        const void* a
        const void* b
        const void* bias
        void* c
        void* pre
        Py_ssize_t m
        Py_ssize_t n
        Py_ssize_t k
        Py_ssize_t a_row
        Py_ssize_t a_k
        Py_ssize_t b_k
        Py_ssize_t b_column
        Py_ssize_t ldc
        int code
        double alpha
        int accumulate
        int single
    int pn_matmul(void* product) noexcept


def matmul(
    cnp.ndarray a, cnp.ndarray b, bint trans_a, bint trans_b, cnp.ndarray bias, int activation, double alpha,
    cnp.ndarray out, cnp.ndarray pre_out
):
    """Write f(op(a) @ op(b) + bias) to `out`, where op transposes if its flag is set.

    The pre-activation is also written to `pre_out`, unless it is None.
    """
    cdef Py_ssize_t m = rows(out), n = columns(out), k = rows(a) if trans_a else columns(a)
    cdef pn_product call
    call.a, call.b, call.bias, call.c, call.pre = data(a), data(b), data(bias), data(out), data(pre_out)
    call.m, call.n, call.k = m, n, k
    call.a_row, call.a_k = 1 if trans_a else k, m if trans_a else 1
    call.b_k, call.b_column = 1 if trans_b else n, k if trans_b else 1
    call.ldc, call.code, call.alpha, call.accumulate, call.single = n, activation, alpha, 0, is_single(a)
    if not make(pn_matmul, &call, sizeof(call), 3, (a, b, bias, out, pre_out)):
        raise MemoryError(f"no memory for the packed panels of a ({m}, {k}) by ({k}, {n}) product")


cdef enum:
    STRIP = 64  # columns summed at a time: the float64 sums stay in L1
    GRAIN = 32768  # minimum elements per thread


cdef struct ColumnSum:
    void* x
    void* out
    Py_ssize_t m
    Py_ssize_t n
    bint single
    int parts


cdef void sum_strip(
    const floating* x, floating* out, Py_ssize_t m, Py_ssize_t n, Py_ssize_t width
) noexcept nogil:
    cdef double total[STRIP]
    cdef Py_ssize_t i, j
    for j in range(width):
        total[j] = 0
    for i in range(m):
        for j in range(width):
            total[j] += x[i * n + j]
    for j in range(width):
        out[j] = <floating>total[j]


cdef void column_sum_part(void* argument, int index) noexcept nogil:
    cdef ColumnSum* c = <ColumnSum*>argument
    cdef Py_ssize_t first = pn_part_start(c.n, STRIP, index, c.parts), width
    cdef Py_ssize_t stop = pn_part_start(c.n, STRIP, index + 1, c.parts)
    while first < stop:
        width = min(stop - first, <Py_ssize_t>STRIP)
        if c.single:
            sum_strip(<float*>c.x + first, <float*>c.out + first, c.m, c.n, width)
        else:
            sum_strip(<double*>c.x + first, <double*>c.out + first, c.m, c.n, width)
        first += width


cdef int run_column_sum(void* argument) noexcept nogil:
    cdef ColumnSum* c = <ColumnSum*>argument
    c.parts = pn_parts(<double>c.m * c.n, GRAIN)
    pn_parallel(column_sum_part, c, c.parts)
    return 0


def column_sum(cnp.ndarray x, cnp.ndarray out):
    """Write the sum over the rows of the 2-D `x` to `out`."""
    cdef ColumnSum call = ColumnSum(data(x), data(out), rows(x), columns(x), is_single(x), 1)
    make(run_column_sum, &call, sizeof(call), 1, (x, out))

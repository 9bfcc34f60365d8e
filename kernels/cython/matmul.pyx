"""Matrix multiply and the column sum that goes with its backward pass."""

cimport numpy as cnp
from cython cimport floating

from .arrays cimport columns, data, is_single, rows

cnp.import_array()

cdef extern from "gemm.h" nogil:
    int pn_gemm_f32(
        Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const float* a, Py_ssize_t a_row, Py_ssize_t a_k, const float* b,
        Py_ssize_t b_k, Py_ssize_t b_column, float* c, float* pre, const float* bias, int code, float alpha,
        int accumulate
    )
    int pn_gemm_f64(
        Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const double* a, Py_ssize_t a_row, Py_ssize_t a_k, const double* b,
        Py_ssize_t b_k, Py_ssize_t b_column, double* c, double* pre, const double* bias, int code, double alpha,
        int accumulate
    )


def matmul(
    cnp.ndarray a, cnp.ndarray b, bint trans_a, bint trans_b, cnp.ndarray bias, int activation, double alpha,
    cnp.ndarray out, cnp.ndarray pre_out, bint accumulate
):
    """Write f(op(a) @ op(b) + bias) to `out`, where op transposes if told to.

    With `accumulate` the product is added to what `out` holds (bias and activation are then absent).
    The value before the activation goes to `pre_out` as well, unless that is None.
    """
    cdef Py_ssize_t m = rows(out), n = columns(out), k = rows(a) if trans_a else columns(a)
    cdef Py_ssize_t a_row = 1 if trans_a else k, a_k = m if trans_a else 1
    cdef Py_ssize_t b_k = 1 if trans_b else n, b_column = k if trans_b else 1
    cdef void* pa = data(a)
    cdef void* pb = data(b)
    cdef void* pbias = data(bias)
    cdef void* pout = data(out)
    cdef void* ppre = data(pre_out)
    cdef int failed
    if is_single(a):
        with nogil:
            failed = pn_gemm_f32(
                m, n, k, <float*>pa, a_row, a_k, <float*>pb, b_k, b_column, <float*>pout, <float*>ppre, <float*>pbias,
                activation, <float>alpha, accumulate
            )
    else:
        with nogil:
            failed = pn_gemm_f64(
                m, n, k, <double*>pa, a_row, a_k, <double*>pb, b_k, b_column, <double*>pout, <double*>ppre,
                <double*>pbias, activation, alpha, accumulate
            )
    if failed:
        raise MemoryError(f"no memory for the packed panels of a ({m}, {k}) by ({k}, {n}) product")


cdef enum:
    STRIP = 64  # columns summed at a time: the float64 sums stay in L1


cdef void sum_columns(const floating* x, floating* out, Py_ssize_t m, Py_ssize_t n, bint accumulate) noexcept nogil:
    cdef double total[STRIP]
    cdef Py_ssize_t i, j, block, first, width
    for block in range((n + STRIP - 1) // STRIP):
        first = block * STRIP
        width = min(n - first, <Py_ssize_t>STRIP)
        for j in range(width):
            total[j] = 0
        for i in range(m):
            for j in range(width):
                total[j] += x[i * n + first + j]
        for j in range(width):
            out[first + j] = <floating>(out[first + j] + total[j] if accumulate else total[j])


def column_sum(cnp.ndarray x, cnp.ndarray out, bint accumulate):
    """Write (or add) the sum over the rows of the 2-D `x` to `out`."""
    cdef Py_ssize_t m = rows(x), n = columns(x)
    cdef void* px = data(x)
    cdef void* pout = data(out)
    if is_single(x):
        with nogil:
            sum_columns(<float*>px, <float*>pout, m, n, accumulate)
    else:
        with nogil:
            sum_columns(<double*>px, <double*>pout, m, n, accumulate)

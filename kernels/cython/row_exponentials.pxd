# Exponentials of rows, relative to each row's largest element: what softmax and its loss are made of.
from cython cimport floating

from .elementwise cimport exp_neg
from .reductions cimport row_largest, row_sum

cdef enum:
    BLOCK = 128  # exponentials in scratch


cdef inline void row_exponentials(
    const floating* x, floating* result, floating* largest, Py_ssize_t m, Py_ssize_t n
) noexcept nogil:
    """Write each row's largest element, and exp of the differences from it, for several rows in one span.

    A row of ten by itself would be one vector and two elements; 32 of them are 40 vectors.
    """
    cdef Py_ssize_t i, c
    if m == 1:
        largest[0] = row_largest(x, n)
        for c in range(n):
            result[c] = exp_neg(x[c] - largest[0])
        return
    for i in range(m):
        largest[i] = row_largest(x + i * n, n)
        for c in range(n):
            result[i * n + c] = x[i * n + c] - largest[i]
    for c in range(m * n):
        result[c] = exp_neg(result[c])


cdef inline double exponential_sum(const floating* row, floating largest, Py_ssize_t n) noexcept nogil:
    """Return the sum of exp(row - largest), without writing the exponentials."""
    cdef floating[BLOCK] scratch
    cdef Py_ssize_t c, count, start = 0
    cdef double total = 0
    while start < n:
        count = BLOCK if n - start > BLOCK else n - start
        for c in range(count):
            scratch[c] = exp_neg(row[start + c] - largest)
        total += row_sum(scratch, count)
        start += BLOCK
    return total

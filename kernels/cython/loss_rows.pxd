# What losses do with the rows of a batch: their weights, and gradients of zero.
from cython cimport floating


cdef inline double row_weight(const floating* sample_weight, Py_ssize_t i) noexcept nogil:
    return 1 if sample_weight == NULL else sample_weight[i]


cdef inline double mean_scale(const floating* sample_weight, Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    """Return 1 / (total weight of the rows times n), or 0 if that total is zero."""
    cdef Py_ssize_t i
    cdef double total = 0
    for i in range(m):
        total += row_weight(sample_weight, i)
    total *= n
    return 1 / total if total != 0 else 0


cdef inline void no_gradient(floating* gradient, Py_ssize_t i, Py_ssize_t n) noexcept nogil:
    """Write a zero gradient for row i, which is ignored, if a gradient is requested."""
    cdef Py_ssize_t c
    if gradient != NULL:
        for c in range(i * n, (i + 1) * n):
            gradient[c] = 0

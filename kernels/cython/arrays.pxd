# Raw access to NumPy arrays that pynn.ops has checked.
cimport numpy as cnp

ctypedef cnp.int64_t int64


cdef inline bint is_single(cnp.ndarray x) noexcept:
    return cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT


cdef inline void* data(cnp.ndarray x) noexcept:
    """Return the address of the first element, or NULL for None."""
    return NULL if x is None else cnp.PyArray_DATA(x)


cdef inline Py_ssize_t rows(cnp.ndarray x) noexcept:
    return cnp.PyArray_DIM(x, 0)


cdef inline Py_ssize_t columns(cnp.ndarray x) noexcept:
    return cnp.PyArray_DIM(x, 1)


cdef inline Py_ssize_t size(cnp.ndarray x) noexcept:
    return cnp.PyArray_SIZE(x)

# The functions of common/reductions.h for a fused floating type.
from cython cimport floating

cdef extern from "common/reductions.h" nogil:
    float pn_row_largest_f32(const float*, Py_ssize_t)
    double pn_row_largest_f64(const double*, Py_ssize_t)
    double pn_row_sum_f32(const float*, Py_ssize_t)
    double pn_row_sum_f64(const double*, Py_ssize_t)
    double pn_row_dot_f32(const float*, const float*, Py_ssize_t)
    double pn_row_dot_f64(const double*, const double*, Py_ssize_t)


cdef inline floating row_largest(const floating* row, Py_ssize_t n) noexcept nogil:
    if floating is float:
        return pn_row_largest_f32(row, n)
    else:
        return pn_row_largest_f64(row, n)


cdef inline double row_sum(const floating* row, Py_ssize_t n) noexcept nogil:
    if floating is float:
        return pn_row_sum_f32(row, n)
    else:
        return pn_row_sum_f64(row, n)


cdef inline double row_dot(const floating* a, const floating* b, Py_ssize_t n) noexcept nogil:
    if floating is float:
        return pn_row_dot_f32(a, b, n)
    else:
        return pn_row_dot_f64(a, b, n)

# The functions of activations/activate.h and elementwise.h for a fused floating type.
from cython cimport floating

cdef extern from "activations/activate.h" nogil:
    enum:
        PN_SIGMOID
        PN_SOFTPLUS
    int pn_takes_exponential(int code)
    void pn_map_f32(const float*, float*, Py_ssize_t, int, float)
    void pn_map_f64(const double*, double*, Py_ssize_t, int, double)
    void pn_map_backward_f32(const float*, const float*, float*, Py_ssize_t, int, float)
    void pn_map_backward_f64(const double*, const double*, double*, Py_ssize_t, int, double)

cdef extern from "activations/elementwise.h" nogil:
    float pn_exp_neg_f32(float)
    double pn_exp_neg_f64(double)


cdef inline void map_forward(const floating* x, floating* y, Py_ssize_t n, int code, floating alpha) noexcept nogil:
    if floating is float:
        pn_map_f32(x, y, n, code, alpha)
    else:
        pn_map_f64(x, y, n, code, alpha)


cdef inline void map_backward(
    const floating* dy, const floating* saved, floating* dx, Py_ssize_t n, int code, floating alpha
) noexcept nogil:
    if floating is float:
        pn_map_backward_f32(dy, saved, dx, n, code, alpha)
    else:
        pn_map_backward_f64(dy, saved, dx, n, code, alpha)


cdef inline floating exp_neg(floating x) noexcept nogil:
    if floating is float:
        return pn_exp_neg_f32(x)
    else:
        return pn_exp_neg_f64(x)

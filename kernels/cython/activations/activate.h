/* Activations on contiguous spans, for float (suffix _f32) and double (suffix _f64). activate.c defines them, once for
 * all modules of an instruction set: compiled in each of seven, they took 10 s more. */
#ifndef PYNN_ACTIVATE_H
#define PYNN_ACTIVATE_H

#include <stddef.h>

/* The activation codes of kernels/codes.py: those from PN_ELU to PN_CELU take an exponential. */
enum {
    PN_IDENTITY,
    PN_RELU,
    PN_LEAKY_RELU,
    PN_ELU,
    PN_SELU,
    PN_SIGMOID,
    PN_TANH,
    PN_SOFTPLUS,
    PN_GELU,
    PN_GELU_TANH,
    PN_SILU,
    PN_MISH,
    PN_LOGSIGMOID,
    PN_CELU,
    PN_RELU6,
    PN_HARDSIGMOID,
    PN_HARDSWISH,
    PN_SOFTSIGN
};

static inline int pn_takes_exponential(int code) { return code >= PN_ELU && code <= PN_CELU; }

/* NEEDS_INPUT of kernels/codes.py: whether the derivative is computed from the input. */
static inline int pn_needs_input(int code) {
    return code == PN_GELU || code == PN_GELU_TANH || code == PN_SILU || code == PN_MISH || code == PN_HARDSWISH;
}

#define PN_DECLARE_ACTIVATIONS(real, suffix)                                                                       \
    void pn_activate_##suffix(const real *x, real *y, ptrdiff_t n, int code, real alpha);                          \
    void pn_activate_backward_##suffix(const real *dy, const real *x, real *y, ptrdiff_t n, int code, real alpha); \
    void pn_map_##suffix(const real *x, real *y, ptrdiff_t n, int code, real alpha);                               \
    void pn_map_backward_##suffix(const real *dy, const real *x, real *dx, ptrdiff_t n, int code, real alpha);     \
    void pn_saved_from_input_##suffix(real *x, ptrdiff_t n, int code, real alpha);
PN_DECLARE_ACTIVATIONS(float, f32)
PN_DECLARE_ACTIVATIONS(double, f64)
#undef PN_DECLARE_ACTIVATIONS

#endif

/* Template, included by elementwise_template.h in activate.c: the functions that activate.h declares. */

#define PN_MAP(expression)                               \
    PN_SAFE_IN_PLACE for (ptrdiff_t i = 0; i < n; i++) { \
        PN_REAL v = x[i];                                \
        y[i] = (expression);                             \
    }                                                    \
    break

void PN_(pn_activate)(const PN_REAL *x, PN_REAL *y, ptrdiff_t n, int code, PN_REAL alpha) {
    switch (code) {
    case PN_IDENTITY: PN_MAP(v);
    case PN_RELU: PN_MAP(v < 0 ? PN_C(0.0) : v);
    case PN_LEAKY_RELU: PN_MAP(v < 0 ? alpha * v : v);
    case PN_ELU: PN_MAP(PN_(pn_elu)(v, alpha, PN_C(1.0)));
    case PN_SELU: PN_MAP((PN_REAL)PN_SELU_SCALE * PN_(pn_elu)(v, (PN_REAL)PN_SELU_ALPHA, PN_C(1.0)));
    case PN_SIGMOID: PN_MAP_BY_TABLE(pn_sigmoid_span, PN_(pn_sigmoid)(v));
    case PN_TANH: PN_MAP_BY_TABLE(pn_tanh_span, PN_(pn_tanh)(v));
    case PN_SOFTPLUS: PN_MAP(PN_(pn_softplus)(v, alpha));
    case PN_GELU: PN_MAP_BY_TABLE(pn_gelu_span, PN_(pn_gelu)(v));
    case PN_GELU_TANH: PN_MAP(v * PN_(pn_gelu_gate)(v));
    case PN_SILU: PN_MAP_BY_TABLE(pn_silu_span, PN_(pn_silu)(v));
    case PN_MISH: PN_MAP(PN_(pn_mish)(v));
    case PN_LOGSIGMOID: PN_MAP(PN_(pn_log_sigmoid)(v));
    case PN_CELU: PN_MAP(PN_(pn_elu)(v, alpha, alpha));
    case PN_RELU6: PN_MAP(PN_(pn_clip)(v, PN_C(0.0), PN_C(6.0)));
    case PN_HARDSIGMOID: PN_MAP(PN_(pn_hardsigmoid)(v));
    case PN_HARDSWISH: PN_MAP(v < -3 ? PN_C(0.0) : (v > 3 ? v : v * PN_(pn_hardsigmoid)(v)));
    case PN_SOFTSIGN: PN_MAP(v / (PN_C(1.0) + PN_FABS(v)));
    }
}

/* y = dy * f'; x is what the derivative needs: the input for those in pn_needs_input, the output otherwise. */
#undef PN_MAP
#define PN_MAP(expression)                               \
    PN_SAFE_IN_PLACE for (ptrdiff_t i = 0; i < n; i++) { \
        PN_REAL v = x[i], d = dy[i];                     \
        y[i] = (expression);                             \
    }                                                    \
    break

void PN_(pn_activate_backward)(const PN_REAL *dy, const PN_REAL *x, PN_REAL *y, ptrdiff_t n, int code, PN_REAL alpha) {
    const PN_REAL selu_limit = (PN_REAL)(PN_SELU_SCALE * PN_SELU_ALPHA);
    switch (code) {
    case PN_IDENTITY: memmove(y, dy, (size_t)n * sizeof *y); break;
    case PN_RELU: PN_MAP(v <= 0 ? PN_C(0.0) : d);
    case PN_LEAKY_RELU: PN_MAP(v < 0 ? alpha * d : d);
    case PN_ELU: PN_MAP(d * (v < 0 ? v + alpha : PN_C(1.0)));
    case PN_SELU: PN_MAP(d * (v < 0 ? v + selu_limit : (PN_REAL)PN_SELU_SCALE));
    case PN_SIGMOID: PN_MAP(d * (v * (PN_C(1.0) - v)));
    case PN_TANH: PN_MAP(d * (PN_C(1.0) - v * v));
    case PN_SOFTPLUS: PN_MAP(d * -PN_(pn_expm1_neg)(-alpha * v));
    case PN_GELU: PN_MAP(d * PN_(pn_gelu_slope)(v));
    case PN_GELU_TANH: PN_MAP(d * PN_(pn_gelu_tanh_slope)(v));
    case PN_SILU: PN_MAP(d * PN_(pn_silu_slope)(v));
    case PN_MISH: PN_MAP(d * PN_(pn_mish_slope)(v));
    case PN_LOGSIGMOID: PN_MAP(d * -PN_(pn_expm1_neg)(v));
    case PN_CELU: PN_MAP(d * (v < 0 ? (v + alpha) / alpha : PN_C(1.0)));
    case PN_RELU6: PN_MAP(v <= 0 || v >= 6 ? PN_C(0.0) : d);
    case PN_HARDSIGMOID: PN_MAP(v <= 0 || v >= 1 ? PN_C(0.0) : d / PN_C(6.0));
    case PN_HARDSWISH: PN_MAP(v < -3 ? PN_C(0.0) : (v > 3 ? d : d * (v / PN_C(3.0) + PN_C(0.5))));
    case PN_SOFTSIGN: PN_MAP(d * ((PN_C(1.0) - PN_FABS(v)) * (PN_C(1.0) - PN_FABS(v))));
    }
}

/* The same for arrays of any size. The first elements are done by themselves, so that vectors are written within cache
 * lines: ReLU is 1.1 to 1.2 times as fast in cache. What needs no exponential is limited by memory when it is large:
 * there blocks of 512 bytes are prefetched 2 KB before they are written (1.2 times as fast from 64 MB on, Emerald
 * Rapids). Non-temporal stores gain more there, but on Zen 4 they take up to 1.5 times as long. */
#define PN_MAP_BLOCK ((ptrdiff_t)(512 / sizeof(PN_REAL)))
#define PN_MAP_LINE ((ptrdiff_t)(64 / sizeof(PN_REAL)))

/* The first element of y at a cache line boundary, or n. */
static inline ptrdiff_t PN_(pn_whole_line)(const PN_REAL *y, ptrdiff_t n) {
    const ptrdiff_t before = -(ptrdiff_t)((uintptr_t)y / sizeof(PN_REAL)) & (PN_MAP_LINE - 1);
    return pn_min(before, n);
}

static inline void PN_(pn_prefetch_block)(PN_REAL *y) {
    for (ptrdiff_t j = 0; j < PN_MAP_BLOCK; j += PN_MAP_LINE) __builtin_prefetch(y + 4 * PN_MAP_BLOCK + j, 1);
}

/* Functions with an exponential flush denormals to 0, as products do: GELU takes up to 12 times as long on them
 * otherwise. The others keep them. */
void PN_(pn_map)(const PN_REAL *x, PN_REAL *y, ptrdiff_t n, int code, PN_REAL alpha) {
    const int slow = pn_takes_exponential(code);
    const pn_float_mode mode = slow ? pn_flush_denormals() : 0;
    ptrdiff_t i = PN_(pn_whole_line)(y, n);
    PN_(pn_activate)(x, y, i, code, alpha);
    for (; !slow && i + PN_MAP_BLOCK <= n; i += PN_MAP_BLOCK) {
        PN_(pn_prefetch_block)(y + i);
        PN_(pn_activate)(x + i, y + i, PN_MAP_BLOCK, code, alpha);
    }
    PN_(pn_activate)(x + i, y + i, n - i, code, alpha);
    if (slow) pn_restore_denormals(mode);
}

void PN_(pn_map_backward)(const PN_REAL *dy, const PN_REAL *x, PN_REAL *dx, ptrdiff_t n, int code, PN_REAL alpha) {
    const int slow = pn_takes_exponential(code), flushed = slow && code >= PN_SOFTPLUS;
    const pn_float_mode mode = flushed ? pn_flush_denormals() : 0;
    ptrdiff_t i = PN_(pn_whole_line)(dx, n);
    PN_(pn_activate_backward)(dy, x, dx, i, code, alpha);
    for (; !slow && i + PN_MAP_BLOCK <= n; i += PN_MAP_BLOCK) {
        PN_(pn_prefetch_block)(dx + i);
        PN_(pn_activate_backward)(dy + i, x + i, dx + i, PN_MAP_BLOCK, code, alpha);
    }
    PN_(pn_activate_backward)(dy + i, x + i, dx + i, n - i, code, alpha);
    if (flushed) pn_restore_denormals(mode);
}

/* The value that the derivative is computed from, given the input: the input itself, or the output. */
void PN_(pn_saved_from_input)(PN_REAL *x, ptrdiff_t n, int code, PN_REAL alpha) {
    if (!pn_needs_input(code)) PN_(pn_activate)(x, x, n, code, alpha);
}

#undef PN_MAP
#undef PN_MAP_BLOCK
#undef PN_MAP_LINE

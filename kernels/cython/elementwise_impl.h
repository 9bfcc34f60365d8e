/* Template, included by elementwise.h once per floating type. Scalar and branch-free, so that the compiler turns each
 * loop into vectors; NaN passes through because every comparison with it is false. */

/* exp(x) for x <= 0 and NaN; 0.6 ULP. */
static inline PN_REAL PN_(pn_exp_neg)(PN_REAL x) {
    PN_REAL clamped = x < PN_EXP_LOWEST ? PN_EXP_LOWEST : x;
    PN_REAL n = (clamped * PN_C(1.4426950408889634) + PN_ROUND_MAGIC) - PN_ROUND_MAGIC;
    PN_REAL r = (clamped - n * PN_LN2_HIGH) - n * PN_LN2_LOW;
    PN_REAL value = PN_C(1.0) + (r + r * r * PN_Q(r));
    int gradual = clamped < PN_EXP_GRADUAL;
    PN_REAL exponent = (gradual ? n + PN_C(64.0) : n) + (PN_ROUND_MAGIC + PN_C(0.0) + PN_EXPONENT_BIAS);
    PN_BITS bits;
    memcpy(&bits, &exponent, sizeof bits);
    bits <<= PN_MANTISSA;
    PN_REAL scale;
    memcpy(&scale, &bits, sizeof scale);
    return value * scale * (gradual ? PN_C(5.421010862427522e-20) : PN_C(1.0)); /* 2^-64 */
}

/* exp(x) - 1 for x <= 0 and NaN, accurate near 0. */
static inline PN_REAL PN_(pn_expm1_neg)(PN_REAL x) {
    PN_REAL clamped = x < PN_EXPM1_LOWEST ? PN_EXPM1_LOWEST : x;
    PN_REAL n = (clamped * PN_C(1.4426950408889634) + PN_ROUND_MAGIC) - PN_ROUND_MAGIC;
    PN_REAL r = (clamped - n * PN_LN2_HIGH) - n * PN_LN2_LOW;
    PN_REAL value = r + r * r * PN_Q(r);
    PN_REAL exponent = n + (PN_ROUND_MAGIC + PN_C(0.0) + PN_EXPONENT_BIAS);
    PN_BITS bits;
    memcpy(&bits, &exponent, sizeof bits);
    bits <<= PN_MANTISSA;
    PN_REAL scale;
    memcpy(&scale, &bits, sizeof scale);
    return scale * value + (scale - PN_C(1.0));
}

/* log(1 + t) for 0 <= t <= 1 and NaN. */
static inline PN_REAL PN_(pn_log1p_unit)(PN_REAL t) {
    PN_REAL s = t / (PN_C(2.0) + t);
    PN_REAL u = s * s;
    return PN_C(2.0) * s + s * u * PN_L(u);
}

static inline PN_REAL PN_(pn_sigmoid)(PN_REAL x) {
    PN_REAL small = PN_(pn_exp_neg)(-PN_FABS(x));
    return (x < 0 ? small : PN_C(1.0)) / (PN_C(1.0) + small);
}

static inline PN_REAL PN_(pn_tanh)(PN_REAL x) {
    PN_REAL t = PN_(pn_expm1_neg)(PN_C(-2.0) * PN_FABS(x));
    return PN_COPYSIGN(t / (PN_C(2.0) + t), x);
}

static inline PN_REAL PN_(pn_softplus)(PN_REAL x, PN_REAL beta) {
    return (x > 0 ? x : PN_C(0.0)) + PN_(pn_log1p_unit)(PN_(pn_exp_neg)(-beta * PN_FABS(x))) / beta;
}

static inline PN_REAL PN_(pn_normal_cdf)(PN_REAL x) { return PN_C(0.5) * PN_ERFC(-(PN_REAL)PN_SQRT_HALF * x); }

static inline PN_REAL PN_(pn_gelu_gate)(PN_REAL x) {
    return PN_(pn_sigmoid)((PN_REAL)(2 * PN_GELU_SCALE) * (x + (PN_REAL)PN_GELU_CUBIC * (x * x * x)));
}

static inline PN_REAL PN_(pn_elu)(PN_REAL x, PN_REAL alpha) {
    return x < 0 ? alpha * PN_(pn_expm1_neg)(x < 0 ? x : PN_C(0.0)) : x;
}

/* Beyond |x| = 30 the gate is 0 or 1 exactly, and the cube of a huge x would overflow. */
static inline PN_REAL PN_(pn_gelu_tanh_slope)(PN_REAL x) {
    x = x < PN_C(-30.0) ? PN_C(-30.0) : (x > PN_C(30.0) ? PN_C(30.0) : x);
    PN_REAL gate = PN_(pn_gelu_gate)(x);
    PN_REAL inner = (PN_REAL)(2 * PN_GELU_SCALE) * (PN_C(1.0) + (PN_REAL)(3 * PN_GELU_CUBIC) * (x * x));
    return gate + x * gate * (PN_C(1.0) - gate) * inner;
}

static inline PN_REAL PN_(pn_silu_slope)(PN_REAL x) {
    PN_REAL gate = PN_(pn_sigmoid)(x);
    return gate * (PN_C(1.0) + x * (PN_C(1.0) - gate));
}

#define PN_MAP(expression)                                \
    PN_SAFE_IN_PLACE for (ptrdiff_t i = 0; i < n; i++) { \
        PN_REAL v = x[i];                                 \
        y[i] = (expression);                              \
    }                                                     \
    break

static inline void PN_(pn_activate)(const PN_REAL *x, PN_REAL *y, ptrdiff_t n, int code, PN_REAL alpha) {
    switch (code) {
    case PN_IDENTITY: PN_MAP(v);
    case PN_RELU: PN_MAP(v < 0 ? PN_C(0.0) : v);
    case PN_LEAKY_RELU: PN_MAP(v < 0 ? alpha * v : v);
    case PN_ELU: PN_MAP(PN_(pn_elu)(v, alpha));
    case PN_SELU: PN_MAP((PN_REAL)PN_SELU_SCALE * PN_(pn_elu)(v, (PN_REAL)PN_SELU_ALPHA));
    case PN_SIGMOID: PN_MAP(PN_(pn_sigmoid)(v));
    case PN_TANH: PN_MAP(PN_(pn_tanh)(v));
    case PN_SOFTPLUS: PN_MAP(PN_(pn_softplus)(v, alpha));
    case PN_GELU: PN_MAP(v * PN_(pn_normal_cdf)(v));
    case PN_GELU_TANH: PN_MAP(v * PN_(pn_gelu_gate)(v));
    case PN_SILU: PN_MAP(v * PN_(pn_sigmoid)(v));
    }
}

/* y = dy * f'; x is what the derivative needs: the input for GELU and SiLU, the output otherwise. */
#undef PN_MAP
#define PN_MAP(expression)                                \
    PN_SAFE_IN_PLACE for (ptrdiff_t i = 0; i < n; i++) { \
        PN_REAL v = x[i], d = dy[i];                      \
        y[i] = (expression);                              \
    }                                                     \
    break

static inline void PN_(pn_activate_backward)(const PN_REAL *dy, const PN_REAL *x, PN_REAL *y, ptrdiff_t n, int code,
                                             PN_REAL alpha) {
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
    case PN_GELU: PN_MAP(d * (PN_(pn_normal_cdf)(v) +
                              v * ((PN_REAL)PN_INV_SQRT_2PI * PN_(pn_exp_neg)(PN_C(-0.5) * (v * v)))));
    case PN_GELU_TANH: PN_MAP(d * PN_(pn_gelu_tanh_slope)(v));
    case PN_SILU: PN_MAP(d * PN_(pn_silu_slope)(v));
    }
}

/* The value the derivative is computed from, given the input: itself, or the output. */
static inline void PN_(pn_saved_from_input)(PN_REAL *x, ptrdiff_t n, int code, PN_REAL alpha) {
    if (code != PN_GELU && code != PN_GELU_TANH && code != PN_SILU) PN_(pn_activate)(x, x, n, code, alpha);
}

#undef PN_MAP
#undef PN_REAL
#undef PN_BITS
#undef PN_
#undef PN_C
#undef PN_MANTISSA
#undef PN_EXPONENT_BIAS
#undef PN_ROUND_MAGIC
#undef PN_LN2_HIGH
#undef PN_LN2_LOW
#undef PN_EXP_LOWEST
#undef PN_EXP_GRADUAL
#undef PN_EXPM1_LOWEST
#undef PN_Q
#undef PN_L
#undef PN_ERFC
#undef PN_COPYSIGN
#undef PN_FABS

/* Template, included by elementwise.h once per floating type. Scalar and branch-free, so that the compiler
 * vectorises each loop, except for the functions in elementwise_avx512.h; NaN passes through because every
 * comparison with it is false. Parts are always_inline: those that GCC inlined late, in a large module, had become
 * branches, and in float64 a sigmoid took 5 times as long. */

/* The larger of x and `min`; NaN passes through. Masks, because the compiler turns a condition into two whole
 * paths, one of them on constants, and selects from both at every step (1.2 times as long). */
static inline __attribute__((always_inline)) PN_REAL PN_(pn_clamp_below)(PN_REAL x, PN_REAL min) {
    PN_BITS bits, bound, below = -(PN_BITS)(x < min);
    memcpy(&bits, &x, sizeof bits);
    memcpy(&bound, &min, sizeof bound);
    bits = (bits & ~below) | (bound & below);
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* 2^(n + more), for small integers n and more. */
static inline __attribute__((always_inline)) PN_REAL PN_(pn_power_of_2)(PN_REAL n, const PN_REAL more) {
    PN_REAL exponent = n + (PN_ROUND_MAGIC + PN_EXPONENT_BIAS + more), power;
    PN_BITS bits;
    memcpy(&bits, &exponent, sizeof bits);
    bits <<= PN_MANTISSA;
    memcpy(&power, &bits, sizeof power);
    return power;
}

static inline __attribute__((always_inline)) PN_REAL PN_(pn_rounded)(PN_REAL x) {
    return (x + PN_ROUND_MAGIC) - PN_ROUND_MAGIC;
}

/* v exp(x + low) for PN_EXP_LOWEST <= x <= 0 or NaN, with small `low` and v; exp itself to 0.6 ULP. Scaled in two
 * steps, because the result may be denormal. */
static inline __attribute__((always_inline)) PN_REAL PN_(pn_times_exp)(PN_REAL v, PN_REAL x, PN_REAL low) {
    PN_REAL n = PN_(pn_rounded)(x * PN_C(1.4426950408889634));
    PN_REAL high = x - n * PN_LN2_HIGH, rest = low - n * PN_LN2_LOW; /* `high` is exact: `rest` is added last */
    PN_REAL r = high + rest, u = r * r;
    PN_REAL value = v + v * (high + (rest + u * PN_Q(r, u)));
    return value * PN_(pn_power_of_2)(n, PN_C(100.0)) * PN_C(7.888609052210118e-31); /* 2^-100 */
}

static inline __attribute__((always_inline)) PN_REAL PN_(pn_exp_neg)(PN_REAL x) {
    return PN_(pn_times_exp)(PN_C(1.0), PN_(pn_clamp_below)(x, PN_EXP_LOWEST), PN_C(0.0));
}

/* exp(x) - 1 for x <= 0 or NaN, accurate near 0. */
static inline __attribute__((always_inline)) PN_REAL PN_(pn_expm1_neg)(PN_REAL x) {
    x = PN_(pn_clamp_below)(x, PN_EXPM1_LOWEST);
    PN_REAL n = PN_(pn_rounded)(x * PN_C(1.4426950408889634));
    PN_REAL r = (x - n * PN_LN2_HIGH) - n * PN_LN2_LOW, u = r * r;
    PN_REAL scale = PN_(pn_power_of_2)(n, PN_C(0.0));
    return scale * (r + u * PN_Q(r, u)) + (scale - PN_C(1.0));
}

/* log(1 + t) for 0 <= t <= 1 or NaN. Which of the two products is fused with their sum is said: GCC 16 chose one in
 * vectors, and the other in the last elements of a span. */
static inline __attribute__((always_inline)) PN_REAL PN_(pn_log1p_unit)(PN_REAL t) {
    PN_REAL s = t / (PN_C(2.0) + t);
    PN_REAL u = s * s;
#ifdef PN_HAS_FMA
    return PN_FMA(PN_C(2.0), s, s * u * PN_L(u));
#else
    return PN_C(2.0) * s + s * u * PN_L(u);
#endif
}

static inline __attribute__((always_inline)) PN_REAL PN_(pn_sigmoid)(PN_REAL x) {
    PN_REAL small = PN_(pn_exp_neg)(-PN_FABS(x));
    return (x < 0 ? small : PN_C(1.0)) / (PN_C(1.0) + small);
}

/* x sigmoid(x). As in GELU, the exponential is multiplied last for negative x. */
static inline __attribute__((always_inline)) PN_REAL PN_(pn_silu)(PN_REAL x) {
    PN_REAL low = PN_(pn_clamp_below)(-PN_FABS(x), PN_EXP_LOWEST);
    PN_REAL small = PN_(pn_times_exp)(low, low, PN_C(0.0)) + PN_C(0.0) * x; /* -Inf gives NaN, as -Inf times 0 */
    return (x < 0 ? small : x) / (PN_C(1.0) + PN_(pn_times_exp)(PN_C(1.0), low, PN_C(0.0)));
}

/* (e - 1) / (e + 1), e = exp(-2 |x|), with short dependency chains: numerator and denominator are independent. With
 * a fused multiply-add, ln 2 is one constant: where n makes that too coarse, e is small. */
static inline __attribute__((always_inline)) PN_REAL PN_(pn_tanh)(PN_REAL x) {
    PN_REAL low = PN_(pn_clamp_below)(-PN_FABS(x), PN_C(0.5) * PN_EXPM1_LOWEST);
    PN_REAL n = PN_(pn_rounded)(low * PN_C(2.8853900817779268));
#ifdef PN_HAS_FMA
    PN_REAL r = PN_FMA(n, PN_C(-0.69314718055994531), PN_C(2.0) * low), u = r * r;
#else
    PN_REAL r = (PN_C(2.0) * low - n * PN_LN2_HIGH) - n * PN_LN2_LOW, u = r * r;
#endif
    PN_REAL scale = PN_(pn_power_of_2)(n, PN_C(0.0)), less = r + u * PN_Q(r, u);
    return PN_COPYSIGN((scale * less + (scale - PN_C(1.0))) / (scale * less + (scale + PN_C(1.0))), x);
}

static inline __attribute__((always_inline)) PN_REAL PN_(pn_softplus)(PN_REAL x, PN_REAL beta) {
    return (x > 0 ? x : PN_C(0.0)) + PN_(pn_log1p_unit)(PN_(pn_exp_neg)(-beta * PN_FABS(x))) / beta;
}

static inline __attribute__((always_inline)) PN_REAL PN_(pn_masked)(PN_REAL x, PN_BITS mask) {
    PN_BITS bits;
    memcpy(&bits, &x, sizeof bits);
    bits &= mask;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The tail of the normal distribution, t Phi(-t) = product / below * exp(square + low), for t = |x|, clamped where
 * it is 0. The square is split in two: rounded once, its error of half a unit would become 44 units in the result. */
typedef struct {
    PN_REAL upper, product, below, square, low;
} PN_(pn_tail);

static inline __attribute__((always_inline)) PN_(pn_tail) PN_(pn_normal_tail)(PN_REAL x) {
    PN_REAL t = -PN_(pn_clamp_below)(-PN_FABS(x), -PN_TAIL_MAX), upper = PN_TAIL_UPPER(t), product = t * upper;
    PN_(pn_tail) tail = {.upper = upper, .product = product, .below = (PN_REAL)PN_SQRT_2PI * product + PN_TAIL_REST(t)};
#ifdef PN_HAS_FMA
    PN_REAL half = PN_C(-0.5) * t;
    tail.square = half * t;
    tail.low = PN_FMA(half, t, -tail.square);
#else
    PN_REAL high = PN_(pn_masked)(t, PN_HALF_BITS);
    tail.square = PN_C(-0.5) * (high * high);
    tail.low = PN_C(-0.5) * ((t - high) * (t + high));
#endif
    return tail;
}

/* x Phi(x) = max(x, 0) - |x| Phi(-|x|). The exponential is multiplied last: it may be denormal, and x times its
 * error is not small. -Inf gives NaN, as -Inf times 0. */
static inline __attribute__((always_inline)) PN_REAL PN_(pn_gelu)(PN_REAL x) {
    PN_(pn_tail) tail = PN_(pn_normal_tail)(x);
    return (x < 0 ? PN_C(0.0) * x : x) - PN_(pn_times_exp)(tail.product / tail.below, tail.square, tail.low);
}

static inline __attribute__((always_inline)) PN_REAL PN_(pn_gelu_slope)(PN_REAL x) {
    PN_(pn_tail) tail = PN_(pn_normal_tail)(x);
    PN_REAL e = PN_(pn_times_exp)(PN_C(1.0), tail.square, tail.low);
    PN_REAL beyond = tail.upper / tail.below * e;
    return (x < 0 ? beyond : PN_C(1.0) - beyond) + x * ((PN_REAL)PN_INV_SQRT_2PI * e);
}

static inline __attribute__((always_inline)) PN_REAL PN_(pn_gelu_gate)(PN_REAL x) {
    return PN_(pn_sigmoid)((PN_REAL)(2 * PN_GELU_SCALE) * (x + (PN_REAL)PN_GELU_CUBIC * (x * x * x)));
}

/* alpha (exp(x / width) - 1) for negative x, else x. One condition on x alone: of two, such as one that keeps the
 * exponential from large x, the compiler may make a branch. The loop then has no vectors, and takes 16 times as
 * long. */
static inline __attribute__((always_inline)) PN_REAL PN_(pn_elu)(PN_REAL x, PN_REAL alpha, PN_REAL width) {
    const PN_REAL below = alpha * PN_(pn_expm1_neg)(x / width);
    return x < 0 ? below : x;
}

/* Beyond |x| = 30 the gate is 0 or 1 exactly, and the cube of a huge x would overflow. */
static inline __attribute__((always_inline)) PN_REAL PN_(pn_gelu_tanh_slope)(PN_REAL x) {
    x = x < PN_C(-30.0) ? PN_C(-30.0) : (x > PN_C(30.0) ? PN_C(30.0) : x);
    PN_REAL gate = PN_(pn_gelu_gate)(x);
    PN_REAL inner = (PN_REAL)(2 * PN_GELU_SCALE) * (PN_C(1.0) + (PN_REAL)(3 * PN_GELU_CUBIC) * (x * x));
    return gate + x * gate * (PN_C(1.0) - gate) * inner;
}

/* What Mish and its slope are made of, from s = exp(-|x|): tanh(softplus(x)) = share / whole = 1 - rest / whole. The
 * whole is a polynomial whose coefficients depend on the sign. As a sum of `share` and `rest`, a compiler contracts it
 * where it branches, but not where it selects: the last elements of a span had other bits than the first. */
typedef struct {
    PN_REAL small, share, rest, whole;
} PN_(pn_mish_parts);

static inline __attribute__((always_inline)) PN_(pn_mish_parts) PN_(pn_mish_of)(PN_REAL x) {
    const PN_REAL s = PN_(pn_exp_neg)(-PN_FABS(x));
    PN_(pn_mish_parts) parts = {.small = s};
    parts.share = x < 0 ? s * (s + PN_C(2.0)) : PN_C(1.0) + PN_C(2.0) * s;
    parts.rest = x < 0 ? PN_C(2.0) : PN_C(2.0) * (s * s);
    const PN_REAL first = x < 0 ? PN_C(2.0) : PN_C(1.0), last = x < 0 ? PN_C(1.0) : PN_C(2.0);
    parts.whole = first + s * (PN_C(2.0) + last * s);
    return parts;
}

/* x tanh(softplus(x)). As in SiLU, the exponential is multiplied last for negative x, and -Inf gives NaN. */
static inline __attribute__((always_inline)) PN_REAL PN_(pn_mish)(PN_REAL x) {
    PN_(pn_mish_parts) parts = PN_(pn_mish_of)(x);
    PN_REAL low = PN_(pn_clamp_below)(-PN_FABS(x), PN_EXP_LOWEST);
    PN_REAL below = PN_(pn_times_exp)(low, low, PN_C(0.0)) * (parts.small + PN_C(2.0)) + PN_C(0.0) * x;
    return (x < 0 ? below : x * parts.share) / parts.whole;
}

static inline __attribute__((always_inline)) PN_REAL PN_(pn_mish_slope)(PN_REAL x) {
    PN_(pn_mish_parts) parts = PN_(pn_mish_of)(x);
    PN_REAL t = parts.share / parts.whole;
    PN_REAL gate = (x < 0 ? parts.small : PN_C(1.0)) / (PN_C(1.0) + parts.small);
    return t + x * gate * (parts.rest / parts.whole) * (PN_C(1.0) + t);
}

static inline __attribute__((always_inline)) PN_REAL PN_(pn_log_sigmoid)(PN_REAL x) {
    return (x < 0 ? x : PN_C(0.0)) - PN_(pn_log1p_unit)(PN_(pn_exp_neg)(-PN_FABS(x)));
}

static inline __attribute__((always_inline)) PN_REAL PN_(pn_clip)(PN_REAL x, PN_REAL low, PN_REAL high) {
    return x < low ? low : (x > high ? high : x);
}

static inline __attribute__((always_inline)) PN_REAL PN_(pn_hardsigmoid)(PN_REAL x) {
    return PN_(pn_clip)(x + PN_C(3.0), PN_C(0.0), PN_C(6.0)) / PN_C(6.0);
}

static inline __attribute__((always_inline)) PN_REAL PN_(pn_silu_slope)(PN_REAL x) {
    PN_REAL gate = PN_(pn_sigmoid)(x);
    return gate * (PN_C(1.0) + x * (PN_C(1.0) - gate));
}

#ifdef PN_WHOLE_SPANS
#include "activate_template.h"
#endif

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
#undef PN_EXPM1_LOWEST
#undef PN_Q
#undef PN_L
#undef PN_TAIL_MAX
#undef PN_HALF_BITS
#undef PN_TAIL_UPPER
#undef PN_TAIL_REST
#undef PN_COPYSIGN
#undef PN_FABS
#undef PN_FMA

/* Activations on contiguous spans, for float (suffix _f32) and double (suffix _f64). */
#ifndef PYNN_ELEMENTWISE_H
#define PYNN_ELEMENTWISE_H

#include <math.h>

#include "platform.h"

/* The numbers of kernels/codes.py. */
enum {
    PN_IDENTITY, PN_RELU, PN_LEAKY_RELU, PN_ELU, PN_SELU, PN_SIGMOID, PN_TANH, PN_SOFTPLUS, PN_GELU, PN_GELU_TANH,
    PN_SILU
};

#define PN_SELU_SCALE 1.0507009873554804934193349852946
#define PN_SELU_ALPHA 1.6732632423543772848170429916717
#define PN_GELU_SCALE 0.79788456080286535587989211986876
#define PN_GELU_CUBIC 0.044715
#define PN_INV_SQRT_2PI 0.39894228040143267794

/* Polynomials: q(r) = (exp(r) - 1 - r) / r^2 on |r| <= ln(2)/2; l(u) = (2 atanh(s) - 2 s) / s^3, u = s^2 <= 1/9; and for
 * the tail of the normal distribution Phi(-t) exp(t^2 / 2) (t + pole), s = (t - pole) / (t + pole). Interpolated at
 * Chebyshev points in 40 digits or more. Errors relative to the results: 2e-10, 4e-10 and 4e-9 (float), 2e-19, 5e-18 and
 * 2e-17 (double). */
#define PN_REAL float
#define PN_BITS uint32_t
#define PN_(name) name##_f32
#define PN_C(constant) constant##f
#define PN_MANTISSA 23
#define PN_EXPONENT_BIAS 127
#define PN_ROUND_MAGIC 12582912.0f /* 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits */
#define PN_LN2_HIGH 0.693359375f
#define PN_LN2_LOW -2.12194440e-4f
#define PN_EXP_LOWEST -110.0f /* x exp(x) rounds to 0 below */
#define PN_EXP_GRADUAL -80.0f /* below this the result may be denormal: scale in two steps */
#define PN_EXPM1_LOWEST -18.0f /* expm1 rounds to -1 below */
#define PN_Q(r) \
    (0.5f + r * (0.16666667163372040f + r * (0.041666463017463684f + r * (0.008333310484886170f + \
     r * (0.0013933731243014336f + r * 0.00019891079864464700f)))))
#define PN_L(u) \
    (0.66666668653488160f + u * (0.39999705553054810f + u * (0.28592365980148315f + u * (0.21706460416316986f + \
     u * 0.23224921524524690f))))
#define PN_TAIL_MOST 15.0f /* t Phi(-t) rounds to 0 beyond, and exp(-t^2 / 2) is below PN_EXP_LOWEST */
#define PN_TAIL_POLE 1.5f
#define PN_HALF_BITS 0xfffff000u /* half of the significand: its square is exact */
#define PN_NEAR_BITS 0xffffffc0u /* so much that adding the pole rarely rounds */
#define PN_TAIL(s) \
    (0.617342f + s * (-0.1950995f + s * (-0.05749541f + s * (0.01789716f + s * (0.017637916f + s * (0.00398156f + s \
     * (-0.002413197f + s * (-0.002679161f + s * (-0.0011103846f + s * (0.00017347632f + s * (0.00056245277f + s * \
     (0.00024614128f + s * (-4.970018e-05f + s * -4.600298e-05f)))))))))))))
#define PN_COPYSIGN copysignf
#define PN_FABS fabsf
#include "elementwise_impl.h"

#define PN_REAL double
#define PN_BITS uint64_t
#define PN_(name) name##_f64
#define PN_C(constant) constant
#define PN_MANTISSA 52
#define PN_EXPONENT_BIAS 1023
#define PN_ROUND_MAGIC 6755399441055744.0 /* 1.5 * 2^52 */
#define PN_LN2_HIGH 6.93147180369123816490e-01
#define PN_LN2_LOW 1.90821492927058770002e-10
#define PN_EXP_LOWEST -755.0
#define PN_EXP_GRADUAL -690.0
#define PN_EXPM1_LOWEST -38.0
#define PN_Q(r) \
    (0.5 + r * (0.1666666666666667 + r * (0.04166666666666667 + r * (0.008333333333326084 + \
     r * (0.0013888888888883711 + r * (0.0001984126987500228 + r * (2.480158732567746e-05 + \
     r * (2.755725517000089e-06 + r * (2.755727347871858e-07 + r * (2.5105312729622103e-08 + \
     r * 2.09147553258932e-09))))))))))
#define PN_L(u) \
    (0.6666666666666666 + u * (0.40000000000014596 + u * (0.2857142856710506 + u * (0.22222222717801782 + \
     u * (0.18181789417326447 + u * (0.15385570592912243 + u * (0.13314135550881162 + u * (0.12001155182857778 + \
     u * (0.08800317650868773 + u * 0.16164938169471338)))))))))
#define PN_TAIL_MOST 39.0
#define PN_TAIL_POLE 4.5
#define PN_HALF_BITS UINT64_C(0xfffffffff8000000)
#define PN_NEAR_BITS UINT64_C(0xfffffffffffff000)
#define PN_TAIL(s) \
    (0.7632305289702032 + s * (-0.6402577602526173 + s * (0.4464525170556785 + s * (-0.2531417999509452 + s * ( \
     0.11138259657019556 + s * (-0.033871326177873876 + s * (0.004223613380869944 + s * ( \
     0.0017488305779481995 + s * (-0.0009177465117992581 + s * (6.381074135105245e-06 + s * ( \
     0.00011204276564601879 + s * (-1.593273069455013e-05 + s * (-1.4236104047347632e-05 + s * ( \
     3.189195747295116e-06 + s * (2.1430671958163885e-06 + s * (-4.984654854755787e-07 + s * ( \
     -3.788782740440246e-07 + s * (6.000617529729922e-08 + s * (6.911707060715889e-08 + s * ( \
     -2.2447686446947856e-09 + s * (-9.719541714313239e-09 + s * (-8.39260474554159e-10 + s * \
     4.79163178460268e-10))))))))))))))))))))))
#define PN_COPYSIGN copysign
#define PN_FABS fabs
#include "elementwise_impl.h"

#endif

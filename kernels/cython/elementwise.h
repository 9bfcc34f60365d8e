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
#define PN_SQRT_HALF 0.70710678118654752440
#define PN_INV_SQRT_2PI 0.39894228040143267794

/* Polynomials: q(r) = (exp(r) - 1 - r) / r^2 on |r| <= ln(2)/2, and l(u) = (2 atanh(s) - 2 s) / s^3, u = s^2 <= 1/9,
 * interpolated at Chebyshev points in 40 digits. Errors relative to the results: 2e-10 and 4e-10 (float), 2e-19 and
 * 5e-18 (double). */
#define PN_REAL float
#define PN_BITS uint32_t
#define PN_(name) name##_f32
#define PN_C(constant) constant##f
#define PN_MANTISSA 23
#define PN_EXPONENT_BIAS 127
#define PN_ROUND_MAGIC 12582912.0f /* 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits */
#define PN_LN2_HIGH 0.693359375f
#define PN_LN2_LOW -2.12194440e-4f
#define PN_EXP_LOWEST -104.0f /* exp rounds to 0 below */
#define PN_EXP_GRADUAL -80.0f /* below this the result may be denormal: scale in two steps */
#define PN_EXPM1_LOWEST -18.0f /* expm1 rounds to -1 below */
#define PN_Q(r) \
    (0.5f + r * (0.16666667163372040f + r * (0.041666463017463684f + r * (0.008333310484886170f + \
     r * (0.0013933731243014336f + r * 0.00019891079864464700f)))))
#define PN_L(u) \
    (0.66666668653488160f + u * (0.39999705553054810f + u * (0.28592365980148315f + u * (0.21706460416316986f + \
     u * 0.23224921524524690f))))
#define PN_ERFC erfcf
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
#define PN_EXP_LOWEST -746.0
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
#define PN_ERFC erfc
#define PN_COPYSIGN copysign
#define PN_FABS fabs
#include "elementwise_impl.h"

#endif

/* The parts of activations, of one element, for float (suffix _f32) and double (suffix _f64). */
#ifndef PYNN_ELEMENTWISE_H
#define PYNN_ELEMENTWISE_H

#include <math.h>

#include "common/platform.h"

#define PN_SELU_SCALE 1.0507009873554804934193349852946
#define PN_SELU_ALPHA 1.6732632423543772848170429916717
#define PN_GELU_SCALE 0.79788456080286535587989211986876
#define PN_GELU_CUBIC 0.044715
#define PN_SQRT_2PI 2.5066282746310005024
#define PN_INV_SQRT_2PI 0.39894228040143267794

/* Polynomials. q(r) = (exp(r) - 1 - r) / r^2 on |r| <= ln(2)/2 is split into even and odd parts in u = r^2: two
 * short dependency chains instead of a long one. l(u) = (2 atanh(s) - 2 s) / s^3, u = s^2 <= 1/9. Both are
 * interpolated at Chebyshev points in 40 digits. The tail of the normal distribution, Phi(-t) exp(t^2 / 2) =
 * upper(t) / (sqrt(2 pi) t upper(t) + rest(t)), is fitted by least squares, weighted towards the largest error: no
 * coefficient is negative, so nothing cancels, and for large t the rounding error of `upper` cancels out. Errors
 * relative to the results: 2e-10, 4e-10 and 4e-9 (float), 2e-19, 5e-18 and 3e-18 (double). */
#define PN_REAL float
#define PN_BITS uint32_t
#define PN_(name) name##_f32
#define PN_C(constant) constant##f
#define PN_MANTISSA 23
#define PN_EXPONENT_BIAS 127
#define PN_ROUND_MAGIC 12582912.0f /* 1.5 * 2^23: adding it rounds to an integer, held in the low bits */
#define PN_LN2_HIGH 0.693359375f
#define PN_LN2_LOW -2.12194440e-4f
#define PN_EXP_LOWEST -110.0f /* x exp(x) rounds to 0 below */
#define PN_EXPM1_LOWEST -18.0f /* expm1 rounds to -1 below */
/* clang-format off */
#define PN_Q(r, u) \
    ((0.5f + u * (0.041666463017463684f + u * 0.0013933731243014336f)) + r * (0.16666667163372040f + u * \
     (0.008333310484886170f + u * 0.00019891079864464700f)))
#define PN_L(u) \
    (0.66666668653488160f + u * (0.39999705553054810f + u * (0.28592365980148315f + u * (0.21706460416316986f + \
     u * 0.23224921524524690f))))
#define PN_TAIL_MAX 15.0f /* t Phi(-t) rounds to 0 beyond, and exp(-t^2 / 2) is below PN_EXP_LOWEST */
#define PN_HALF_BITS 0xfffff000u /* half of the significand: its square is exact */
#define PN_TAIL_UPPER(t) \
    (0.75f + t * (0.8144549f + t * (0.42467475f + t * (0.12818258f + t * (0.022398483f + t * 0.0018715016f)))))
#define PN_TAIL_REST(t) \
    (1.5f + t * (0.94576544f + t * (0.31242636f + t * (0.056121852f + t * 0.0046916083f))))
/* clang-format on */
/* Apply the function of x, y and n for whole spans if there is one, else the expression of v element by element. */
#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include "elementwise_avx512.h"
#define PN_MAP_BY_TABLE(span, expression) \
    span(x, y, n);                        \
    break
#else
#define PN_MAP_BY_TABLE(span, expression) PN_MAP(expression)
#endif
#define PN_COPYSIGN copysignf
#define PN_FABS fabsf
#define PN_FMA __builtin_fmaf
#include "elementwise_template.h"

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
#define PN_EXPM1_LOWEST -38.0
/* clang-format off */
#define PN_Q(r, u) \
    ((0.5 + u * (0.04166666666666667 + u * (0.0013888888888883711 + u * (2.480158732567746e-05 + u * \
     (2.755727347871858e-07 + u * 2.09147553258932e-09))))) + r * (0.1666666666666667 + u * \
     (0.008333333333326084 + u * (0.0001984126987500228 + u * (2.755725517000089e-06 + u * \
     2.5105312729622103e-08)))))
#define PN_L(u) \
    (0.6666666666666666 + u * (0.40000000000014596 + u * (0.2857142856710506 + u * (0.22222222717801782 + \
     u * (0.18181789417326447 + u * (0.15385570592912243 + u * (0.13314135550881162 + u * (0.12001155182857778 + \
     u * (0.08800317650868773 + u * 0.16164938169471338)))))))))
#define PN_TAIL_MAX 39.0
#define PN_HALF_BITS UINT64_C(0xfffffffff8000000)
#define PN_TAIL_UPPER(t) \
    (0.75 + t * (1.3454491458947948 + t * (1.1961050668989486 + t * (0.6850900242239832 + t * \
     (0.27862706295291345 + t * (0.0841263730364551 + t * (0.019210179075942756 + t * (0.003318941560383747 + t * \
     (0.0004261612323215243 + t * (3.890483449767637e-05 + t * (2.2893767150776936e-06 + t * \
     6.6594034833496e-08)))))))))))
#define PN_TAIL_REST(t) \
    (1.5 + t * (2.0077539270206373 + t * (1.3716251228809646 + t * (0.6123657827797754 + t * (0.1951977276845327 \
     + t * (0.04607370685717229 + t * (0.008125982163216527 + t * (0.0010567505602868876 + t * \
     (9.718610521356991e-05 + t * (5.738616405061197e-06 + t * 1.6692649063648745e-07))))))))))
/* clang-format on */
#define PN_MAP_BY_TABLE(span, expression) PN_MAP(expression)
#define PN_COPYSIGN copysign
#define PN_FABS fabs
#define PN_FMA __builtin_fma
#include "elementwise_template.h"

#endif

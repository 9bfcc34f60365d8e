/* Adjacent 2 x 2 windows with AVX-512: a vector of results from two vectors of the upper rows and two of the lower.
 * For narrow images, a vector holds two or four rows. */
#ifndef PYNN_POOLING_AVX512_H
#define PYNN_POOLING_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

/* Each 16-bit number duplicated. */
#define PN_TWICE_SHORT                                                                                               \
    _mm512_set_epi16(15, 15, 14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 9, 9, 8, 8, 7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, \
                     1, 1, 0, 0)

#define PN_REAL float
#define PN_INT int32_t
#define PN_INT_OP(name) _mm512_##name##_epi32
#define PN_(name) name##_f32
#define PN_WHOLE __m512
#define PN_MASK __mmask16
#define PN_SHORT __m256i
#define PN_OP(name) _mm512_##name##_ps
#define PN_OP_MASK(name) _mm512_##name##_ps_mask
#define PN_HALF_OP(name) _mm256_##name##_ps
#define PN_SHORT_OP(name) _mm256_##name##_epi16
#define PN_JOIN(low, high) _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1)
#define PN_LOW(v) _mm512_castps512_ps256(v)
#define PN_HIGH(v) _mm512_extractf32x8_ps(v, 1)
#define PN_WIDEN(v) _mm512_castsi256_si512(v)
#define PN_EVEN _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define PN_ODD _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
#define PN_TWICE_LOW _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7)
#define PN_TWICE_HIGH _mm512_setr_epi32(8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15)
#include "pooling_avx512_template.h"

#define PN_REAL double
#define PN_INT int64_t
#define PN_INT_OP(name) _mm512_##name##_epi64
#define PN_(name) name##_f64
#define PN_WHOLE __m512d
#define PN_MASK __mmask8
#define PN_SHORT __m128i
#define PN_OP(name) _mm512_##name##_pd
#define PN_OP_MASK(name) _mm512_##name##_pd_mask
#define PN_HALF_OP(name) _mm256_##name##_pd
#define PN_SHORT_OP(name) _mm_##name##_epi16
#define PN_JOIN(low, high) _mm512_insertf64x4(_mm512_castpd256_pd512(low), high, 1)
#define PN_LOW(v) _mm512_castpd512_pd256(v)
#define PN_HIGH(v) _mm512_extractf64x4_pd(v, 1)
#define PN_WIDEN(v) _mm512_castsi128_si512(v)
#define PN_EVEN _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14)
#define PN_ODD _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15)
#define PN_TWICE_LOW _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3)
#define PN_TWICE_HIGH _mm512_setr_epi64(4, 4, 5, 5, 6, 6, 7, 7)
#include "pooling_avx512_template.h"

#endif

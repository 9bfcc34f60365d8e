/* Statistics of a watched training step, for float (suffix _f32) and double (suffix _f64). */
#ifndef PYNN_STATS_H
#define PYNN_STATS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "common/vector.h"

#define PN_WATCH_BLOCK 512 /* elements summed in single precision */

#define PN_WATCH_LANES (PN_VECTOR_BYTES / 8) /* of a vector of float64 */

/* Horizontal sum. */
static inline double pn_sum_of(pn_vector_f64 v) {
    double lanes[PN_WATCH_LANES];
    memcpy(lanes, &v, sizeof v);
    for (int half = PN_WATCH_LANES / 2; half > 0; half /= 2)
        for (int lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
    return lanes[0];
}

/* Convert a vector from single to double precision; gcc 12 compiles its own builtin to four instructions. */
#if defined(__AVX512F__)
#include <immintrin.h>
#define PN_WIDEN_SINGLE(v) ((pn_unaligned_f64)_mm512_cvtps_pd((__m256)(v)))
#elif defined(__AVX2__)
#include <immintrin.h>
#define PN_WIDEN_SINGLE(v) ((pn_unaligned_f64)_mm256_cvtps_pd((__m128)(v)))
#else
#define PN_WIDEN_SINGLE(v) __builtin_convertvector(v, pn_unaligned_f64)
#endif

#define PN_REAL float
#define PN_COUNT int32_t
#define PN_WIDEN PN_WIDEN_SINGLE
#define PN_(name) name##_f32
#define PN_FABS fabsf
#include "stats_template.h"

#define PN_REAL double
#define PN_COUNT int64_t
#define PN_WIDEN(v) (v)
#define PN_(name) name##_f64
#define PN_FABS fabs
#include "stats_template.h"

#endif

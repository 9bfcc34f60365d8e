/* Max pooling over adjacent 2 x 2 windows, in single precision. Two neighbours are the halves of one 64-bit lane: a
 * shift moves the second onto the first, and narrowing the lanes packs the results. No shuffles, and no branches,
 * which the compiler generates for the scalar loop (10 to 20 times slower). */
#ifndef PYNN_POOLING_2X2_H
#define PYNN_POOLING_2X2_H

#include <stddef.h>
#include <stdint.h>

#include "common/platform.h"

#define PN_POOL_2X2(bytes)                                                                                            \
    typedef uint64_t pn_pairs_##bytes __attribute__((vector_size(bytes), aligned(4), may_alias));                     \
    typedef float pn_halves_##bytes __attribute__((vector_size(bytes)));                                              \
    typedef int32_t pn_masks_##bytes __attribute__((vector_size(bytes)));                                             \
    typedef uint32_t pn_narrow_##bytes __attribute__((vector_size(bytes / 2), aligned(4), may_alias));                \
    typedef uint16_t pn_short_##bytes __attribute__((vector_size(bytes / 4), aligned(2), may_alias));                 \
    /* x, or y where that is larger or NaN; lanes of *which are set where y is chosen. */                             \
    static inline pn_halves_##bytes pn_larger_##bytes(pn_halves_##bytes x, pn_halves_##bytes y,                       \
                                                      pn_masks_##bytes *which) {                                      \
        *which = ~(pn_masks_##bytes)(y <= x) & (pn_masks_##bytes)(x == x);                                            \
        return (pn_halves_##bytes)(((pn_masks_##bytes)y & *which) | ((pn_masks_##bytes)x & ~*which));                 \
    }                                                                                                                 \
    static inline ptrdiff_t pn_max_2x2_##bytes(const float *a, const float *b, ptrdiff_t from, ptrdiff_t n, float *y, \
                                               uint16_t *index) {                                                     \
        for (; from + bytes / 8 <= n; from += bytes / 8) {                                                            \
            const pn_pairs_##bytes above = *(const pn_pairs_##bytes *)(a + 2 * from);                                 \
            const pn_pairs_##bytes below = *(const pn_pairs_##bytes *)(b + 2 * from);                                 \
            pn_masks_##bytes right, right_below, lower;                                                               \
            const pn_halves_##bytes high =                                                                            \
                pn_larger_##bytes((pn_halves_##bytes)above, (pn_halves_##bytes)(above >> 32), &right);                \
            const pn_halves_##bytes low =                                                                             \
                pn_larger_##bytes((pn_halves_##bytes)below, (pn_halves_##bytes)(below >> 32), &right_below);          \
            const pn_halves_##bytes best = pn_larger_##bytes(high, low, &lower);                                      \
            *(pn_narrow_##bytes *)(y + from) = __builtin_convertvector((pn_pairs_##bytes)best, pn_narrow_##bytes);    \
            if (!index) continue;                                                                                     \
            const pn_masks_##bytes element = (lower & 2) | (((right_below & lower) | (right & ~lower)) & 1);          \
            *(pn_short_##bytes *)(index + from) =                                                                     \
                __builtin_convertvector((pn_pairs_##bytes)element, pn_short_##bytes);                                 \
        }                                                                                                             \
        return from;                                                                                                  \
    }                                                                                                                 \
    static inline ptrdiff_t pn_max_2x2_back_##bytes(const float *dy, const uint16_t *index, ptrdiff_t from,           \
                                                    ptrdiff_t n, float *a, float *b) {                                \
        for (; from + bytes / 8 <= n; from += bytes / 8) {                                                            \
            const pn_pairs_##bytes g =                                                                                \
                __builtin_convertvector(*(const pn_narrow_##bytes *)(dy + from), pn_pairs_##bytes);                   \
            const pn_pairs_##bytes element =                                                                          \
                __builtin_convertvector(*(const pn_short_##bytes *)(index + from), pn_pairs_##bytes);                 \
            const pn_pairs_##bytes right = g << 32;                                                                   \
            *(pn_pairs_##bytes *)(a + 2 * from) =                                                                     \
                (g & (pn_pairs_##bytes)(element == 0)) | (right & (pn_pairs_##bytes)(element == 1));                  \
            *(pn_pairs_##bytes *)(b + 2 * from) =                                                                     \
                (g & (pn_pairs_##bytes)(element == 2)) | (right & (pn_pairs_##bytes)(element == 3));                  \
        }                                                                                                             \
        return from;                                                                                                  \
    }
#if PN_VECTOR_BYTES >= 32
PN_POOL_2X2(32)
#endif
PN_POOL_2X2(16)

/* These process windows from the first on, and return how many they did. */
static inline ptrdiff_t pn_max_2x2_start_f32(const float *a, const float *b, ptrdiff_t n, float *y, uint16_t *index) {
    ptrdiff_t done = 0;
#if PN_VECTOR_BYTES >= 32
    done = pn_max_2x2_32(a, b, done, n, y, index);
#endif
    return pn_max_2x2_16(a, b, done, n, y, index);
}

static inline ptrdiff_t pn_max_2x2_back_start_f32(const float *dy, const uint16_t *index, ptrdiff_t n, float *a,
                                                  float *b) {
    ptrdiff_t done = 0;
#if PN_VECTOR_BYTES >= 32
    done = pn_max_2x2_back_32(dy, index, done, n, a, b);
#endif
    return pn_max_2x2_back_16(dy, index, done, n, a, b);
}

static inline ptrdiff_t pn_max_2x2_start_f64(const double *a, const double *b, ptrdiff_t n, double *y,
                                             uint16_t *index) {
    (void)a, (void)b, (void)n, (void)y, (void)index;
    return 0;
}

static inline ptrdiff_t pn_max_2x2_back_start_f64(const double *dy, const uint16_t *index, ptrdiff_t n, double *a,
                                                  double *b) {
    (void)dy, (void)index, (void)n, (void)a, (void)b;
    return 0;
}

#endif

/* Packing for matrix units: float32 operands are split into bfloat16 parts, whose sum they are, in tiles.
 *
 * A tile of A is 16 rows of 32 k. A tile of B is 16 pairs of k, of 16 columns each: the unit multiplies and adds pairs.
 * A panel holds 32 rows of A or columns of B; for every 32 k of it, two tiles of each part follow one another.
 */
#ifndef PYNN_AMX_PACK_H
#define PYNN_AMX_PACK_H

#include <immintrin.h>

#define PN_AMX __attribute__((target("avx512bf16,amx-tile,amx-bf16")))
#define PN_AMX_INLINE static inline __attribute__((always_inline)) PN_AMX

#define PN_AMX_TILE 512 /* bfloat16 in a tile */
#define PN_AMX_K 32     /* k of a tile */
#define PN_AMX_SIDE 32  /* rows or columns of a panel */

/* An operand in memory. Lines are rows of A or columns of B; `line` or `k`, their strides, is 1. */
typedef struct {
    const float *first;
    ptrdiff_t line, k, lines, depth;
} pn_amx_operand;

/* Round to the nearest bfloat16 by Veltkamp's splitting. NaN stays NaN; what exceeds 2^112 becomes it. */
PN_AMX_INLINE __m512i pn_amx_round(__m512 x) {
    __m512 scaled = _mm512_mul_ps(x, _mm512_set1_ps(65537.0f));
    PN_ROUND(scaled);
    return _mm512_castps_si512(_mm512_sub_ps(scaled, _mm512_sub_ps(scaled, x)));
}

/* Split two vectors into parts, and store each part of both as one vector of bfloat16. For A, they are neighbours along
 * k; for B, their elements make pairs. All parts but the last are rounded by adding half a unit to the bits. This may
 * turn NaN into 0, but then the last part is NaN. */
PN_AMX_INLINE void pn_amx_split(__m512 x0, __m512 x1, const int parts, const int left, uint16_t *out) {
    const __m512i odd = _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31, 29, 27, 25,
                                         23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    const __m512i half = _mm512_set1_epi32(0x8000), upper = _mm512_set1_epi32((int)0xffff0000);
    const __m512i minus_first = _mm512_set1_epi32(0x0000bf80), minus_second = _mm512_set1_epi32((int)0xbf800000);
#pragma GCC unroll 3
    for (int part = 0; part < parts; part++, out += 2 * PN_AMX_TILE) {
        const int last = part + 1 == parts, exact = part == 2; /* the third part needs no rounding */
        __m512i i0 = _mm512_castps_si512(x0), i1 = _mm512_castps_si512(x1);
        if (!last)
            i0 = _mm512_add_epi32(i0, half), i1 = _mm512_add_epi32(i1, half);
        else if (!exact)
            i0 = pn_amx_round(x0), i1 = pn_amx_round(x1);
        const __m512i both = left ? _mm512_permutex2var_epi16(i0, odd, i1)
                                  : _mm512_ternarylogic_epi32(_mm512_srli_epi32(i0, 16), i1, upper, 0xf8);
        _mm512_store_si512(out, both);
        if (last) break;
        if (left) {
            x0 = _mm512_sub_ps(x0, _mm512_castsi512_ps(_mm512_and_si512(i0, upper)));
            x1 = _mm512_sub_ps(x1, _mm512_castsi512_ps(_mm512_and_si512(i1, upper)));
        } else { /* one instruction subtracts one element of each pair */
            x0 = _mm512_dpbf16_ps(x0, (__m512bh)both, (__m512bh)minus_first);
            x1 = _mm512_dpbf16_ps(x1, (__m512bh)both, (__m512bh)minus_second);
        }
    }
}

PN_AMX_INLINE __mmask16 pn_amx_mask(ptrdiff_t count) {
    return count <= 0 ? 0 : count < 16 ? (__mmask16)((1u << count) - 1) : 0xffff;
}

/* Load 16 vectors, of which `vectors` exist, and store them transposed, `apart` from one another. */
static __attribute__((noinline)) void pn_amx_transpose(const float *from, ptrdiff_t stride, ptrdiff_t vectors,
                                                       __mmask16 mask, float *transposed, ptrdiff_t apart) {
    pn_vector_f32 v[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) v[i] = (pn_vector_f32)_mm512_maskz_loadu_ps(i < vectors ? mask : 0, from + i * stride);
    pn_transpose_f32(v);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) _mm512_store_ps(transposed + i * apart, (__m512)v[i]);
}

/* Pack 16 lines and 32 k of an operand into one tile per part. `lines` and `depth` are how much of the operand exists
 * from `from` on; beyond it tiles are 0. */
PN_AMX_INLINE void pn_amx_pack_tile(const pn_amx_operand *p, const float *from, const int parts, const int left,
                                    const ptrdiff_t lines, const ptrdiff_t depth, uint16_t *out) {
    float transposed[16 * PN_AMX_K] __attribute__((aligned(64)));
    if (left && p->k == 1) {
#pragma GCC unroll 4
        for (int i = 0; i < 16; i++, from += p->line, out += PN_AMX_K) {
            const __mmask16 first = i < lines ? pn_amx_mask(depth) : 0;
            const __mmask16 second = i < lines ? pn_amx_mask(depth - 16) : 0;
            pn_amx_split(_mm512_maskz_loadu_ps(first, from), _mm512_maskz_loadu_ps(second, from + 16), parts, 1, out);
        }
    } else if (left) {
        pn_amx_transpose(from, p->k, depth, pn_amx_mask(lines), transposed, PN_AMX_K);
        pn_amx_transpose(from + 16 * p->k, p->k, depth - 16, pn_amx_mask(lines), transposed + 16, PN_AMX_K);
        for (const float *row = transposed; row < transposed + 16 * PN_AMX_K; row += PN_AMX_K, out += PN_AMX_K)
            pn_amx_split(_mm512_load_ps(row), _mm512_load_ps(row + 16), parts, 1, out);
    } else if (p->line == 1) {
#pragma GCC unroll 4
        for (int i = 0; i < PN_AMX_K; i += 2, from += 2 * p->k, out += PN_AMX_K) {
            const __mmask16 first = i < depth ? pn_amx_mask(lines) : 0;
            const __mmask16 second = i + 1 < depth ? pn_amx_mask(lines) : 0;
            __builtin_prefetch(from + PN_AMX_K * p->k);
            __builtin_prefetch(from + (PN_AMX_K + 1) * p->k);
            pn_amx_split(_mm512_maskz_loadu_ps(first, from), _mm512_maskz_loadu_ps(second, from + p->k), parts, 0, out);
        }
    } else {
        pn_amx_transpose(from, p->line, lines, pn_amx_mask(depth), transposed, 16);
        pn_amx_transpose(from + 16, p->line, lines, pn_amx_mask(depth - 16), transposed + 16 * 16, 16);
        for (const float *row = transposed; row < transposed + 16 * PN_AMX_K; row += 2 * 16, out += PN_AMX_K)
            pn_amx_split(_mm512_load_ps(row), _mm512_load_ps(row + 16), parts, 0, out);
    }
}

/* Pack the panel whose first line is `line`. */
PN_AMX_INLINE void pn_amx_pack_parts(const pn_amx_operand *p, ptrdiff_t line, const int parts, const int left,
                                     uint16_t *out) {
    const ptrdiff_t stop = line + PN_AMX_SIDE;
    for (ptrdiff_t k = 0; k < p->depth; k += PN_AMX_K, out += parts * 2 * PN_AMX_TILE)
        for (ptrdiff_t first = line; first < stop; first += 16) {
            const ptrdiff_t lines = p->lines - first, depth = p->depth - k;
            const float *from = p->first + first * p->line + k * p->k;
            uint16_t *tile = out + (first > line ? PN_AMX_TILE : 0);
            if (lines >= 16 && depth >= PN_AMX_K) /* as constants: no masks */
                pn_amx_pack_tile(p, from, parts, left, 16, PN_AMX_K, tile);
            else
                pn_amx_pack_tile(p, from, parts, left, lines, depth, tile);
        }
}

static __attribute__((noinline)) PN_AMX void pn_amx_pack_left(const pn_amx_operand *p, ptrdiff_t line, int parts,
                                                              uint16_t *out) {
    if (parts == 3)
        pn_amx_pack_parts(p, line, 3, 1, out);
    else if (parts == 2)
        pn_amx_pack_parts(p, line, 2, 1, out);
    else
        pn_amx_pack_parts(p, line, 1, 1, out);
}

static __attribute__((noinline)) PN_AMX void pn_amx_pack_right(const pn_amx_operand *p, ptrdiff_t line, int parts,
                                                               uint16_t *out) {
    if (parts == 3)
        pn_amx_pack_parts(p, line, 3, 0, out);
    else if (parts == 2)
        pn_amx_pack_parts(p, line, 2, 0, out);
    else
        pn_amx_pack_parts(p, line, 1, 0, out);
}

#endif

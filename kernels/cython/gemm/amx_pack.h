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
static __attribute__((noinline)) void pn_amx_turn(const float *from, ptrdiff_t stride, ptrdiff_t vectors,
                                                  __mmask16 mask, float *turned, ptrdiff_t apart) {
    pn_vector_f32 v[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) v[i] = (pn_vector_f32)_mm512_maskz_loadu_ps(i < vectors ? mask : 0, from + i * stride);
    pn_transpose_f32(v);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) _mm512_store_ps(turned + i * apart, (__m512)v[i]);
}

/* Pack a quarter (four of 16 rows) of one tile of each part. `lines` and `depth` are how much of the operand exists
 * from `from` on; beyond it tiles are 0. What must be transposed cannot be packed in quarters: of B, the first and
 * third pack half a tile, of A, the first packs it all. */
PN_AMX_INLINE void pn_amx_pack_quarter(const pn_amx_operand *p, const float *from, const int parts, const int left,
                                       int quarter, const ptrdiff_t lines, const ptrdiff_t depth, uint16_t *out) {
    const ptrdiff_t stride = left ? p->line : p->k;
    float turned[16 * PN_AMX_K] __attribute__((aligned(64)));
    if ((left ? p->k : p->line) == 1) {
#pragma GCC unroll 4
        for (int i = 4 * quarter; i < 4 * quarter + 4; i++) {
            if (left) {
                const float *at = from + i * stride;
                const __mmask16 first = i < lines ? pn_amx_mask(depth) : 0;
                const __mmask16 second = i < lines ? pn_amx_mask(depth - 16) : 0;
                pn_amx_split(_mm512_maskz_loadu_ps(first, at), _mm512_maskz_loadu_ps(second, at + 16), parts, 1,
                             out + i * PN_AMX_K);
            } else {
                const float *at = from + 2 * i * stride;
                const __mmask16 first = 2 * i < depth ? pn_amx_mask(lines) : 0;
                const __mmask16 second = 2 * i + 1 < depth ? pn_amx_mask(lines) : 0;
                __builtin_prefetch(at + PN_AMX_K * stride);
                __builtin_prefetch(at + (PN_AMX_K + 1) * stride);
                pn_amx_split(_mm512_maskz_loadu_ps(first, at), _mm512_maskz_loadu_ps(second, at + stride), parts, 0,
                             out + i * PN_AMX_K);
            }
        }
    } else if (left && quarter == 0) {
        pn_amx_turn(from, p->k, depth, pn_amx_mask(lines), turned, PN_AMX_K);
        pn_amx_turn(from + 16 * p->k, p->k, depth - 16, pn_amx_mask(lines), turned + 16, PN_AMX_K);
        for (const float *row = turned; row < turned + 16 * PN_AMX_K; row += PN_AMX_K, out += PN_AMX_K)
            pn_amx_split(_mm512_load_ps(row), _mm512_load_ps(row + 16), parts, 1, out);
    } else if (!left && quarter % 2 == 0) {
        pn_amx_turn(from + 8 * quarter, p->line, lines, pn_amx_mask(depth - 8 * quarter), turned, 16);
        out += 4 * quarter * PN_AMX_K;
        for (const float *row = turned; row < turned + 16 * 16; row += 2 * 16, out += PN_AMX_K)
            pn_amx_split(_mm512_load_ps(row), _mm512_load_ps(row + 16), parts, 0, out);
    }
}

/* A panel that is packed beside multiplications: quarters of tiles, spread over `slots` moments. */
typedef struct {
    const pn_amx_operand *from;
    ptrdiff_t line; /* the first of the panel */
    uint16_t *out;
    ptrdiff_t count, done, slots, due; /* quarters in all, and packed; moments, and quarters due times moments */
} pn_amx_job;

#define PN_AMX_QUARTERS 8 /* per 32 k of a panel */

#define PN_AMX_PACKER(name, parts, left)                                           \
    static __attribute__((noinline)) PN_AMX void name(pn_amx_job *job) {           \
        const ptrdiff_t step = job->done / PN_AMX_QUARTERS;                        \
        const int half = (int)(job->done / 4 % 2), quarter = (int)(job->done % 4); \
        const pn_amx_operand *p = job->from;                                       \
        const ptrdiff_t line = job->line + 16 * half, k = PN_AMX_K * step;         \
        const ptrdiff_t lines = p->lines - line, depth = p->depth - k;             \
        const float *from = p->first + line * p->line + k * p->k;                  \
        uint16_t *out = job->out + (step * (parts) * 2 + half) * PN_AMX_TILE;      \
        job->done++;                                                               \
        if (lines >= 16 && depth >= PN_AMX_K) /* constants, which need no masks */ \
            pn_amx_pack_quarter(p, from, parts, left, quarter, 16, PN_AMX_K, out); \
        else                                                                       \
            pn_amx_pack_quarter(p, from, parts, left, quarter, lines, depth, out); \
    }
PN_AMX_PACKER(pn_amx_pack_left_1, 1, 1)
PN_AMX_PACKER(pn_amx_pack_left_2, 2, 1)
PN_AMX_PACKER(pn_amx_pack_left_3, 3, 1)
PN_AMX_PACKER(pn_amx_pack_right_1, 1, 0)
PN_AMX_PACKER(pn_amx_pack_right_2, 2, 0)
PN_AMX_PACKER(pn_amx_pack_right_3, 3, 0)
#undef PN_AMX_PACKER

/* Pack what is due at one more moment. `parts` and `left` are constants. */
PN_AMX_INLINE void pn_amx_work(pn_amx_job *job, const int parts, const int left) {
    for (job->due += job->count; job->due >= job->slots; job->due -= job->slots) {
        if (left)
            (parts == 1 ? pn_amx_pack_left_1 : parts == 2 ? pn_amx_pack_left_2 : pn_amx_pack_left_3)(job);
        else
            (parts == 1 ? pn_amx_pack_right_1 : parts == 2 ? pn_amx_pack_right_2 : pn_amx_pack_right_3)(job);
    }
}

#endif

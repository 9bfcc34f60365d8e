/* Packing for matrix units: float32 operands are split into bfloat16 parts, whose sum they are, in tiles.
 *
 * The unit multiplies and adds pairs of k. A tile has 16 rows of 16 pairs, each of k and k + 16. For A, a row is a row
 * and has 32 k. For B, a row is a pair of k, and has 16 columns. A panel holds 32 rows of A or columns of B; for every
 * 32 k of it, a chunk, two tiles of each part follow one another.
 */
#ifndef PYNN_AMX_PACK_H
#define PYNN_AMX_PACK_H

#include <immintrin.h>

#define PN_AMX __attribute__((target("avx512bf16,amx-tile,amx-bf16")))
#define PN_AMX_INLINE static inline __attribute__((always_inline)) PN_AMX

#define PN_AMX_TILE 512 /* bfloat16 in a tile */
#define PN_AMX_K 32     /* k of a tile */
#define PN_AMX_SIDE 32  /* rows or columns of a panel */
/* Pieces in which a chunk is packed, between the multiplications of another. */
#define PN_AMX_PIECES 6
#define PN_AMX_PREFETCH 2 /* chunks ahead */

/* An operand in memory. Lines are rows of A or columns of B; `line` or `k`, their strides, is 1. */
typedef struct {
    const float *first;
    ptrdiff_t line, k, lines, depth;
} pn_amx_operand;

/* A panel that is being packed. */
typedef struct {
    pn_amx_operand from;
    int left; /* whether it is a panel of A */
    uint16_t *to;
    float transposed[2][16 * 16] __attribute__((aligned(64))); /* of the tile that is being packed */
} pn_amx_packing;

/* Prepare to pack the panel of an operand whose first line is `line`. */
PN_AMX_INLINE void pn_amx_pack_panel(pn_amx_packing *p, const pn_amx_operand *of, ptrdiff_t line, int left,
                                     uint16_t *to) {
    p->from = *of;
    p->from.first += line * of->line;
    p->from.lines = pn_min(of->lines - line, PN_AMX_SIDE);
    p->left = left;
    p->to = to;
}

/* Round to the nearest bfloat16 by Veltkamp's splitting. NaN stays NaN; what exceeds 2^112 becomes it. */
PN_AMX_INLINE __m512i pn_amx_round(__m512 x) {
    __m512 scaled = _mm512_mul_ps(x, _mm512_set1_ps(65537.0f));
    PN_ROUND(scaled);
    return _mm512_castps_si512(_mm512_sub_ps(scaled, _mm512_sub_ps(scaled, x)));
}

/* Split two vectors into parts, and store each part of both as one vector of pairs. All parts but the last are rounded
 * by adding half a unit to the bits. This may turn NaN into 0, but then the last part is NaN. */
PN_AMX_INLINE void pn_amx_split(__m512 x0, __m512 x1, const int parts, uint16_t *out) {
    const __m512i half = _mm512_set1_epi32(0x8000), upper = _mm512_set1_epi32((int)0xffff0000);
#pragma GCC unroll 3
    for (int part = 0; part < parts; part++, out += 2 * PN_AMX_TILE) {
        const int last = part + 1 == parts, exact = part == 2; /* the third part needs no rounding */
        __m512i i0 = _mm512_castps_si512(x0), i1 = _mm512_castps_si512(x1);
        if (!last)
            i0 = _mm512_add_epi32(i0, half), i1 = _mm512_add_epi32(i1, half);
        else if (!exact)
            i0 = pn_amx_round(x0), i1 = pn_amx_round(x1);
        const __m512i both = _mm512_ternarylogic_epi32(_mm512_srli_epi32(i0, 16), i1, upper, 0xf8);
        _mm512_store_si512(out, both);
        if (last) break;
        x0 = _mm512_sub_ps(x0, _mm512_castsi512_ps(_mm512_and_si512(i0, upper)));
        x1 = _mm512_sub_ps(x1, _mm512_castsi512_ps(_mm512_and_si512(i1, upper)));
    }
}

PN_AMX_INLINE __mmask16 pn_amx_mask(ptrdiff_t count) {
    return count <= 0 ? 0 : count < 16 ? (__mmask16)((1u << count) - 1) : 0xffff;
}

/* Load 16 vectors, of which `vectors` exist, and store them transposed. */
static __attribute__((noinline)) void pn_amx_transpose(const float *from, ptrdiff_t stride, ptrdiff_t vectors,
                                                       __mmask16 mask, float *transposed) {
    pn_vector_f32 v[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) v[i] = (pn_vector_f32)_mm512_maskz_loadu_ps(i < vectors ? mask : 0, from + i * stride);
    pn_transpose_f32(v);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) _mm512_store_ps(transposed + i * 16, (__m512)v[i]);
}

/* Pack rows `row` to `stop` of a tile that begins at `from`. `lines` and `depth` are how much of the operand exists
 * from there on, unless `whole`; beyond it the tile is 0. */
PN_AMX_INLINE void pn_amx_pack_rows(const pn_amx_packing *p, const float *from, const int parts, const int whole,
                                    ptrdiff_t lines, ptrdiff_t depth, int row, const int stop, uint16_t *out) {
    const ptrdiff_t step = p->left ? p->from.line : p->from.k, other = 16 * p->from.k;
    const ptrdiff_t ahead = PN_AMX_PREFETCH * PN_AMX_K * p->from.k;
    const ptrdiff_t rows0 = p->left ? lines : depth, rows1 = p->left ? lines : depth - 16;
    const __mmask16 mask0 = pn_amx_mask(p->left ? depth : lines), mask1 = pn_amx_mask(p->left ? depth - 16 : lines);
    from += row * step;
    out += row * PN_AMX_K;
    for (; row < stop; row++, from += step, out += PN_AMX_K) {
        const __mmask16 here0 = whole ? 0xffff : row < rows0 ? mask0 : 0;
        const __mmask16 here1 = whole ? 0xffff : row < rows1 ? mask1 : 0;
        __builtin_prefetch(from + ahead, 0, 2); /* into L2: in L1, rows far apart evict each other */
        __builtin_prefetch(from + ahead + other, 0, 2);
        pn_amx_split(_mm512_maskz_loadu_ps(here0, from), _mm512_maskz_loadu_ps(here1, from + other), parts, out);
    }
}

/* Transpose a tile that begins at `from`, for an operand whose vectors in memory are columns of tiles. */
PN_AMX_INLINE void pn_amx_pack_transposed(pn_amx_packing *p, const float *from, ptrdiff_t lines, ptrdiff_t depth) {
    for (int half = 0; half < 2; half++, from += 16 * p->from.k, depth -= 16)
        if (p->left)
            pn_amx_transpose(from, p->from.k, depth, pn_amx_mask(lines), p->transposed[half]);
        else
            pn_amx_transpose(from, p->from.line, lines, pn_amx_mask(depth), p->transposed[half]);
}

/* Pack one piece of the chunk at `k`, if there is one: a third of a tile. */
PN_AMX_INLINE void pn_amx_pack_piece(pn_amx_packing *p, ptrdiff_t k, int piece, const int parts) {
    const int second = piece >= PN_AMX_PIECES / 2, third = piece % (PN_AMX_PIECES / 2), bounds[] = {0, 6, 11, 16};
    const ptrdiff_t lines = p->from.lines - 16 * second, depth = p->from.depth - k;
    if (lines <= 0 || depth <= 0) return;
    const float *from = p->from.first + 16 * second * p->from.line + k * p->from.k;
    uint16_t *out = p->to + (k / PN_AMX_K * parts * 2 + second) * PN_AMX_TILE;
    if ((p->left ? p->from.k : p->from.line) == 1) {
        if (lines >= 16 && depth >= PN_AMX_K)
            pn_amx_pack_rows(p, from, parts, 1, 16, PN_AMX_K, bounds[third], bounds[third + 1], out);
        else
            pn_amx_pack_rows(p, from, parts, 0, lines, depth, bounds[third], bounds[third + 1], out);
    } else if (third == 0)
        pn_amx_pack_transposed(p, from, lines, depth);
    else
        for (int row = 8 * (third - 1); row < 8 * third; row++)
            pn_amx_split(_mm512_load_ps(p->transposed[0] + row * 16), _mm512_load_ps(p->transposed[1] + row * 16),
                         parts, out + row * PN_AMX_K);
}

static __attribute__((noinline)) PN_AMX void pn_amx_pack3(pn_amx_packing *p, ptrdiff_t k, int first, int stop) {
    for (int piece = first; piece < stop; piece++) pn_amx_pack_piece(p, k, piece, 3);
}
static __attribute__((noinline)) PN_AMX void pn_amx_pack2(pn_amx_packing *p, ptrdiff_t k, int first, int stop) {
    for (int piece = first; piece < stop; piece++) pn_amx_pack_piece(p, k, piece, 2);
}
static __attribute__((noinline)) PN_AMX void pn_amx_pack1(pn_amx_packing *p, ptrdiff_t k, int first, int stop) {
    for (int piece = first; piece < stop; piece++) pn_amx_pack_piece(p, k, piece, 1);
}

/* Pack pieces `first` to `stop` of the chunk at `k`, unless `p` is NULL. */
PN_AMX_INLINE void pn_amx_pack(pn_amx_packing *p, ptrdiff_t k, int first, int stop, const int parts) {
    if (p) (parts == 3 ? pn_amx_pack3 : parts == 2 ? pn_amx_pack2 : pn_amx_pack1)(p, k, first, stop);
}

#endif

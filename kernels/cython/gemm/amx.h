/* float32 products on matrix units (Intel AMX), which multiply bfloat16 and sum in float32; docs/matmul.md tells why.
 *
 * With each operand split into three bfloat16, six products of the parts are a float32 product. With two parts three
 * products have 16 bits, with one part one product has 8. A product on the unit is a tile of A, 16 x 32, times a tile
 * of B, 32 x 16. The micro-kernel keeps 2 x 2 tiles of C in its registers.
 */
#ifndef PYNN_AMX_H
#define PYNN_AMX_H

#include "../common/matrix_units.h"
#include "amx_pack.h"

/* The blocks of k have equal size, at most this: then C is read and written seldom, and a panel of B fits the L2
 * cache beside A's block, which takes half of it. */
#define PN_AMX_KC 512

/* Tiles of sums to be written or added to C. */
typedef struct {
    const float *sums;
    float *c;
    ptrdiff_t ldc, rows, columns, row; /* `row`: the next to be written */
    int accumulate, infinite;          /* infinite: whether a sum was not finite */
    const pn_tile_epilogue_f32 *end;
    pn_tile_epilogue_f32 ending;
} pn_amx_finishing;

/* Finish the next `count` rows, as far as there are, with the epilogue `end` unless it is NULL. */
static __attribute__((noinline)) PN_AMX void pn_amx_finish(pn_amx_finishing *f, ptrdiff_t count) {
    const int nan_or_infinity = 0x99;
    const ptrdiff_t stop = pn_min(f->rows, f->row + count);
    __mmask16 bad = 0;
    for (ptrdiff_t i = f->row; i < stop; i++) {
        const float *sums = f->sums + i / 16 * 512 + i % 16 * 16;
        float *c = f->c + i * f->ldc;
        for (ptrdiff_t first = 0; first < f->columns; first += 16, sums += 256) {
            const __m512 v = _mm512_load_ps(sums);
            bad |= _mm512_fpclass_ps_mask(v, nan_or_infinity);
            if (f->columns - first >= 16)
                pn_finish_f32((pn_vector_f32)v, c + first, f->accumulate, f->end, first, 0, 16);
            else
                pn_finish_f32((pn_vector_f32)v, c + first, f->accumulate, f->end, first, 1, f->columns - first);
        }
    }
    f->row = stop;
    f->infinite |= bad != 0;
}

/* What the micro-kernel does between its multiplications, which keep the unit busy meanwhile: pack its own panels
 * (NULL: they are packed), and finish the tiles before. */
typedef struct {
    pn_amx_packing *a, *b;
    pn_amx_finishing *before;
} pn_amx_beside;
#define PN_AMX_LEAD 2 /* chunks that packing is ahead */

/* Load both tiles of a part. */
#define PN_LEFT(part)                             \
    PN_AMX_LOAD(4, a + 2 * (part) * PN_AMX_TILE); \
    if (tall) PN_AMX_LOAD(5, a + (2 * (part) + 1) * PN_AMX_TILE)
#define PN_RIGHT(part)                            \
    PN_AMX_LOAD(6, b + 2 * (part) * PN_AMX_TILE); \
    if (wide) PN_AMX_LOAD(7, b + (2 * (part) + 1) * PN_AMX_TILE)
/* Multiply what is loaded, and meanwhile pack pieces `first` to `stop` of a later chunk. */
#define PN_MULTIPLY(first, stop)                       \
    PN_AMX_ADD(0, 4, 6);                               \
    if (wide) PN_AMX_ADD(1, 4, 7);                     \
    if (tall) PN_AMX_ADD(2, 5, 6);                     \
    if (tall && wide) PN_AMX_ADD(3, 5, 7);             \
    pn_amx_pack(beside->a, ahead, first, stop, parts); \
    pn_amx_pack(beside->b, ahead, first, stop, parts)

/* Multiply a panel of A by a panel of B: `steps` times 32 k, into up to four tiles `sums`. Smaller products come first,
 * as far as each tile is loaded but twice at most. */
PN_AMX_INLINE void pn_amx_micro(const int tall, const int wide, const int parts, const ptrdiff_t steps,
                                const uint16_t *a, const uint16_t *b, const pn_amx_beside *beside, float *sums) {
    ptrdiff_t ahead = 0;
    for (; ahead < PN_AMX_LEAD * PN_AMX_K; ahead += PN_AMX_K) {
        pn_amx_pack(beside->a, ahead, 0, PN_AMX_PIECES, parts);
        pn_amx_pack(beside->b, ahead, 0, PN_AMX_PIECES, parts);
    }
    PN_AMX_ZERO(0);
    if (wide) PN_AMX_ZERO(1);
    if (tall) PN_AMX_ZERO(2);
    if (tall && wide) PN_AMX_ZERO(3);
    const ptrdiff_t rows = pn_ceil_div(PN_AMX_SIDE, steps), size = parts * 2 * PN_AMX_TILE;
    for (ptrdiff_t step = 0; step < steps; step++, a += size, b += size, ahead += PN_AMX_K) {
        if (parts == 3) {
            PN_LEFT(2);
            PN_RIGHT(0);
            PN_MULTIPLY(0, 1);
            PN_LEFT(0);
            PN_RIGHT(2);
            PN_MULTIPLY(1, 2);
            PN_RIGHT(1);
            PN_MULTIPLY(2, 3);
            PN_LEFT(1);
            PN_MULTIPLY(3, 4);
            PN_RIGHT(0);
            PN_MULTIPLY(4, 5);
            PN_LEFT(0);
            PN_MULTIPLY(5, 6);
        } else if (parts == 2) {
            PN_LEFT(1);
            PN_RIGHT(0);
            PN_MULTIPLY(0, 2);
            PN_LEFT(0);
            PN_RIGHT(1);
            PN_MULTIPLY(2, 4);
            PN_RIGHT(0);
            PN_MULTIPLY(4, 6);
        } else {
            PN_LEFT(0);
            PN_RIGHT(0);
            PN_MULTIPLY(0, PN_AMX_PIECES);
        }
        pn_amx_finish(beside->before, rows);
    }
    PN_AMX_STORE(0, sums);
    if (wide) PN_AMX_STORE(1, sums + 256);
    if (tall) PN_AMX_STORE(2, sums + 512);
    if (tall && wide) PN_AMX_STORE(3, sums + 768);
}
#undef PN_LEFT
#undef PN_RIGHT
#undef PN_MULTIPLY

/* Multiply a block of A by all columns of B, to C, with the epilogue `end` unless it is NULL. The first products with a
 * panel pack it. Returns whether all sums are finite. */
PN_AMX_INLINE int pn_amx_block(const pn_amx_operand *a, const pn_amx_operand *b, const int parts, uint16_t *packed_a,
                               uint16_t *packed_b, float *c, ptrdiff_t ldc, int accumulate,
                               const pn_tile_epilogue_f32 *end) {
    const ptrdiff_t steps = pn_ceil_div(b->depth, PN_AMX_K), size = steps * parts * 2 * PN_AMX_TILE;
    float sums[2][4 * 256] __attribute__((aligned(64)));
    pn_amx_packing packing_a, packing_b;
    pn_amx_finishing before = {.rows = 0};
    int turn = 0;
    for (ptrdiff_t j = 0; j < b->lines; j += PN_AMX_SIDE) {
        pn_amx_pack_panel(&packing_b, b, j, 0, packed_b);
        for (ptrdiff_t i = 0; i < a->lines; i += PN_AMX_SIDE, turn ^= 1) {
            uint16_t *panel = packed_a + i / PN_AMX_SIDE * size;
            pn_amx_pack_panel(&packing_a, a, i, 1, panel);
            const ptrdiff_t rows = packing_a.from.lines, columns = packing_b.from.lines;
            const pn_amx_beside beside = {j ? NULL : &packing_a, i ? NULL : &packing_b, &before};
            if (rows > 16 && columns > 16)
                pn_amx_micro(1, 1, parts, steps, panel, packed_b, &beside, sums[turn]);
            else if (rows > 16)
                pn_amx_micro(1, 0, parts, steps, panel, packed_b, &beside, sums[turn]);
            else if (columns > 16)
                pn_amx_micro(0, 1, parts, steps, panel, packed_b, &beside, sums[turn]);
            else
                pn_amx_micro(0, 0, parts, steps, panel, packed_b, &beside, sums[turn]);
            before = (pn_amx_finishing){sums[turn], c + i * ldc + j, ldc,  rows, columns, 0,
                                        accumulate, before.infinite, NULL, {0}};
            before.end = pn_epilogue_from_f32(end, j, &before.ending);
        }
    }
    pn_amx_finish(&before, PN_AMX_SIDE);
    return !before.infinite;
}

/* Returns 0, -1 if memory is exhausted, or 1 if a sum is not finite. */
PN_AMX_INLINE int pn_amx_run(const pn_product *p, const int parts) {
    const ptrdiff_t kc = pn_ceil_div(pn_ceil_div(p->k, pn_ceil_div(p->k, PN_AMX_KC)), PN_AMX_K) * PN_AMX_K;
    const ptrdiff_t panel = kc / PN_AMX_K * parts * 2 * PN_AMX_TILE, all = pn_ceil_div(p->m, PN_AMX_SIDE);
    const ptrdiff_t fitting = (ptrdiff_t)(pn_second_level_bytes() / 2) / (panel * (ptrdiff_t)sizeof(uint16_t));
    const ptrdiff_t blocks = pn_ceil_div(all, pn_max(fitting, 1)), together = pn_ceil_div(all, blocks);
    pn_workspace *workspace = pn_workspace_take((size_t)((together + 1) * panel) * sizeof(uint16_t));
    if (!workspace) return -1;
    uint16_t *packed_b = (uint16_t *)pn_workspace_data(workspace), *packed_a = packed_b + panel;
    const int relu = p->code == PN_RELU && p->bias && !p->pre, plain = relu || (!p->pre && p->code == PN_IDENTITY);
    const pn_tile_epilogue_f32 end = {(const float *)p->bias, relu ? 0 : -INFINITY};
    const pn_float_mode mode = pn_flush_denormals();
    int finite = 1;
    PN_AMX_BEGIN;
    for (ptrdiff_t pc = 0; pc < p->k; pc += kc)
        for (ptrdiff_t ic = 0; ic < p->m; ic += together * PN_AMX_SIDE) {
            const ptrdiff_t rows = pn_min(p->m - ic, together * PN_AMX_SIDE), depth = pn_min(p->k - pc, kc);
            const pn_amx_operand a = {(const float *)p->a + ic * p->a_row + pc * p->a_k, p->a_row, p->a_k, rows, depth};
            const pn_amx_operand b = {(const float *)p->b + pc * p->b_k, p->b_column, p->b_k, p->n, depth};
            float *c = (float *)p->c + ic * p->ldc;
            const int last = pc + depth == p->k;
            finite &= pn_amx_block(&a, &b, parts, packed_a, packed_b, c, p->ldc, pc > 0, last && p->bias ? &end : NULL);
            if (last && !plain)
                pn_epilogue_f32(c, p->pre ? (float *)p->pre + ic * p->ldc : NULL, p->ldc, rows, p->n, p->code,
                                (float)p->alpha);
        }
    PN_AMX_END;
    pn_restore_denormals(mode);
    pn_workspace_return(workspace);
    return !finite;
}

static __attribute__((noinline)) PN_AMX int pn_amx_six(const pn_product *p) { return pn_amx_run(p, 3); }
static __attribute__((noinline)) PN_AMX int pn_amx_three(const pn_product *p) { return pn_amx_run(p, 2); }
static __attribute__((noinline)) PN_AMX int pn_amx_one(const pn_product *p) { return pn_amx_run(p, 1); }

/* Whether matrix units are faster than the tiles of pn_tiled: a model of times in float32 multiply-adds. Splitting
 * costs per element of A and B, and writing per element of C. In a training step, weights (B) come from L3 and C is not
 * in cache, which the tiles hide. For six products, which have least to gain, B and C thus cost twice what they cost
 * when products are repeated. */
static int pn_amx_pays(const pn_product *p, int products) {
    const double m = (double)p->m, n = (double)p->n, k = (double)p->k;
    const double of_a = 25, of_b = products == 6 ? 60 : 25, of_c = products == 6 ? 70 : 30;
    const double padded = 16.0 * (double)pn_ceil_div(p->m, 16) * 16.0 * (double)pn_ceil_div(p->n, 16) * PN_AMX_K *
                          (double)pn_ceil_div(p->k, PN_AMX_K);
    return products / 6.0 * 0.41 * padded + of_a * m * k + of_b * k * n + of_c * m * n < m * n * k;
}

static void pn_amx_part(void *argument, int index) {
    pn_product *whole = (pn_product *)argument;
    const pn_product part = pn_product_cut_f32(whole, index, PN_AMX_SIDE, PN_AMX_SIDE);
    if (part.m == 0 || part.n == 0) return;
    const int products = whole->products;
    const int failed = (products == 6 ? pn_amx_six : products == 3 ? pn_amx_three : pn_amx_one)(&part);
    if (failed < 0) __atomic_store_n(&whole->failed, -1, __ATOMIC_RELAXED);
    if (failed > 0) __atomic_store_n(&whole->infinite, 1, __ATOMIC_RELAXED);
}

#endif

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

#define PN_LEFT(part)                             \
    PN_AMX_LOAD(4, a + 2 * (part) * PN_AMX_TILE); \
    if (tall) PN_AMX_LOAD(5, a + (2 * (part) + 1) * PN_AMX_TILE);
#define PN_RIGHT(part)                            \
    PN_AMX_LOAD(6, b + 2 * (part) * PN_AMX_TILE); \
    if (wide) PN_AMX_LOAD(7, b + (2 * (part) + 1) * PN_AMX_TILE);
#define PN_MULTIPLY                \
    PN_AMX_ADD(0, 4, 6);           \
    if (wide) PN_AMX_ADD(1, 4, 7); \
    if (tall) PN_AMX_ADD(2, 5, 6); \
    if (tall && wide) PN_AMX_ADD(3, 5, 7);

/* Multiply a panel of A by a panel of B: `steps` times 32 k, into up to four tiles `sums`. Smaller products come first,
 * as far as each tile is loaded but twice at most. */
PN_AMX_INLINE void pn_amx_micro(const int tall, const int wide, const int parts, ptrdiff_t steps, const uint16_t *a,
                                const uint16_t *b, float *sums) {
    PN_AMX_ZERO(0);
    if (wide) PN_AMX_ZERO(1);
    if (tall) PN_AMX_ZERO(2);
    if (tall && wide) PN_AMX_ZERO(3);
    for (; steps; steps--, a += parts * 2 * PN_AMX_TILE, b += parts * 2 * PN_AMX_TILE) {
        if (parts == 3) {
            PN_LEFT(2)
            PN_RIGHT(0)
            PN_MULTIPLY PN_LEFT(0) PN_RIGHT(2) PN_MULTIPLY PN_RIGHT(1) PN_MULTIPLY PN_LEFT(1) PN_MULTIPLY PN_RIGHT(0)
                PN_MULTIPLY PN_LEFT(0) PN_MULTIPLY
        } else if (parts == 2) {
            PN_LEFT(1) PN_RIGHT(0) PN_MULTIPLY PN_LEFT(0) PN_RIGHT(1) PN_MULTIPLY PN_RIGHT(0) PN_MULTIPLY
        } else {
            PN_LEFT(0) PN_RIGHT(0) PN_MULTIPLY
        }
    }
    PN_AMX_STORE(0, sums);
    if (wide) PN_AMX_STORE(1, sums + 256);
    if (tall) PN_AMX_STORE(2, sums + 512);
    if (tall && wide) PN_AMX_STORE(3, sums + 768);
}
#undef PN_LEFT
#undef PN_RIGHT
#undef PN_MULTIPLY

/* Write or add `rows` x `columns` sums to C, with the epilogue `end` unless it is NULL; return whether all are finite.
 */
PN_AMX_INLINE int pn_amx_finish(const float *sums, ptrdiff_t rows, ptrdiff_t columns, float *c, ptrdiff_t ldc,
                                int accumulate, const pn_tile_epilogue_f32 *end) {
    const int nan_or_infinity = 0x99;
    __mmask16 bad = 0;
    for (ptrdiff_t first = 0; first < columns; first += 16)
        for (ptrdiff_t i = 0; i < rows; i++) {
            const __m512 v = _mm512_load_ps(sums + first * 16 + i / 16 * 512 + i % 16 * 16);
            bad |= _mm512_fpclass_ps_mask(v, nan_or_infinity);
            if (columns - first >= 16)
                pn_finish_f32((pn_vector_f32)v, c + i * ldc + first, accumulate, end, first, 0, 16);
            else
                pn_finish_f32((pn_vector_f32)v, c + i * ldc + first, accumulate, end, first, 1, columns - first);
        }
    return !bad;
}

/* Multiply a packed block of A by the columns of `b`, which is packed panel by panel. Returns whether all sums are
 * finite. */
PN_AMX_INLINE int pn_amx_block(const pn_product *p, const int parts, const uint16_t *a, const pn_amx_operand *b,
                               uint16_t *panel, float *c, int accumulate, const pn_tile_epilogue_f32 *end) {
    const ptrdiff_t steps = pn_ceil_div(b->depth, PN_AMX_K), size = steps * parts * 2 * PN_AMX_TILE;
    float sums[4 * 256] __attribute__((aligned(64)));
    int finite = 1;
    for (ptrdiff_t j = 0; j < p->n; j += PN_AMX_SIDE) {
        const ptrdiff_t columns = pn_min(p->n - j, PN_AMX_SIDE);
        pn_tile_epilogue_f32 ending;
        const pn_tile_epilogue_f32 *there = pn_epilogue_from_f32(end, j, &ending);
        pn_amx_pack_right(b, j, parts, panel);
        for (ptrdiff_t i = 0; i < p->m; i += PN_AMX_SIDE) {
            const ptrdiff_t rows = pn_min(p->m - i, PN_AMX_SIDE);
            const uint16_t *left = a + i / PN_AMX_SIDE * size;
            if (rows > 16 && columns > 16)
                pn_amx_micro(1, 1, parts, steps, left, panel, sums);
            else if (rows > 16)
                pn_amx_micro(1, 0, parts, steps, left, panel, sums);
            else if (columns > 16)
                pn_amx_micro(0, 1, parts, steps, left, panel, sums);
            else
                pn_amx_micro(0, 0, parts, steps, left, panel, sums);
            finite &= pn_amx_finish(sums, rows, columns, c + i * p->ldc + j, p->ldc, accumulate, there);
        }
    }
    return finite;
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
            pn_product block = *p;
            block.m = pn_min(p->m - ic, together * PN_AMX_SIDE);
            const ptrdiff_t depth = pn_min(p->k - pc, kc), steps = pn_ceil_div(depth, PN_AMX_K);
            const pn_amx_operand a = {(const float *)p->a + ic * p->a_row + pc * p->a_k, p->a_row, p->a_k, block.m,
                                      depth};
            const pn_amx_operand b = {(const float *)p->b + pc * p->b_k, p->b_column, p->b_k, p->n, depth};
            float *c = (float *)p->c + ic * p->ldc;
            for (ptrdiff_t i = 0; i < block.m; i += PN_AMX_SIDE)
                pn_amx_pack_left(&a, i, parts, packed_a + i / PN_AMX_SIDE * steps * parts * 2 * PN_AMX_TILE);
            const int last = pc + depth == p->k;
            finite &= pn_amx_block(&block, parts, packed_a, &b, packed_b, c, pc > 0, last && p->bias ? &end : NULL);
            if (last && !plain)
                pn_epilogue_f32(c, p->pre ? (float *)p->pre + ic * p->ldc : NULL, p->ldc, block.m, p->n, p->code,
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

/* Template, included by gemm.h once per floating type. */

#define PN_LANES ((ptrdiff_t)(PN_VECTOR_BYTES / sizeof(PN_REAL)))
#define PN_NR (2 * PN_LANES)
/* Block sizes: A's block (MC x KC) stays in the L2 cache next to a panel of B (KC x NR), B's whole block (KC x NC)
 * in L3. For float, KC = 512 and MC = 72 are 5-10% faster than BLIS's 256 and 144 from 1024 columns on (Zen 3). */
#define PN_KC ((ptrdiff_t)(2048 / sizeof(PN_REAL)))
#define PN_MC ((ptrdiff_t)(PN_MR * (72 / PN_MR)))
#define PN_NC ((ptrdiff_t)3072)
/* The number of rows to prefetch ahead in a panel of B, which may exceed the L1 cache (1.1 times as fast on cores with
 * two multiply-adds per cycle). In B itself fewer, because many of its rows may map to the same few cache sets. */
#define PN_PREFETCH_ROWS 16
#define PN_PREFETCH_ROWS_COPYING 8
#define PN_PREFETCH_MIN_K 64 /* of k: from here on, computing a tile takes longer than fetching its part of C */
/* For k up to this, writing C takes as long as the multiply-adds. Writing C row by row then is faster if C exceeds the
 * L1 cache and A is row-major (otherwise as little as 0.9 times as fast). */
#define PN_BY_ROWS_MAX_K 32
#define PN_BY_ROWS_MIN ((ptrdiff_t)(64 << 10) / (ptrdiff_t)sizeof(PN_REAL)) /* elements of C */

#include "gemm_tiles_template.h"
#include "gemm_pack_template.h"

/* The right-hand operand of a block, in panels. If `source` is not NULL, the first use of a panel packs it. */
typedef struct {
    const PN_REAL *source;
    ptrdiff_t k, column; /* row stride and column stride of the source */
    PN_REAL *panels;
    ptrdiff_t step; /* panel stride: 0 if no other block reuses the panels */
} PN_(pn_right);

/* Return the epilogue for the columns of C from the j-th on, or NULL. */
static inline const PN_(pn_tile_epilogue) *PN_(pn_epilogue_from)(const PN_(pn_tile_epilogue) *end, ptrdiff_t j,
                                                                 PN_(pn_tile_epilogue) *there) {
    if (!end) return NULL;
    *there = (PN_(pn_tile_epilogue)){end->bias + j, end->min};
    return there;
}

/* Multiply a block of A by a block of B, panel by panel. `end` is the epilogue of the block's columns, or NULL. */
static inline void PN_(pn_block)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, ptrdiff_t height, PN_(pn_left) a,
                                 PN_(pn_right) b, PN_REAL *c, ptrdiff_t ldc, int accumulate,
                                 const PN_(pn_tile_epilogue) *end) {
    for (ptrdiff_t j = 0; j < n; j += PN_NR, b.panels += b.step) {
        const ptrdiff_t columns = pn_min(n - j, PN_NR);
        PN_(pn_tile_epilogue) ending;
        const PN_(pn_tile_epilogue) *here = PN_(pn_epilogue_from)(end, j, &ending);
        const PN_REAL *source = b.source ? b.source + j * b.column : NULL;
        const int copying = source && b.column == 1 && columns == PN_NR;
        if (source && !copying) PN_(pn_pack)(source, b.column, b.k, columns, k, PN_NR, b.panels);
        for (ptrdiff_t i = 0; i < m; i += height) {
            const ptrdiff_t rows = pn_min(m - i, height);
            if (copying && i == 0)
                a.copying(rows, 1, k, a.first, a.stride, source, b.k, b.panels, c + j, ldc, PN_NR, accumulate, here);
            else
                a.micro(rows, columns > PN_LANES, k, a.first + i * a.row, a.stride, b.panels, PN_NR, NULL,
                        c + i * ldc + j, ldc, columns, accumulate, here);
        }
    }
}

/* Like pn_block, but in the order of C's rows. */
static inline void PN_(pn_block_by_rows)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, ptrdiff_t height, PN_(pn_left) a,
                                         PN_(pn_right) b, PN_REAL *c, ptrdiff_t ldc, int accumulate,
                                         const PN_(pn_tile_epilogue) *end) {
    PN_(pn_pack)(b.source, b.column, b.k, n, k, PN_NR, b.panels);
    for (ptrdiff_t i = 0; i < m; i += height)
        for (ptrdiff_t j = 0; j < n; j += PN_NR) {
            const ptrdiff_t rows = pn_min(m - i, height), columns = pn_min(n - j, PN_NR);
            PN_(pn_tile_epilogue) ending;
            a.micro(rows, columns > PN_LANES, k, a.first + i * a.row, a.stride, b.panels + j * k, PN_NR, NULL,
                    c + i * ldc + j, ldc, columns, accumulate, PN_(pn_epilogue_from)(end, j, &ending));
        }
}

/* For each row of a finished block, save the pre-activation unless `pre` is NULL, then apply the activation. */
static inline void PN_(pn_epilogue)(PN_REAL *c, PN_REAL *pre, ptrdiff_t ldc, ptrdiff_t m, ptrdiff_t n, int code,
                                    PN_REAL alpha) {
    for (ptrdiff_t i = 0; i < m; i++, c += ldc) {
        if (pre) {
            memcpy(pre, c, (size_t)n * sizeof(PN_REAL));
            pre += ldc;
        }
        PN_(pn_activate)(c, c, n, code, alpha);
    }
}

#include "gemm_narrow_template.h"
#include "gemm_shallow_template.h"
#include "gemm_dot_template.h"
#include "gemm_flat_template.h"

/* Tiled product. Returns 0, or -1 if memory is exhausted. */
static int PN_(pn_tiled)(const pn_product *p) {
    const ptrdiff_t m = p->m, n = p->n, k = p->k;
    const PN_REAL *a = (const PN_REAL *)p->a, *b = (const PN_REAL *)p->b, *bias = (const PN_REAL *)p->bias;
    PN_REAL *c = (PN_REAL *)p->c, *pre = (PN_REAL *)p->pre;
    const PN_REAL alpha = (PN_REAL)p->alpha;
    /* The tile's epilogue applies ReLU; pn_epilogue applies other activations while the results are still in cache. */
    const int relu = p->code == PN_RELU && bias && !pre, plain = relu || (!pre && p->code == PN_IDENTITY);
    if (k == 0) {
        for (ptrdiff_t i = 0; i < m; i++)
            for (ptrdiff_t j = 0; j < n; j++) c[i * p->ldc + j] = bias ? bias[j] : 0;
        PN_(pn_epilogue)(c, pre, p->ldc, m, n, p->code, alpha);
        return 0;
    }
    /* Read A in place if it has few rows (up to 1.5 times as fast), or if B has few columns, when packing A would not
     * pay. Rows whose distance is a multiple of 2 KB evict each other from the L1 cache, so the limit is halved. */
    const int apart = p->a_k != 1 || p->a_row * (ptrdiff_t)sizeof(PN_REAL) % 2048 != 0;
    const ptrdiff_t max_kc = pn_min(k, PN_KC);
    const size_t half = pn_second_level_bytes() / 2, row = (size_t)max_kc * sizeof(PN_REAL);
    const int by_rows =
        plain && k <= PN_BY_ROWS_MAX_K && p->a_k == 1 && m * n >= PN_BY_ROWS_MIN && (size_t)n * row <= half;
    const int in_place = m <= (apart ? 2 * PN_MC : PN_MC) || n <= 2 * PN_NR || by_rows;
    /* Take all rows of A as one block if they stay in the L2 cache and B would not: all rows use a panel of B before
     * the next panel replaces it, so the panel stays in L2 as well. */
    const int at_once = in_place || ((size_t)m * row <= half && (size_t)n * row > half);
    const ptrdiff_t blocks = at_once ? 1 : pn_ceil_div(m, PN_MC);
    const ptrdiff_t max_mc = pn_ceil_div(pn_ceil_div(m, blocks), PN_MR) * PN_MR;
    /* If pn_epilogue has work after a block of all rows, four panels are the limit: it then finds them in cache. */
    const ptrdiff_t nc_limit = !at_once ? PN_NC : plain ? n : 4 * PN_NR, max_nc = pn_min(n, nc_limit);
    const ptrdiff_t panels = at_once && !by_rows ? PN_NR : pn_ceil_div(max_nc, PN_NR) * PN_NR;
    const ptrdiff_t packed = panels + (in_place ? 0 : max_mc);
    pn_workspace *workspace = pn_workspace_take((size_t)(packed * max_kc + PN_LANES) * sizeof(PN_REAL));
    if (!workspace) return -1;
    PN_REAL *packed_b = (PN_REAL *)pn_workspace_data(workspace);
    PN_REAL *packed_a = packed_b + panels * max_kc; /* panels are a multiple of NR, so this stays aligned */
    const pn_float_mode mode = pn_flush_denormals();
    for (ptrdiff_t pc = 0; pc < k; pc += PN_KC) {
        const ptrdiff_t kc = pn_min(k - pc, PN_KC);
        for (ptrdiff_t jc = 0; jc < n; jc += max_nc) {
            const ptrdiff_t nc = pn_min(n - jc, max_nc);
            for (ptrdiff_t ic = 0; ic < m; ic += max_mc) {
                const ptrdiff_t mc = pn_min(m - ic, max_mc);
                const ptrdiff_t corner = ic * p->ldc + jc;
                const PN_REAL *left = a + ic * p->a_row + pc * p->a_k;
                if (!in_place && (!at_once || jc == 0)) PN_(pn_pack)(left, p->a_row, p->a_k, mc, kc, PN_MR, packed_a);
                const PN_(pn_left) rows =
                    in_place ? PN_(pn_in_place)(left, p->a_row, p->a_k) : PN_(pn_in_panels)(packed_a, kc);
                const PN_(pn_right) columns = {ic ? NULL : b + pc * p->b_k + jc * p->b_column, p->b_k, p->b_column,
                                               packed_b, at_once ? 0 : PN_NR * kc};
                const PN_(pn_tile_epilogue) end = {bias + jc, relu ? 0 : -(PN_REAL)INFINITY};
                const int last = pc + kc == k;
                /* Split rows in place evenly, 64 into 11s and a 9: tiles of 12 would leave 4, too few to be fast. */
                const ptrdiff_t tiles = pn_ceil_div(mc, PN_MR), height = in_place ? pn_ceil_div(mc, tiles) : PN_MR;
                (by_rows ? PN_(pn_block_by_rows) : PN_(pn_block))(mc, nc, kc, height, rows, columns, c + corner, p->ldc,
                                                                  pc > 0, last && bias ? &end : NULL);
                if (last && !plain)
                    PN_(pn_epilogue)(c + corner, pre ? pre + corner : NULL, p->ldc, mc, nc, p->code, alpha);
            }
        }
    }
    pn_restore_denormals(mode);
    pn_workspace_return(workspace);
    return 0;
}

/* Few rows, or tiles. Returns 0, or -1 if memory is exhausted. */
static int PN_(pn_wide)(const pn_product *p) {
    if (!PN_(pn_is_flat)(p)) return PN_(pn_tiled)(p);
    PN_(pn_flat)(p);
    return 0;
}

/* Returns 0, or -1 if memory is exhausted. pn_narrow computes a few last columns: as a tile, the last four of 100
 * columns would cost as much as 16. */
static int PN_(pn_gemm)(const pn_product *p) {
    if (p->m == 0 || p->n == 0) return 0;
    if (PN_(pn_is_shallow)(p)) return PN_(pn_shallow)(p);
    if (PN_(pn_is_dot)(p)) {
        PN_(pn_dot)(p);
        return 0;
    }
    if (p->few == 0) return PN_(pn_wide)(p);
    const ptrdiff_t whole = p->n - p->few, size = (ptrdiff_t)sizeof(PN_REAL);
    pn_product many = *p, last = *p;
    many.n = whole, last.n = p->few;
    last.b = (const char *)p->b + whole * p->b_column * size;
    last.c = (char *)p->c + whole * size;
    if (p->bias) last.bias = (const char *)p->bias + whole * size;
    if (p->pre) last.pre = (char *)p->pre + whole * size;
    if (whole && PN_(pn_wide)(&many)) return -1;
    return PN_(pn_narrow)(&last);
}

/* Return part `index` of the grid, whose rows and columns begin at multiples of the steps. */
static pn_product PN_(pn_product_cut)(const pn_product *whole, int index, ptrdiff_t row_step, ptrdiff_t column_step) {
    pn_product part = *whole;
    const int i = index / whole->column_parts, j = index % whole->column_parts;
    const ptrdiff_t top = pn_part_start(whole->m, row_step, i, whole->row_parts);
    const ptrdiff_t left = pn_part_start(whole->n, column_step, j, whole->column_parts);
    part.m = pn_part_start(whole->m, row_step, i + 1, whole->row_parts) - top;
    part.n = pn_part_start(whole->n, column_step, j + 1, whole->column_parts) - left;
    if (left + part.n < whole->n) part.few = 0; /* another part has the last columns */
    part.a = (const PN_REAL *)part.a + top * part.a_row;
    part.b = (const PN_REAL *)part.b + left * part.b_column;
    part.c = (PN_REAL *)part.c + top * part.ldc + left;
    if (part.pre) part.pre = (PN_REAL *)part.pre + top * part.ldc + left;
    if (part.bias) part.bias = (const PN_REAL *)part.bias + left;
    return part;
}

static void PN_(pn_product_part)(void *argument, int index) {
    pn_product *whole = (pn_product *)argument;
    const pn_product part = PN_(pn_product_cut)(whole, index, PN_MR, PN_NR);
    if (PN_(pn_gemm)(&part)) __atomic_store_n(&whole->failed, -1, __ATOMIC_RELAXED);
}

#undef PN_LANES
#undef PN_NR
#undef PN_KC
#undef PN_MC
#undef PN_NC
#undef PN_PREFETCH_ROWS
#undef PN_PREFETCH_ROWS_COPYING
#undef PN_PREFETCH_MIN_K
#undef PN_BY_ROWS_MAX_K
#undef PN_BY_ROWS_MIN
#undef PN_REAL
#undef PN_

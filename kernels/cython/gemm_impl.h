/* Template, included by gemm.h once per floating type. */

#define PN_LANES ((ptrdiff_t)(PN_VECTOR_BYTES / sizeof(PN_REAL)))
#define PN_NR (2 * PN_LANES)
/* Blocks: A's (MC x KC) stays in the L2 cache beside a panel of B (KC x NR), all of B's block (KC x NC) in L3. Long and
 * low beats BLIS's 256 x 144 by 5-10% from 1024 columns on (Zen 3). */
#define PN_KC ((ptrdiff_t)(2048 / sizeof(PN_REAL)))
#define PN_MC ((ptrdiff_t)(PN_MR * (72 / PN_MR)))
#define PN_NC ((ptrdiff_t)3072)

typedef PN_REAL PN_(pn_vector) __attribute__((vector_size(PN_VECTOR_BYTES)));
typedef PN_SIGNED PN_(pn_tile_bits) __attribute__((vector_size(PN_VECTOR_BYTES)));
/* The same without the alignment, for rows of C. */
typedef PN_REAL PN_(pn_unaligned) __attribute__((vector_size(PN_VECTOR_BYTES), aligned(sizeof(PN_REAL)), may_alias));

/* What is done to a tile when its sums are complete, in registers: a pass over the result less. */
typedef struct {
    const PN_REAL *bias; /* of the tile's columns */
    PN_REAL least;       /* what is below becomes this: 0 for ReLU, or minus infinity */
} PN_(pn_ending);

/* The first `count` elements of a vector in memory. */
static inline PN_(pn_vector) PN_(pn_load_part)(const PN_REAL *source, ptrdiff_t count) {
#ifdef PN_LOAD_MASKED
    return (PN_(pn_vector))PN_LOAD_MASKED((1u << count) - 1, source);
#else
    PN_(pn_vector) v = {0};
    memcpy(&v, source, (size_t)count * sizeof(PN_REAL));
    return v;
#endif
}

static inline void PN_(pn_store_part)(PN_REAL *target, PN_(pn_vector) v, ptrdiff_t count) {
#ifdef PN_LOAD_MASKED
    PN_STORE_MASKED(target, (1u << count) - 1, v);
#else
    memcpy(target, &v, (size_t)count * sizeof(PN_REAL));
#endif
}

/* One vector of a tile, its sums complete, to C; of `count` elements if that is less than a vector. */
static inline __attribute__((always_inline)) void PN_(pn_finish)(PN_(pn_vector) sums, PN_REAL *c, int accumulate,
                                                                 const PN_(pn_ending) *end, ptrdiff_t first,
                                                                 const int partly, ptrdiff_t count) {
    if (accumulate)
        sums += partly ? PN_(pn_load_part)(c, count) : (PN_(pn_vector))(*(const PN_(pn_unaligned) *)c);
    if (end) {
        const PN_REAL *bias = end->bias + first;
        const PN_(pn_vector) least = end->least - (PN_(pn_vector)){0};
        sums += partly ? PN_(pn_load_part)(bias, count) : (PN_(pn_vector))(*(const PN_(pn_unaligned) *)bias);
        const PN_(pn_tile_bits) below = sums < least; /* false for NaN, which passes */
        sums = (PN_(pn_vector))(((PN_(pn_tile_bits))sums & ~below) | ((PN_(pn_tile_bits))least & below));
    }
    if (partly)
        PN_(pn_store_part)(c, sums, count);
    else
        *(PN_(pn_unaligned) *)c = sums;
}

/* `rows` rows of A times a B panel, or the first vector of it unless `wide`, to the first `columns` of C. Never index a
 * lane of an accumulator: gcc would keep the tile in memory (9x slower). */
static inline __attribute__((always_inline)) void PN_(pn_tile)(
    const int rows, const int wide, ptrdiff_t k, const PN_REAL *restrict a, const ptrdiff_t a_row, const ptrdiff_t a_k,
    const PN_REAL *restrict b, PN_REAL *restrict c, ptrdiff_t ldc, ptrdiff_t columns, int accumulate,
    const PN_(pn_ending) *end) {
    PN_(pn_vector) tile[PN_MR][2];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) tile[i][0] = tile[i][1] = (PN_(pn_vector)){0};
    /* Every third row has a pointer, so that addresses take few registers. */
    const PN_REAL *third[(PN_MR + 2) / 3];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i += 3) third[i / 3] = a + i * a_row;
    for (ptrdiff_t p = 0; p < k; p++) {
        const PN_(pn_vector) b0 = *(const PN_(pn_vector) *)b;
        const PN_(pn_vector) b1 = *(const PN_(pn_vector) *)(b + PN_LANES);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            const PN_REAL value = third[i / 3][i % 3 * a_row];
            tile[i][0] += value * b0;
            if (wide) tile[i][1] += value * b1;
        }
#pragma GCC unroll 16
        for (int i = 0; i < rows; i += 3) third[i / 3] += a_k;
        b += PN_NR;
    }
    const ptrdiff_t last = wide ? PN_LANES : 0, count = columns - last;
    if (count == PN_LANES) {
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            if (wide) PN_(pn_finish)(tile[i][0], c + i * ldc, accumulate, end, 0, 0, 0);
            PN_(pn_finish)(tile[i][wide], c + i * ldc + last, accumulate, end, last, 0, 0);
        }
        return;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        if (wide) PN_(pn_finish)(tile[i][0], c + i * ldc, accumulate, end, 0, 0, 0);
        PN_(pn_finish)(tile[i][wide], c + i * ldc + last, accumulate, end, last, 1, count);
    }
}

/* The micro-kernels: one tile for each number of rows, and half as wide for the last columns, so that a (50, 100) result
 * takes 50 x 104 instead of 54 x 112 multiply-adds. Three ways for A to lie: in panels; in place row by row; in place
 * column by column, `stride` apart. */
typedef void (*PN_(pn_micro_kernel))(ptrdiff_t rows, int wide, ptrdiff_t k, const PN_REAL *a, ptrdiff_t stride,
                                     const PN_REAL *b, PN_REAL *c, ptrdiff_t ldc, ptrdiff_t columns, int accumulate,
                                     const PN_(pn_ending) *end);

#define PN_CASE(n, a_row, a_k)                                             \
    case n:                                                                \
        if (wide)                                                          \
            PN_(pn_tile)(n, 1, k, a, a_row, a_k, b, c, ldc, columns, accumulate, end); \
        else                                                               \
            PN_(pn_tile)(n, 0, k, a, a_row, a_k, b, c, ldc, columns, accumulate, end); \
        break;
#define PN_CASES_4(r, s) PN_CASE(1, r, s) PN_CASE(2, r, s) PN_CASE(3, r, s) PN_CASE(4, r, s)
#if PN_MR == 4
#define PN_CASES(r, s) PN_CASES_4(r, s)
#elif PN_MR == 6
#define PN_CASES(r, s) PN_CASES_4(r, s) PN_CASE(5, r, s) PN_CASE(6, r, s)
#elif PN_MR == 8
#define PN_CASES(r, s) PN_CASES_4(r, s) PN_CASE(5, r, s) PN_CASE(6, r, s) PN_CASE(7, r, s) PN_CASE(8, r, s)
#else
#define PN_CASES(r, s)                                                                                   \
    PN_CASES_4(r, s) PN_CASE(5, r, s) PN_CASE(6, r, s) PN_CASE(7, r, s) PN_CASE(8, r, s) PN_CASE(9, r, s) \
    PN_CASE(10, r, s) PN_CASE(11, r, s) PN_CASE(12, r, s)
#endif
#define PN_MICRO_KERNEL(name, a_row, a_k)                                                                        \
    static void PN_(name)(ptrdiff_t rows, int wide, ptrdiff_t k, const PN_REAL *a, ptrdiff_t stride,             \
                          const PN_REAL *b, PN_REAL *c, ptrdiff_t ldc, ptrdiff_t columns, int accumulate,        \
                          const PN_(pn_ending) *end) {                                                           \
        (void)stride;                                                                                            \
        switch (rows) { PN_CASES(a_row, a_k) }                                                                   \
    }
PN_MICRO_KERNEL(pn_micro_packed, 1, PN_MR)
PN_MICRO_KERNEL(pn_micro_rows, stride, 1)
PN_MICRO_KERNEL(pn_micro_columns, 1, stride)
#undef PN_CASE
#undef PN_CASES_4
#undef PN_CASES
#undef PN_MICRO_KERNEL

#ifdef PN_TRANSPOSES
/* LANES rows, of which `filled` exist, and LANES elements of each. */
static inline __attribute__((always_inline)) void PN_(pn_pack_square)(const PN_REAL *source, ptrdiff_t row_stride,
                                                                      ptrdiff_t filled, const ptrdiff_t width,
                                                                      PN_REAL *panel) {
    PN_(pn_vector) v[PN_LANES];
#pragma GCC unroll 16
    for (int i = 0; i < PN_LANES; i++)
        v[i] = i < filled ? (PN_(pn_vector))(*(const PN_(pn_unaligned) *)(source + i * row_stride)) : (PN_(pn_vector)){0};
    PN_(pn_transpose)(v);
#pragma GCC unroll 16
    for (int i = 0; i < PN_LANES; i++) *(PN_(pn_unaligned) *)(panel + i * width) = v[i];
}

/* A panel of rows that are contiguous; it must have room for LANES more elements. Where the width is no multiple of LANES,
 * a store overlaps what belongs to the next element of k: squares of later rows come first, so that it is overwritten. */
static inline __attribute__((always_inline)) ptrdiff_t PN_(pn_pack_squares)(const PN_REAL *source, ptrdiff_t row_stride,
                                                                            ptrdiff_t filled, ptrdiff_t k,
                                                                            const ptrdiff_t width, PN_REAL *panel) {
    ptrdiff_t p = 0;
    for (; p + PN_LANES <= k; p += PN_LANES)
        for (ptrdiff_t r = (width - 1) / PN_LANES * PN_LANES; r >= 0; r -= PN_LANES) {
            const PN_REAL *corner = source + r * row_stride + p;
            if (filled - r >= PN_LANES)
                PN_(pn_pack_square)(corner, row_stride, PN_LANES, width, panel + p * width + r);
            else
                PN_(pn_pack_square)(corner, row_stride, filled - r, width, panel + p * width + r);
        }
    return p;
}
#endif

/* Copy a (rows x k) block with strides into panels of `width` rows, each stored k-major and padded with zeros. */
static inline __attribute__((always_inline)) void PN_(pn_pack)(
    const PN_REAL *restrict source, ptrdiff_t row_stride, ptrdiff_t k_stride, ptrdiff_t rows, ptrdiff_t k,
    const ptrdiff_t width, PN_REAL *restrict panel) {
    for (ptrdiff_t r = 0; r < rows; r += width, panel += width * k, source += width * row_stride) {
        const ptrdiff_t filled = rows - r < width ? rows - r : width;
        ptrdiff_t p = 0;
#ifdef PN_TRANSPOSES
        if (k_stride == 1) p = PN_(pn_pack_squares)(source, row_stride, filled, k, width, panel);
#endif
        if (filled < width) memset(panel + p * width, 0, (size_t)(width * (k - p)) * sizeof(PN_REAL));
        if (row_stride == 1 && filled == width) {
            for (; p < k; p++) memcpy(panel + p * width, source + p * k_stride, (size_t)width * sizeof(PN_REAL));
        } else if (filled == width) {
            for (; p < k; p++)
                for (ptrdiff_t i = 0; i < width; i++) panel[p * width + i] = source[i * row_stride + p * k_stride];
        } else {
            for (; p < k; p++)
                for (ptrdiff_t i = 0; i < filled; i++) panel[p * width + i] = source[i * row_stride + p * k_stride];
        }
    }
}

/* The same for columns of a row-major matrix, rows being k_stride apart: eight panels at a time, so that whole lines are
 * read, and asked for eight rows ahead, because the processor does not foresee the jump to the next row (1-5%). */
static inline void PN_(pn_pack_columns)(const PN_REAL *restrict source, ptrdiff_t k_stride, ptrdiff_t columns,
                                        ptrdiff_t k, PN_REAL *restrict panel) {
    const ptrdiff_t whole = columns / PN_NR * PN_NR;
    for (ptrdiff_t first = 0; first < whole; first += 8 * PN_NR) {
        const ptrdiff_t stop = whole - first < 8 * PN_NR ? whole - first : 8 * PN_NR;
        for (ptrdiff_t p = 0; p < k; p++)
            for (ptrdiff_t j = 0; j < stop; j += PN_NR) {
                const PN_REAL *line = source + p * k_stride + first + j;
                __builtin_prefetch(line + 8 * k_stride);
                memcpy(panel + (first + j) * k + p * PN_NR, line, (size_t)PN_NR * sizeof(PN_REAL));
            }
    }
    if (whole < columns)
        PN_(pn_pack)(source + whole, 1, k_stride, columns - whole, k, PN_NR, panel + whole * k);
}

/* Where the rows of A lie that a block multiplies. */
typedef struct {
    PN_(pn_micro_kernel) micro;
    const PN_REAL *first;
    ptrdiff_t row; /* from one row to the next, on average over a panel */
    ptrdiff_t stride;
} PN_(pn_left);

/* One block of A times one packed block of B; `end`, if not NULL, is what C's first columns get at last. */
static inline void PN_(pn_block)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, PN_(pn_left) a, const PN_REAL *b, PN_REAL *c,
                                 ptrdiff_t ldc, int accumulate, const PN_(pn_ending) *end) {
    for (ptrdiff_t j = 0; j < n; j += PN_NR) {
        const ptrdiff_t columns = n - j < PN_NR ? n - j : PN_NR;
        const PN_(pn_ending) ending = {end ? end->bias + j : NULL, end ? end->least : 0}, *here = end ? &ending : NULL;
        for (ptrdiff_t i = 0; i < m; i += PN_MR) {
            const ptrdiff_t rows = m - i < PN_MR ? m - i : PN_MR;
            a.micro(rows, columns > PN_LANES, k, a.first + i * a.row, a.stride, b + j * k, c + i * ldc + j, ldc, columns,
                    accumulate, here);
        }
    }
}

/* Keep the pre-activation if asked to, apply the activation; row by row of a finished block. */
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

#include "gemm_narrow_impl.h"

/* A product by tiles. Returns 0, or -1 if memory is exhausted. */
static int PN_(pn_tiled)(const pn_product *p) {
    const ptrdiff_t m = p->m, n = p->n, k = p->k;
    const PN_REAL *a = (const PN_REAL *)p->a, *b = (const PN_REAL *)p->b, *bias = (const PN_REAL *)p->bias;
    PN_REAL *c = (PN_REAL *)p->c, *pre = (PN_REAL *)p->pre;
    const PN_REAL alpha = (PN_REAL)p->alpha;
    /* ReLU is part of the tile, other activations follow on what is still in cache. */
    const int relu = p->code == PN_RELU && bias && !pre;
    if (k == 0) {
        for (ptrdiff_t i = 0; i < m && !p->accumulate; i++)
            for (ptrdiff_t j = 0; j < n; j++) c[i * p->ldc + j] = bias ? bias[j] : 0;
        PN_(pn_epilogue)(c, pre, p->ldc, m, n, p->code, alpha);
        return 0;
    }
    /* Few rows: A is read in place (up to 1.5 times as fast), for two panels of B at a time, which are used at once. Few
     * columns: A in place too, because packing it would not pay. Rows a multiple of 2 KB apart drive each other out of the
     * first-level cache; then only the fewest are read in place. */
    const int apart = p->a_k != 1 || p->a_row * (ptrdiff_t)sizeof(PN_REAL) % 2048 != 0;
    const int few_rows = m <= (apart ? 2 * PN_MC : PN_MC), in_place = few_rows || n <= 2 * PN_NR;
    const ptrdiff_t nc_limit = few_rows ? 2 * PN_NR : PN_NC;
    const ptrdiff_t kc_most = k < PN_KC ? k : PN_KC;
    const ptrdiff_t mc_most = in_place ? 0 : PN_MC;
    const ptrdiff_t nc_most = n < nc_limit ? (n + PN_NR - 1) / PN_NR * PN_NR : nc_limit;
    pn_workspace *workspace = pn_workspace_take((size_t)((mc_most + nc_most) * kc_most + PN_LANES) * sizeof(PN_REAL));
    if (!workspace) return -1;
    PN_REAL *packed_b = (PN_REAL *)pn_workspace_data(workspace);
    PN_REAL *packed_a = packed_b + nc_most * kc_most; /* nc_most is a multiple of NR, so this stays aligned */
    const pn_float_mode mode = pn_flush_denormals();
    for (ptrdiff_t jc = 0; jc < n; jc += nc_limit) {
        const ptrdiff_t nc = n - jc < nc_limit ? n - jc : nc_limit;
        for (ptrdiff_t pc = 0; pc < k; pc += PN_KC) {
            const ptrdiff_t kc = k - pc < PN_KC ? k - pc : PN_KC;
            const PN_REAL *right = b + pc * p->b_k + jc * p->b_column;
            if (p->b_column == 1)
                PN_(pn_pack_columns)(right, p->b_k, nc, kc, packed_b);
            else
                PN_(pn_pack)(right, p->b_column, p->b_k, nc, kc, PN_NR, packed_b);
            for (ptrdiff_t ic = 0; ic < m; ic += PN_MC) {
                const ptrdiff_t mc = m - ic < PN_MC ? m - ic : PN_MC;
                const ptrdiff_t corner = ic * p->ldc + jc;
                const PN_REAL *left = a + ic * p->a_row + pc * p->a_k;
                PN_(pn_left) rows = {PN_(pn_micro_packed), packed_a, kc, 0};
                if (!in_place)
                    PN_(pn_pack)(left, p->a_row, p->a_k, mc, kc, PN_MR, packed_a);
                else if (p->a_k == 1)
                    rows = (PN_(pn_left)){PN_(pn_micro_rows), left, p->a_row, p->a_row};
                else
                    rows = (PN_(pn_left)){PN_(pn_micro_columns), left, 1, p->a_k};
                const PN_(pn_ending) end = {bias + jc, relu ? 0 : -(PN_REAL)INFINITY};
                const int last = pc + kc == k;
                PN_(pn_block)(mc, nc, kc, rows, packed_b, c + corner, p->ldc, p->accumulate || pc > 0,
                              last && bias ? &end : NULL);
                if (last && !relu && (pre || p->code != PN_IDENTITY))
                    PN_(pn_epilogue)(c + corner, pre ? pre + corner : NULL, p->ldc, mc, nc, p->code, alpha);
            }
        }
    }
    pn_restore_denormals(mode);
    pn_workspace_return(workspace);
    return 0;
}

/* Returns 0, or -1 if memory is exhausted. The last columns, if they are few, are done by themselves: of 100 columns the
 * last four would cost as much as 16. */
static int PN_(pn_gemm)(const pn_product *p) {
    if (p->m == 0 || p->n == 0) return 0;
    if (p->few == 0) return PN_(pn_tiled)(p);
    const ptrdiff_t whole = p->n - p->few, size = (ptrdiff_t)sizeof(PN_REAL);
    pn_product many = *p, last = *p;
    many.n = whole, last.n = p->few;
    last.b = (const char *)p->b + whole * p->b_column * size;
    last.c = (char *)p->c + whole * size;
    if (p->bias) last.bias = (const char *)p->bias + whole * size;
    if (p->pre) last.pre = (char *)p->pre + whole * size;
    if (whole && PN_(pn_tiled)(&many)) return -1;
    return PN_(pn_narrow)(&last);
}

static void PN_(pn_product_part)(void *argument, int index) {
    pn_product *whole = (pn_product *)argument;
    pn_product part = *whole;
    const int i = index / whole->column_parts, j = index % whole->column_parts;
    const ptrdiff_t top = pn_part_start(whole->m, PN_MR, i, whole->row_parts);
    const ptrdiff_t left = pn_part_start(whole->n, PN_NR, j, whole->column_parts);
    part.m = pn_part_start(whole->m, PN_MR, i + 1, whole->row_parts) - top;
    part.n = pn_part_start(whole->n, PN_NR, j + 1, whole->column_parts) - left;
    if (left + part.n < whole->n) part.few = 0; /* another part has the last columns */
    part.a = (const PN_REAL *)part.a + top * part.a_row;
    part.b = (const PN_REAL *)part.b + left * part.b_column;
    part.c = (PN_REAL *)part.c + top * part.ldc + left;
    if (part.pre) part.pre = (PN_REAL *)part.pre + top * part.ldc + left;
    if (part.bias) part.bias = (const PN_REAL *)part.bias + left;
    if (PN_(pn_gemm)(&part)) __atomic_store_n(&whole->failed, -1, __ATOMIC_RELAXED);
}

#undef PN_LANES
#undef PN_NR
#undef PN_KC
#undef PN_MC
#undef PN_NC
#undef PN_REAL
#undef PN_SIGNED
#undef PN_

/* Template, included by gemm_template.h: the register tiles, and the micro-kernels that consist of them. */

/* Epilogue applied to a finished tile in registers, which saves a pass over the result. */
typedef struct {
    const PN_REAL *bias; /* of the tile's columns */
    PN_REAL min;         /* lower bound: 0 for ReLU, else minus infinity */
} PN_(pn_tile_epilogue);

/* Load the first `count` elements; the other lanes are 0. */
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

/* Apply the epilogue to one vector of a tile and store it to C; if `partly`, only its first `count` elements. */
static inline __attribute__((always_inline)) void PN_(pn_finish)(PN_(pn_vector) sums, PN_REAL *c, int accumulate,
                                                                 const PN_(pn_tile_epilogue) *end, ptrdiff_t first,
                                                                 const int partly, ptrdiff_t count) {
    if (accumulate) sums += partly ? PN_(pn_load_part)(c, count) : (PN_(pn_vector))(*(const PN_(pn_unaligned) *)c);
    if (end) {
        const PN_REAL *bias = end->bias + first;
        const PN_(pn_vector) lower = end->min - (PN_(pn_vector)){0};
        sums += partly ? PN_(pn_load_part)(bias, count) : (PN_(pn_vector))(*(const PN_(pn_unaligned) *)bias);
        const PN_(pn_bits) below = sums < lower; /* false for NaN, which passes through */
        sums = (PN_(pn_vector))(((PN_(pn_bits))sums & ~below) | ((PN_(pn_bits))lower & below));
    }
    if (partly)
        PN_(pn_store_part)(c, sums, count);
    else
        *(PN_(pn_unaligned) *)c = sums;
}

/* The same for a tile at the right edge of C, whose last vector is incomplete. Inlined in every tile, this was a fourth
 * of the module (AVX2). */
static __attribute__((noinline)) void PN_(pn_finish_edge)(const PN_(pn_vector) (*sums)[2], ptrdiff_t rows, PN_REAL *c,
                                                          ptrdiff_t ldc, ptrdiff_t columns, int accumulate,
                                                          const PN_(pn_tile_epilogue) *end) {
    for (ptrdiff_t i = 0; i < rows; i++, c += ldc)
        for (ptrdiff_t first = 0; first < columns; first += PN_LANES) {
            const ptrdiff_t count = columns - first;
            const PN_(pn_vector) sum = sums[i][first > 0];
            if (count >= PN_LANES)
                PN_(pn_finish)(sum, c + first, accumulate, end, first, 0, 0);
            else
                PN_(pn_finish)(sum, c + first, accumulate, end, first, 1, count);
        }
}

/* Multiply `rows` rows of A by a panel of B (only its first vector unless `wide`), and write the first `columns` of C.
 *
 * With `copying`, `b` points into B itself, with row stride `b_k`. The tile copies these columns to `panel`, overlapped
 * with the multiply-adds, and prefetches the next panel into the L2 cache: for weights in L3, 1.1 times as fast as
 * copying first. `beside`: A is packed or column-major, so one cache line holds an element of each row. */
static inline __attribute__((always_inline)) void PN_(pn_tile)(
    const int rows, const int wide, const int copying, const int beside, ptrdiff_t k, const PN_REAL *restrict a,
    const ptrdiff_t a_row, const ptrdiff_t a_k, const PN_REAL *restrict b, const ptrdiff_t b_k, PN_REAL *restrict panel,
    PN_REAL *restrict c, ptrdiff_t ldc, ptrdiff_t columns, int accumulate, const PN_(pn_tile_epilogue) *end) {
    PN_(pn_vector) tile[PN_MR][2];
    PN_TILE_CLEAR(tile, rows)
    if (k >= PN_PREFETCH_MIN_K)
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            __builtin_prefetch(c + i * ldc, 1);
            if (wide) __builtin_prefetch(c + i * ldc + PN_LANES, 1);
        }
    /* One pointer per three rows keeps addresses in few registers. */
    const PN_REAL *third[(PN_MR + 2) / 3];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i += 3) third[i / 3] = a + i * a_row;
    const ptrdiff_t ahead = (copying ? PN_PREFETCH_ROWS_COPYING : PN_PREFETCH_ROWS) * b_k;
    for (ptrdiff_t p = 0; p < k; p++) {
        const PN_(pn_vector) b0 = *(const PN_(pn_unaligned) *)b;
        const PN_(pn_vector) b1 = *(const PN_(pn_unaligned) *)(b + PN_LANES);
        /* Prefetch the ends of the vectors: an unaligned vector begins in a line that the previous panel prefetched. */
        __builtin_prefetch(b + ahead + PN_LANES - 1);
        if (PN_VECTOR_BYTES == 64) __builtin_prefetch(b + ahead + PN_NR - 1);
        if (beside) __builtin_prefetch(third[0] + PN_PREFETCH_ROWS * a_k);
        if (copying) {
            __builtin_prefetch(b + PN_NR + PN_LANES - 1, 0, 2);
            __builtin_prefetch(b + PN_NR + PN_NR - 1, 0, 2);
            *(PN_(pn_vector) *)panel = b0;
            *(PN_(pn_vector) *)(panel + PN_LANES) = b1;
            panel += PN_NR;
        }
        PN_TILE_ADD(tile, rows, wide, third[i / 3][i % 3 * a_row], b0, b1)
#pragma GCC unroll 16
        for (int i = 0; i < rows; i += 3) third[i / 3] += a_k;
        b += b_k;
    }
    const ptrdiff_t last = wide ? PN_LANES : 0;
    if (copying || columns - last == PN_LANES) {
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            if (wide) PN_(pn_finish)(tile[i][0], c + i * ldc, accumulate, end, 0, 0, 0);
            PN_(pn_finish)(tile[i][wide], c + i * ldc + last, accumulate, end, last, 0, 0);
        }
        return;
    }
    PN_(pn_vector) sums[PN_MR][2]; /* its address is taken; `tile` thus stays in registers */
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        sums[i][0] = tile[i][0];
        if (wide) sums[i][1] = tile[i][1];
    }
    PN_(pn_finish_edge)(sums, rows, c, ldc, columns, accumulate, end);
}

/* The micro-kernels: each has one tile per number of rows, and one of half the width for the last columns, so that a
 * (50, 100) result takes 50 x 104 instead of 54 x 112 multiply-adds. There are two for each layout of A (packed in
 * panels, row-major in place, column-major in place, with `stride` as the row or column stride): one reads a packed
 * panel of B, the other copies the panel from B. */
typedef void (*PN_(pn_micro_kernel))(ptrdiff_t rows, int wide, ptrdiff_t k, const PN_REAL *a, ptrdiff_t stride,
                                     const PN_REAL *b, ptrdiff_t b_k, PN_REAL *panel, PN_REAL *c, ptrdiff_t ldc,
                                     ptrdiff_t columns, int accumulate, const PN_(pn_tile_epilogue) *end);

#define PN_CASE(n)                                                                                             \
    case n:                                                                                                    \
        if (copying)                                                                                           \
            PN_(pn_tile)(n, 1, 1, beside, k, a, a_row, a_k, b, b_k, panel, c, ldc, PN_NR, accumulate, end);    \
        else if (wide)                                                                                         \
            PN_(pn_tile)(n, 1, 0, beside, k, a, a_row, a_k, b, PN_NR, NULL, c, ldc, columns, accumulate, end); \
        else                                                                                                   \
            PN_(pn_tile)(n, 0, 0, beside, k, a, a_row, a_k, b, PN_NR, NULL, c, ldc, columns, accumulate, end); \
        break;
#define PN_MICRO_KERNEL(name, of_row, of_k, is_beside, is_copying)                                                     \
    static void PN_(name)(ptrdiff_t rows, int wide, ptrdiff_t k, const PN_REAL *a, ptrdiff_t stride, const PN_REAL *b, \
                          ptrdiff_t b_k, PN_REAL *panel, PN_REAL *c, ptrdiff_t ldc, ptrdiff_t columns, int accumulate, \
                          const PN_(pn_tile_epilogue) *end) {                                                          \
        const ptrdiff_t a_row = of_row, a_k = of_k;                                                                    \
        const int beside = is_beside, copying = is_copying;                                                            \
        (void)stride;                                                                                                  \
        switch (rows) { PN_TILE_CASES(PN_CASE) }                                                                       \
    }
PN_MICRO_KERNEL(pn_micro_packed, 1, PN_MR, 1, 0)
PN_MICRO_KERNEL(pn_micro_rows, stride, 1, 0, 0)
PN_MICRO_KERNEL(pn_micro_columns, 1, stride, 1, 0)
PN_MICRO_KERNEL(pn_copying_packed, 1, PN_MR, 1, 1)
PN_MICRO_KERNEL(pn_copying_rows, stride, 1, 0, 1)
PN_MICRO_KERNEL(pn_copying_columns, 1, stride, 1, 1)
#undef PN_CASE
#undef PN_MICRO_KERNEL

/* The left-hand operand of a block, and the micro-kernels for its layout. */
typedef struct {
    PN_(pn_micro_kernel) micro, copying;
    const PN_REAL *first;
    ptrdiff_t row;    /* elements from row to row; in panels, on average */
    ptrdiff_t stride; /* the micro-kernel's `stride`; 0 for panels */
} PN_(pn_left);

static inline PN_(pn_left) PN_(pn_in_panels)(const PN_REAL *panels, ptrdiff_t k) {
    return (PN_(pn_left)){PN_(pn_micro_packed), PN_(pn_copying_packed), panels, k, 0};
}

static inline PN_(pn_left) PN_(pn_in_place)(const PN_REAL *a, ptrdiff_t a_row, ptrdiff_t a_k) {
    if (a_k == 1) return (PN_(pn_left)){PN_(pn_micro_rows), PN_(pn_copying_rows), a, a_row, a_row};
    return (PN_(pn_left)){PN_(pn_micro_columns), PN_(pn_copying_columns), a, 1, a_k};
}

/* Template, included by conv_template.h: the register tiles. */

/* The first row of tile `index`: rows are split evenly, 64 as 11 + 11 + 11 + 11 + 10 + 10. */
static inline ptrdiff_t PN_(pn_conv_tile_start)(ptrdiff_t rows, ptrdiff_t index) {
    return rows * index / pn_ceil_div(rows, PN_MR);
}

/* Rows of weights times a panel of patches. */
static inline
    __attribute__((always_inline)) void PN_(pn_conv_tile)(const int rows, const int wide, ptrdiff_t k,
                                                          const PN_REAL *restrict a, const PN_REAL *restrict b,
                                                          const PN_REAL *bias, PN_REAL *restrict c, ptrdiff_t ldc,
                                                          int accumulate) {
    PN_(pn_vector) tile[PN_MR][2];
    PN_TILE_CLEAR(tile, rows)
    for (ptrdiff_t p = 0; p < k; p++) {
        const PN_(pn_vector) b0 = *(const PN_(pn_vector) *)b;
        const PN_(pn_vector) b1 = *(const PN_(pn_vector) *)(b + PN_LANES);
        PN_TILE_ADD(tile, rows, wide, a[i], b0, b1)
        a += PN_MR;
        b += PN_NR;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        PN_(pn_unaligned) *row = (PN_(pn_unaligned) *)(c + i * ldc);
        if (accumulate) {
            tile[i][0] += row[0];
            if (wide) tile[i][1] += row[1];
        }
        if (bias) {
            tile[i][0] += bias[i];
            if (wide) tile[i][1] += bias[i];
        }
        row[0] = tile[i][0];
        if (wide) row[1] = tile[i][1];
    }
}

/* Patches, read in place at `source` + row[i] + each position's offset, times dy, added to sums (rows x NR). */
static inline
    __attribute__((always_inline)) void PN_(pn_conv_weight_tile)(const int rows, const int wide, ptrdiff_t positions,
                                                                 const PN_REAL *restrict source,
                                                                 const ptrdiff_t *restrict column,
                                                                 const ptrdiff_t *restrict row,
                                                                 const PN_REAL *restrict dy, PN_REAL *restrict sums) {
    PN_(pn_vector) tile[PN_MR][2];
    const PN_REAL *from[PN_MR];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        tile[i][0] = *(PN_(pn_vector) *)(sums + i * PN_NR);
        tile[i][1] = *(PN_(pn_vector) *)(sums + i * PN_NR + PN_LANES);
        from[i] = source + row[i];
    }
    for (ptrdiff_t q = 0; q < positions; q++) {
        const PN_(pn_vector) b0 = *(const PN_(pn_vector) *)dy;
        const PN_(pn_vector) b1 = *(const PN_(pn_vector) *)(dy + PN_LANES);
        const ptrdiff_t at = column[q];
        PN_TILE_ADD(tile, rows, wide, from[i][at], b0, b1)
        dy += PN_NR;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        *(PN_(pn_vector) *)(sums + i * PN_NR) = tile[i][0];
        if (wide) *(PN_(pn_vector) *)(sums + i * PN_NR + PN_LANES) = tile[i][1];
    }
}

#define PN_CASE(n)                                                      \
    case n:                                                             \
        if (wide)                                                       \
            PN_(pn_conv_tile)(n, 1, k, a, b, bias, c, ldc, accumulate); \
        else                                                            \
            PN_(pn_conv_tile)(n, 0, k, a, b, bias, c, ldc, accumulate); \
        break;
static void PN_(pn_conv_micro)(ptrdiff_t rows, int wide, ptrdiff_t k, const PN_REAL *a, const PN_REAL *b,
                               const PN_REAL *bias, PN_REAL *c, ptrdiff_t ldc, int accumulate) {
    switch (rows) { PN_TILE_CASES(PN_CASE) }
}
#undef PN_CASE

#define PN_CASE(n)                                                                    \
    case n:                                                                           \
        if (wide)                                                                     \
            PN_(pn_conv_weight_tile)(n, 1, positions, source, column, row, dy, sums); \
        else                                                                          \
            PN_(pn_conv_weight_tile)(n, 0, positions, source, column, row, dy, sums); \
        break;
static void PN_(pn_conv_weight_micro)(ptrdiff_t rows, int wide, ptrdiff_t positions, const PN_REAL *source,
                                      const ptrdiff_t *column, const ptrdiff_t *row, const PN_REAL *dy, PN_REAL *sums) {
    switch (rows) { PN_TILE_CASES(PN_CASE) }
}
#undef PN_CASE

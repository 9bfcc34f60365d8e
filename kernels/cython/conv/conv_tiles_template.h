/* Template, included by conv_template.h: the register tiles. */

/* The first row of tile `index`: rows are split evenly, 64 as 11 + 11 + 11 + 11 + 10 + 10. */
static inline ptrdiff_t PN_(pn_conv_tile_start)(ptrdiff_t rows, ptrdiff_t index) {
    return rows * index / pn_ceil_div(rows, PN_MR);
}

/* Rows of weights times a panel of patches. Never index a lane of an accumulator (see gemm/gemm_tiles_template.h). */
static inline
    __attribute__((always_inline)) void PN_(pn_conv_tile)(const int rows, const int wide, ptrdiff_t k,
                                                          const PN_REAL *restrict a, const PN_REAL *restrict b,
                                                          const PN_REAL *bias, PN_REAL *restrict c, ptrdiff_t ldc,
                                                          int accumulate) {
    PN_(pn_vector) tile[PN_MR][2];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) tile[i][0] = tile[i][1] = (PN_(pn_vector)){0};
    for (ptrdiff_t p = 0; p < k; p++) {
        const PN_(pn_vector) b0 = *(const PN_(pn_vector) *)b;
        const PN_(pn_vector) b1 = *(const PN_(pn_vector) *)(b + PN_LANES);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            tile[i][0] += a[i] * b0;
            if (wide) tile[i][1] += a[i] * b1;
        }
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
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            tile[i][0] += from[i][at] * b0;
            if (wide) tile[i][1] += from[i][at] * b1;
        }
        dy += PN_NR;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        *(PN_(pn_vector) *)(sums + i * PN_NR) = tile[i][0];
        if (wide) *(PN_(pn_vector) *)(sums + i * PN_NR + PN_LANES) = tile[i][1];
    }
}

#define PN_CASE(n, function, ...)             \
    case n:                                   \
        if (wide)                             \
            PN_(function)(n, 1, __VA_ARGS__); \
        else                                  \
            PN_(function)(n, 0, __VA_ARGS__); \
        break;
/* clang-format off */
#define PN_CASES_4(...) \
    PN_CASE(1, __VA_ARGS__) PN_CASE(2, __VA_ARGS__) PN_CASE(3, __VA_ARGS__) PN_CASE(4, __VA_ARGS__)
#if PN_MR == 4
#define PN_CASES(...) PN_CASES_4(__VA_ARGS__)
#elif PN_MR == 6
#define PN_CASES(...) PN_CASES_4(__VA_ARGS__) PN_CASE(5, __VA_ARGS__) PN_CASE(6, __VA_ARGS__)
#elif PN_MR == 8
#define PN_CASES(...)                                                                               \
    PN_CASES_4(__VA_ARGS__) PN_CASE(5, __VA_ARGS__) PN_CASE(6, __VA_ARGS__) PN_CASE(7, __VA_ARGS__) \
    PN_CASE(8, __VA_ARGS__)
#else
#define PN_CASES(...)                                                                               \
    PN_CASES_4(__VA_ARGS__) PN_CASE(5, __VA_ARGS__) PN_CASE(6, __VA_ARGS__) PN_CASE(7, __VA_ARGS__) \
    PN_CASE(8, __VA_ARGS__) PN_CASE(9, __VA_ARGS__) PN_CASE(10, __VA_ARGS__) PN_CASE(11, __VA_ARGS__) \
    PN_CASE(12, __VA_ARGS__)
#endif
/* clang-format on */

static void PN_(pn_conv_micro)(ptrdiff_t rows, int wide, ptrdiff_t k, const PN_REAL *a, const PN_REAL *b,
                               const PN_REAL *bias, PN_REAL *c, ptrdiff_t ldc, int accumulate) {
    switch (rows) { PN_CASES(pn_conv_tile, k, a, b, bias, c, ldc, accumulate) }
}

static void PN_(pn_conv_weight_micro)(ptrdiff_t rows, int wide, ptrdiff_t positions, const PN_REAL *source,
                                      const ptrdiff_t *column, const ptrdiff_t *row, const PN_REAL *dy, PN_REAL *sums) {
    switch (rows) { PN_CASES(pn_conv_weight_tile, positions, source, column, row, dy, sums) }
}
#undef PN_CASE
#undef PN_CASES_4
#undef PN_CASES

/* Template, included by gemm_template.h: products of few rows of A with row-major B, such as a prediction for one
 * example. An element of B is used once for each row, so that reading B takes all the time: it is read in the order of
 * memory, a dozen vectors of a row at a time, and never copied. The sums are those of the tiles, bit for bit. */

#define PN_FLAT_ROWS 4
/* Vectors of a row of C in registers, of which a processor has 32 with AVX-512, else 16. */
#define PN_FLAT_VECTORS(rows) (PN_VECTOR_BYTES == 64 ? ((rows) == 1 ? 16 : 24 / (rows)) : (rows) == 1 ? 8 : 12 / (rows))

static inline int PN_(pn_is_flat)(const pn_product *p) {
    return p->m <= PN_FLAT_ROWS && p->b_column == 1 && p->k > 0 && p->n >= 2 * PN_NR;
}

/* Compute `vectors` vectors of C's rows from column j on, of which the only one holds `columns` elements if `partly`;
 * `from` and `kc` say which block of k. */
static inline __attribute__((always_inline)) void PN_(pn_flat_columns)(const int rows, const int vectors,
                                                                       const int partly, ptrdiff_t columns,
                                                                       const pn_product *p, ptrdiff_t j, ptrdiff_t from,
                                                                       ptrdiff_t kc, const PN_(pn_tile_epilogue) *end) {
    const PN_REAL *a = (const PN_REAL *)p->a + from * p->a_k, *b = (const PN_REAL *)p->b + from * p->b_k + j;
    PN_REAL *c = (PN_REAL *)p->c + j;
    PN_(pn_vector) sums[PN_FLAT_ROWS][16];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 16
        for (int v = 0; v < vectors; v++) sums[i][v] = (PN_(pn_vector)){0};
    for (ptrdiff_t q = 0; q < kc; q++, a += p->a_k, b += p->b_k)
#pragma GCC unroll 16
        for (int v = 0; v < vectors; v++) {
            const PN_(pn_vector) value = partly ? PN_(pn_load_part)(b, columns)
                                                : (PN_(pn_vector))(*(const PN_(pn_unaligned) *)(b + v * PN_LANES));
#pragma GCC unroll 4
            for (int i = 0; i < rows; i++) sums[i][v] += a[i * p->a_row] * value;
        }
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 16
        for (int v = 0; v < vectors; v++)
            PN_(pn_finish)(sums[i][v], c + i * p->ldc + v * PN_LANES, from > 0, end, j + v * PN_LANES, partly, columns);
}

/* `rows` is a constant once inlined. */
static inline __attribute__((always_inline)) void PN_(pn_flat_rows)(const int rows, const pn_product *p, ptrdiff_t from,
                                                                    ptrdiff_t kc, const PN_(pn_tile_epilogue) *end) {
    const int many = PN_FLAT_VECTORS(rows), some = many / 3;
    ptrdiff_t j = 0;
    for (; j + many * PN_LANES <= p->n; j += many * PN_LANES)
        PN_(pn_flat_columns)(rows, many, 0, 0, p, j, from, kc, end);
    for (; j + some * PN_LANES <= p->n; j += some * PN_LANES)
        PN_(pn_flat_columns)(rows, some, 0, 0, p, j, from, kc, end);
    for (; j + PN_LANES <= p->n; j += PN_LANES) PN_(pn_flat_columns)(rows, 1, 0, 0, p, j, from, kc, end);
    if (j < p->n) PN_(pn_flat_columns)(rows, 1, 1, p->n - j, p, j, from, kc, end);
}

static void PN_(pn_flat)(const pn_product *p) {
    const int relu = p->code == PN_RELU && p->bias && !p->pre;
    const PN_(pn_tile_epilogue) ending = {(const PN_REAL *)p->bias, relu ? 0 : -(PN_REAL)INFINITY};
    const pn_float_mode mode = pn_flush_denormals();
    for (ptrdiff_t from = 0; from < p->k; from += PN_KC) {
        const ptrdiff_t kc = p->k - from < PN_KC ? p->k - from : PN_KC;
        const PN_(pn_tile_epilogue) *end = p->bias && from + kc == p->k ? &ending : NULL;
        switch (p->m) {
        case 1: PN_(pn_flat_rows)(1, p, from, kc, end); break;
        case 2: PN_(pn_flat_rows)(2, p, from, kc, end); break;
        case 3: PN_(pn_flat_rows)(3, p, from, kc, end); break;
        case 4: PN_(pn_flat_rows)(4, p, from, kc, end); break;
        }
    }
    if (!relu && (p->pre || p->code != PN_IDENTITY))
        PN_(pn_epilogue)((PN_REAL *)p->c, (PN_REAL *)p->pre, p->ldc, p->m, p->n, p->code, (PN_REAL)p->alpha);
    pn_restore_denormals(mode);
}

#undef PN_FLAT_ROWS
#undef PN_FLAT_VECTORS

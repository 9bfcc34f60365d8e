/* Template, included by gemm_template.h: products of few rows of A with column-major B, such as the gradient by the
 * input of one example. Each element of C is an inner product of two rows in memory: packing B, to use it once or a few
 * times, would take two thirds of the time. */

#define PN_DOT_ROWS 4
#define PN_DOT_COLUMNS 4

static inline int PN_(pn_is_dot)(const pn_product *p) {
    return p->m <= PN_DOT_ROWS && p->a_k == 1 && p->b_k == 1 && p->k >= 4 * PN_LANES;
}

/* `rows` x `columns` elements of C from column j on; both are constants once inlined. */
static inline __attribute__((always_inline)) void PN_(pn_dot_tile)(const int rows, const int columns,
                                                                   const pn_product *p, ptrdiff_t j) {
    const PN_REAL *a = (const PN_REAL *)p->a, *b = (const PN_REAL *)p->b + j * p->b_column;
    const PN_REAL *bias = (const PN_REAL *)p->bias;
    PN_(pn_vector) sums[PN_DOT_ROWS][PN_DOT_COLUMNS];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int c = 0; c < columns; c++) sums[i][c] = (PN_(pn_vector)){0};
    ptrdiff_t q = 0;
    for (; q + PN_LANES <= p->k; q += PN_LANES)
#pragma GCC unroll 4
        for (int c = 0; c < columns; c++) {
            const PN_(pn_vector) right = *(const PN_(pn_unaligned) *)(b + c * p->b_column + q);
#pragma GCC unroll 4
            for (int i = 0; i < rows; i++) sums[i][c] += *(const PN_(pn_unaligned) *)(a + i * p->a_row + q) * right;
        }
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int c = 0; c < columns; c++) {
            PN_REAL total = 0;
            for (int lane = 0; lane < PN_LANES; lane++) total += sums[i][c][lane];
            for (ptrdiff_t rest = q; rest < p->k; rest++) total += a[i * p->a_row + rest] * b[c * p->b_column + rest];
            ((PN_REAL *)p->c)[i * p->ldc + j + c] = bias ? total + bias[j + c] : total;
        }
}

/* Three and four rows take two columns at a time, which leaves registers for A. */
static inline __attribute__((always_inline)) void PN_(pn_dot_rows)(const int rows, const pn_product *p) {
    const int columns = rows <= 2 ? PN_DOT_COLUMNS : 2;
    ptrdiff_t j = 0;
    for (; j + columns <= p->n; j += columns) PN_(pn_dot_tile)(rows, columns, p, j);
    for (; j < p->n; j++) PN_(pn_dot_tile)(rows, 1, p, j);
}

static void PN_(pn_dot)(const pn_product *p) {
    const pn_float_mode mode = pn_flush_denormals();
    switch (p->m) {
    case 1: PN_(pn_dot_rows)(1, p); break;
    case 2: PN_(pn_dot_rows)(2, p); break;
    case 3: PN_(pn_dot_rows)(3, p); break;
    case 4: PN_(pn_dot_rows)(4, p); break;
    }
    if (p->pre || p->code != PN_IDENTITY)
        PN_(pn_epilogue)((PN_REAL *)p->c, (PN_REAL *)p->pre, p->ldc, p->m, p->n, p->code, (PN_REAL)p->alpha);
    pn_restore_denormals(mode);
}

#undef PN_DOT_ROWS
#undef PN_DOT_COLUMNS

/* Template, included by gemm_template.h: products of at most PN_SHALLOW multiply-adds per element, such as the gradient
 * of the inputs of a layer with few outputs. Writing C takes all the time, so a row of C is written as a whole, from
 * rows of B in L1. A tile's preparation takes twice the time of its multiply-adds: (150, 1) by (1, 100) in float64
 * took 8.2 us. */

#define PN_SHALLOW 4
#define PN_SHALLOW_ELEMENTS ((ptrdiff_t)(16384 / sizeof(PN_REAL))) /* of B */

/* Whether the product is one of these. */
static inline int PN_(pn_is_shallow)(const pn_product *p) {
    const int plain = !p->bias && !p->pre && p->code == PN_IDENTITY;
    return plain && p->k > 0 && p->k <= PN_SHALLOW && p->k * (p->n + PN_LANES) <= PN_SHALLOW_ELEMENTS;
}

/* Multiply rows of A by `k` rows of B, each padded to `padded` elements. `k` is a constant once inlined. */
static inline __attribute__((always_inline)) void PN_(pn_shallow_rows)(const int k, const pn_product *p,
                                                                       const PN_REAL *b, ptrdiff_t padded) {
    const PN_REAL *a = (const PN_REAL *)p->a;
    PN_REAL *c = (PN_REAL *)p->c;
    for (ptrdiff_t i = 0; i < p->m; i++, a += p->a_row, c += p->ldc)
        for (ptrdiff_t j = 0; j < p->n; j += PN_LANES) {
            PN_(pn_vector) sum = {0};
#pragma GCC unroll 4
            for (int q = 0; q < k; q++) sum += a[q * p->a_k] * *(const PN_(pn_vector) *)(b + q * padded + j);
            if (p->n - j < PN_LANES)
                PN_(pn_store_part)(c + j, sum, p->n - j);
            else
                *(PN_(pn_unaligned) *)(c + j) = sum;
        }
}

/* Returns 0, or -1 if memory is exhausted. */
static int PN_(pn_shallow)(const pn_product *p) {
    const ptrdiff_t padded = pn_ceil_div(p->n, PN_LANES) * PN_LANES;
    pn_workspace *workspace = pn_workspace_take((size_t)(p->k * padded) * sizeof(PN_REAL));
    if (!workspace) return -1;
    PN_REAL *rows = (PN_REAL *)pn_workspace_data(workspace);
    for (ptrdiff_t q = 0; q < p->k; q++)
        for (ptrdiff_t j = 0; j < padded; j++)
            rows[q * padded + j] = j < p->n ? ((const PN_REAL *)p->b)[q * p->b_k + j * p->b_column] : 0;
    const pn_float_mode mode = pn_flush_denormals();
    switch (p->k) {
    case 1: PN_(pn_shallow_rows)(1, p, rows, padded); break;
    case 2: PN_(pn_shallow_rows)(2, p, rows, padded); break;
    case 3: PN_(pn_shallow_rows)(3, p, rows, padded); break;
    case 4: PN_(pn_shallow_rows)(4, p, rows, padded); break;
    }
    pn_restore_denormals(mode);
    pn_workspace_return(workspace);
    return 0;
}

#undef PN_SHALLOW
#undef PN_SHALLOW_ELEMENTS

/* Template, included by gemm_template.h: products with at most PN_NARROW columns, such as the output of a regression
 * or of two classes, or the last columns of a wider product. A tile would fill only that many lanes of a vector;
 * here the lanes are elements of a row of A, or rows of A, whichever are contiguous. */

/* Elements of k per block: rows of A and ten columns of B of this length fit the L1 cache. */
#define PN_NARROW_DEPTH ((ptrdiff_t)(2048 / sizeof(PN_REAL)))

/* Rows, or vectors of rows, per step: enough accumulators to hide the latency of an addition, few enough for the
 * registers. */
#define PN_NARROW_SOME(columns) ((columns) <= 2 ? 4 : (columns) <= 4 || PN_VECTOR_BYTES == 64 ? 2 : 1)

/* Horizontal sums of LANES vectors. */
static inline __attribute__((always_inline)) PN_(pn_vector) PN_(pn_lane_sums)(PN_(pn_vector) v[PN_LANES]) {
#ifdef PN_TRANSPOSES
    PN_(pn_transpose)(v);
#pragma GCC unroll 4
    for (int half = (int)PN_LANES / 2; half; half /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < half; i++) v[i] += v[i + half];
    return v[0];
#else
    PN_(pn_vector) sums = {0};
    for (ptrdiff_t i = 0; i < PN_LANES; i++)
        for (ptrdiff_t j = 0; j < PN_LANES; j++) sums[i] += v[i][j];
    return sums;
#endif
}

/* Write up to LANES finished rows of C from `sums`, one vector of rows per column. */
static __attribute__((noinline)) void PN_(pn_narrow_finish)(const PN_(pn_vector) *sums, PN_REAL *c, ptrdiff_t ldc,
                                                            ptrdiff_t rows, ptrdiff_t columns, int accumulate,
                                                            const PN_(pn_tile_epilogue) *end) {
    PN_(pn_vector) v[PN_VECTOR_BYTES / sizeof(PN_REAL)] = {{0}};
#ifdef PN_TRANSPOSES
    for (ptrdiff_t j = 0; j < columns; j++) v[j] = sums[j];
    PN_(pn_transpose)(v);
#else
    for (ptrdiff_t j = 0; j < columns; j++)
        for (ptrdiff_t i = 0; i < rows; i++) v[i][j] = sums[j][i];
#endif
    for (ptrdiff_t i = 0; i < rows; i++, c += ldc) PN_(pn_finish)(v[i], c, accumulate, end, 0, 1, columns);
}

/* `some` rows of row-major A times all columns of B, each zero-padded to `padded` elements: sums per lane, row after
 * row. `some` and `columns` are constants once inlined. */
static inline
    __attribute__((always_inline)) void PN_(pn_narrow_some)(const int some, const int columns, ptrdiff_t k,
                                                            const PN_REAL *a, ptrdiff_t a_row, const PN_REAL *b,
                                                            ptrdiff_t padded, PN_(pn_vector) *partial) {
    PN_(pn_vector) sum[4][PN_NARROW];
#pragma GCC unroll 4
    for (int i = 0; i < some; i++)
#pragma GCC unroll 10
        for (int j = 0; j < columns; j++) sum[i][j] = (PN_(pn_vector)){0};
    for (ptrdiff_t q = 0; q < k; q += PN_LANES)
#pragma GCC unroll 4
        for (int i = 0; i < some; i++) {
            const PN_REAL *from = a + i * a_row + q;
            const PN_(pn_vector) value =
                k - q < PN_LANES ? PN_(pn_load_part)(from, k - q) : (PN_(pn_vector))(*(const PN_(pn_unaligned) *)from);
#pragma GCC unroll 10
            for (int j = 0; j < columns; j++) sum[i][j] += value * *(const PN_(pn_vector) *)(b + j * padded + q);
        }
#pragma GCC unroll 4
    for (int i = 0; i < some; i++)
#pragma GCC unroll 10
        for (int j = 0; j < columns; j++) partial[i * columns + j] = sum[i][j];
}

static inline
    __attribute__((always_inline)) void PN_(pn_narrow_rows)(const int columns, const pn_product *p, const PN_REAL *b,
                                                            ptrdiff_t padded, const PN_(pn_tile_epilogue) *end) {
    const int some = PN_NARROW_SOME(columns);
    for (ptrdiff_t first = 0; first < p->m; first += PN_LANES) {
        const ptrdiff_t rows = pn_min(p->m - first, PN_LANES);
        const PN_REAL *a = (const PN_REAL *)p->a + first * p->a_row;
        PN_(pn_vector) partial[PN_VECTOR_BYTES / sizeof(PN_REAL) * PN_NARROW], sums[PN_NARROW];
        ptrdiff_t i = 0;
        memset(partial + rows * columns, 0, (size_t)((PN_LANES - rows) * columns) * sizeof *partial);
        for (; i + some <= rows; i += some)
            PN_(pn_narrow_some)(some, columns, p->k, a + i * p->a_row, p->a_row, b, padded, partial + i * columns);
        for (; i < rows; i++)
            PN_(pn_narrow_some)(1, columns, p->k, a + i * p->a_row, p->a_row, b, padded, partial + i * columns);
        for (int j = 0; j < columns; j++) {
            PN_(pn_vector) v[PN_LANES];
#pragma GCC unroll 16
            for (int r = 0; r < PN_LANES; r++) v[r] = partial[r * columns + j];
            sums[j] = PN_(pn_lane_sums)(v);
        }
        PN_(pn_narrow_finish)(sums, (PN_REAL *)p->c + first * p->ldc, p->ldc, rows, columns, p->accumulate, end);
    }
}

/* Column-major A: `vectors` vectors of rows at a time. */
static inline __attribute__((always_inline)) void PN_(pn_narrow_vectors)(const int vectors, const int columns,
                                                                         const pn_product *p, ptrdiff_t first,
                                                                         const PN_(pn_tile_epilogue) *end) {
    const PN_REAL *a = (const PN_REAL *)p->a + first, *b = (const PN_REAL *)p->b;
    const ptrdiff_t left = p->m - first;
    PN_(pn_vector) sum[4][PN_NARROW];
#pragma GCC unroll 4
    for (int i = 0; i < vectors; i++)
#pragma GCC unroll 10
        for (int j = 0; j < columns; j++) sum[i][j] = (PN_(pn_vector)){0};
    for (ptrdiff_t q = 0; q < p->k; q++, a += p->a_k, b += p->b_k)
#pragma GCC unroll 4
        for (int i = 0; i < vectors; i++) {
            const PN_REAL *from = a + i * PN_LANES;
            const PN_(pn_vector) value =
                left < PN_LANES ? PN_(pn_load_part)(from, left) : (PN_(pn_vector))(*(const PN_(pn_unaligned) *)from);
#pragma GCC unroll 10
            for (int j = 0; j < columns; j++) sum[i][j] += value * b[j * p->b_column];
        }
    PN_REAL *c = (PN_REAL *)p->c + first * p->ldc;
#pragma GCC unroll 4
    for (int i = 0; i < vectors; i++) {
        PN_(pn_vector) sums[PN_NARROW]; /* its address is taken; `sum` thus stays in registers */
#pragma GCC unroll 10
        for (int j = 0; j < columns; j++) sums[j] = sum[i][j];
        PN_(pn_narrow_finish)(sums, c + i * PN_LANES * p->ldc, p->ldc, pn_min(left, PN_LANES), columns, p->accumulate,
                              end);
    }
}

static inline __attribute__((always_inline)) void PN_(pn_narrow_columns)(const int columns, const pn_product *p,
                                                                         const PN_(pn_tile_epilogue) *end) {
    const int some = PN_NARROW_SOME(columns);
    ptrdiff_t first = 0;
    for (; first + some * PN_LANES <= p->m; first += some * PN_LANES)
        PN_(pn_narrow_vectors)(some, columns, p, first, end);
    for (; first < p->m; first += PN_LANES) PN_(pn_narrow_vectors)(1, columns, p, first, end);
}

/* How many of the last columns to compute here, 0 if tiles are faster. A tile would multiply the unused lanes too,
 * but here results reach C through a transposition, and lanes that are elements of a row need a horizontal sum. The
 * bounds, in vector multiply-adds, are the break-even points; beyond them this is up to 7 times (float) or twice
 * (double) as fast. */
static ptrdiff_t PN_(pn_few)(const pn_product *p) {
    const ptrdiff_t few = p->n % PN_NR, depth = pn_min(p->k, PN_NARROW_DEPTH);
    const ptrdiff_t saved = depth * (PN_LANES - few);
    if (few > (few < p->n ? PN_NARROW_REST : PN_NARROW)) return 0;
    if (p->a_row == 1) return saved > 8 * PN_LANES ? few : 0;
    return p->a_k == 1 && saved > PN_LANES * (8 * few + 12) ? few : 0;
}

/* Of A that lies in columns, or, if `transposed` is not NULL, in rows, with B's columns copied there. */
static void PN_(pn_narrow_block)(const pn_product *p, const PN_REAL *transposed, ptrdiff_t padded,
                                 const PN_(pn_tile_epilogue) *end) {
#define PN_CASE(columns)                                              \
    case columns:                                                     \
        if (transposed)                                               \
            PN_(pn_narrow_rows)(columns, p, transposed, padded, end); \
        else                                                          \
            PN_(pn_narrow_columns)(columns, p, end);                  \
        break;
    switch (p->n) {
        PN_CASE(1) PN_CASE(2) PN_CASE(3) PN_CASE(4) PN_CASE(5) PN_CASE(6) PN_CASE(7) PN_CASE(8) PN_CASE(9) PN_CASE(10)
    }
#undef PN_CASE
}

/* Row-major A: blocks of k whose part of B fits the L1 cache. Returns 0, or -1 if memory is exhausted. */
static int PN_(pn_narrow_blocks)(const pn_product *p, const PN_(pn_tile_epilogue) *end) {
    const ptrdiff_t depth = pn_min(p->k, PN_NARROW_DEPTH);
    const ptrdiff_t padded = pn_ceil_div(depth, PN_LANES) * PN_LANES;
    pn_workspace *workspace = pn_workspace_take((size_t)(p->n * padded) * sizeof(PN_REAL));
    if (!workspace) return -1;
    PN_REAL *transposed = (PN_REAL *)pn_workspace_data(workspace);
    for (ptrdiff_t first = 0; first < p->k; first += depth) {
        pn_product block = *p;
        block.k = pn_min(p->k - first, depth);
        block.a = (const PN_REAL *)p->a + first;
        block.accumulate = first > 0;
        const PN_REAL *b = (const PN_REAL *)p->b + first * p->b_k;
        for (ptrdiff_t j = 0; j < p->n; j++)
            for (ptrdiff_t q = 0; q < padded; q++)
                transposed[j * padded + q] = q < block.k ? b[q * p->b_k + j * p->b_column] : 0;
        PN_(pn_narrow_block)(&block, transposed, padded, first + depth >= p->k ? end : NULL);
    }
    pn_workspace_return(workspace);
    return 0;
}

/* Returns 0, or -1 if memory is exhausted. */
static int PN_(pn_narrow)(const pn_product *p) {
    const int relu = p->code == PN_RELU && p->bias && !p->pre;
    const PN_(pn_tile_epilogue) ending = {(const PN_REAL *)p->bias, relu ? 0 : -(PN_REAL)INFINITY},
                                *end = p->bias ? &ending : NULL;
    const pn_float_mode mode = pn_flush_denormals();
    int failed = 0;
    if (p->a_k == 1)
        failed = PN_(pn_narrow_blocks)(p, end);
    else
        PN_(pn_narrow_block)(p, NULL, 0, end);
    if (!failed && !relu && (p->pre || p->code != PN_IDENTITY))
        PN_(pn_epilogue)((PN_REAL *)p->c, (PN_REAL *)p->pre, p->ldc, p->m, p->n, p->code, (PN_REAL)p->alpha);
    pn_restore_denormals(mode);
    return failed;
}

#undef PN_NARROW_SOME
#undef PN_NARROW_DEPTH

/* Template, included by batchnorm.h once per floating type. */

/* Per-column scratch of a strip. */
typedef struct {
    double *sum, *sum_squares;
    PN_REAL *part, *part2, *centre, *scale, *shift, *saved, *dz;
} PN_(pn_strip);

/* The sums over rows take four rows at a time, so that the totals are read and written a quarter as often. */
static inline void PN_(pn_add_differences)(const PN_REAL *x, ptrdiff_t rows, ptrdiff_t stride,
                                           const PN_REAL *restrict pivot, PN_REAL *restrict total, ptrdiff_t n) {
    ptrdiff_t i = 0;
    for (; i + 4 <= rows; i += 4) {
        const PN_REAL *restrict a = x + i * stride, *restrict b = a + stride, *restrict c = b + stride,
                       *restrict d = c + stride;
        for (ptrdiff_t j = 0; j < n; j++)
            total[j] += ((a[j] - pivot[j]) + (b[j] - pivot[j])) + ((c[j] - pivot[j]) + (d[j] - pivot[j]));
    }
    for (; i < rows; i++) {
        const PN_REAL *restrict a = x + i * stride;
        for (ptrdiff_t j = 0; j < n; j++) total[j] += a[j] - pivot[j];
    }
}

static inline PN_REAL PN_(pn_square)(PN_REAL v) { return v * v; }

static inline void PN_(pn_add_squares)(const PN_REAL *x, ptrdiff_t rows, ptrdiff_t stride,
                                       const PN_REAL *restrict centre, PN_REAL *restrict total, ptrdiff_t n) {
    ptrdiff_t i = 0;
    for (; i + 4 <= rows; i += 4) {
        const PN_REAL *restrict a = x + i * stride, *restrict b = a + stride, *restrict c = b + stride,
                       *restrict d = c + stride;
        for (ptrdiff_t j = 0; j < n; j++)
            total[j] += (PN_(pn_square)(a[j] - centre[j]) + PN_(pn_square)(b[j] - centre[j])) +
                        (PN_(pn_square)(c[j] - centre[j]) + PN_(pn_square)(d[j] - centre[j]));
    }
    for (; i < rows; i++) {
        const PN_REAL *restrict a = x + i * stride;
        for (ptrdiff_t j = 0; j < n; j++) total[j] += PN_(pn_square)(a[j] - centre[j]);
    }
}

/* y = f((x - centre) * scale + shift). ReLU, by far the most common, is part of the loop. */
static inline void PN_(pn_normalise_row)(const PN_REAL *restrict x, const PN_REAL *restrict centre,
                                         const PN_REAL *restrict scale, const PN_REAL *restrict shift,
                                         PN_REAL *restrict y, ptrdiff_t n, int code, PN_REAL alpha) {
    if (code == PN_RELU) {
        for (ptrdiff_t j = 0; j < n; j++) {
            const PN_REAL z = (x[j] - centre[j]) * scale[j] + shift[j];
            y[j] = z < 0 ? 0 : z;
        }
        return;
    }
    for (ptrdiff_t j = 0; j < n; j++) y[j] = (x[j] - centre[j]) * scale[j] + shift[j];
    if (code != PN_IDENTITY) PN_(pn_activate)(y, y, n, code, alpha);
}

/* Writes dz = dy * f', the gradient in front of an activation other than ReLU. */
static inline void PN_(pn_gradient_row)(const PN_REAL *restrict dy, const PN_REAL *restrict x,
                                        const PN_REAL *restrict centre, const PN_REAL *restrict scale,
                                        const PN_REAL *restrict shift, PN_REAL *restrict saved, PN_REAL *restrict dz,
                                        ptrdiff_t n, int code, PN_REAL alpha) {
    for (ptrdiff_t j = 0; j < n; j++) saved[j] = (x[j] - centre[j]) * scale[j] + shift[j];
    PN_(pn_saved_from_input)(saved, n, code, alpha);
    PN_(pn_activate_backward)(dy, saved, dz, n, code, alpha);
}

/* The gradient in front of a ReLU that is part of the loop, or dy itself. The load of dy must not depend on the test, or
 * gcc makes it a branch (5 times slower). */
#define PN_MASKED(j) \
    const PN_REAL given = dy[j]; \
    const PN_REAL dz = relu && (x[j] - centre[j]) * scale[j] + shift[j] <= 0 ? 0 : given

static inline __attribute__((always_inline)) void PN_(pn_add_gradient)(
    const int relu, const PN_REAL *restrict dy, const PN_REAL *restrict x, const PN_REAL *restrict centre,
    const PN_REAL *restrict rstd, const PN_REAL *restrict scale, const PN_REAL *restrict shift,
    PN_REAL *restrict sum_dz, PN_REAL *restrict sum_dz_normalised, ptrdiff_t n) {
    for (ptrdiff_t j = 0; j < n; j++) {
        PN_MASKED(j);
        sum_dz[j] += dz;
        sum_dz_normalised[j] += dz * ((x[j] - centre[j]) * rstd[j]);
    }
}

static inline __attribute__((always_inline)) void PN_(pn_input_gradient)(
    const int relu, const PN_REAL *restrict dy, const PN_REAL *restrict x, const PN_REAL *restrict centre,
    const PN_REAL *restrict rstd, const PN_REAL *restrict scale, const PN_REAL *restrict shift,
    const PN_REAL *restrict mean_dz, const PN_REAL *restrict mean_dz_normalised, PN_REAL *restrict dx, ptrdiff_t n) {
    for (ptrdiff_t j = 0; j < n; j++) {
        PN_MASKED(j);
        dx[j] = (dz - mean_dz[j] - (x[j] - centre[j]) * rstd[j] * mean_dz_normalised[j]) * scale[j];
    }
}
#undef PN_MASKED

/* Mean less the first row (in s.sum) and sum of squared differences from the mean (in s.sum_squares) of each column: block
 * by block, each about its own mean, merged as in Chan, Golub & LeVeque 1983. Every element comes from memory once. Sums
 * are taken of differences from the first row, because in float32 those of a column near 1e4 would be off by 1e-2. */
static void PN_(pn_column_statistics)(const PN_REAL *x, ptrdiff_t m, ptrdiff_t stride, ptrdiff_t n, ptrdiff_t most,
                                       PN_(pn_strip) s) {
    memset(s.sum, 0, (size_t)n * sizeof(double));
    memset(s.sum_squares, 0, (size_t)n * sizeof(double));
    for (ptrdiff_t first = 0; first < m; first += most) {
        const ptrdiff_t rows = m - first < most ? m - first : most;
        const PN_REAL *block = x + first * stride;
        memset(s.part, 0, (size_t)n * sizeof(PN_REAL));
        PN_(pn_add_differences)(block, rows, stride, x, s.part, n);
        for (ptrdiff_t j = 0; j < n; j++) s.centre[j] = x[j] + s.part[j] / (PN_REAL)rows;
        memset(s.part2, 0, (size_t)n * sizeof(PN_REAL));
        PN_(pn_add_squares)(block, rows, stride, s.centre, s.part2, n);
        const double share = (double)rows / (double)(first + rows);
        for (ptrdiff_t j = 0; j < n; j++) {
            const double delta = (double)s.part[j] / (double)rows - s.sum[j];
            s.sum[j] += delta * share;
            s.sum_squares[j] += s.part2[j] + delta * delta * share * (double)first;
        }
    }
}

/* Columns `first` to `first` + n. */
static void PN_(pn_forward_strip)(const pn_batchnorm *p, ptrdiff_t first, ptrdiff_t n, PN_(pn_strip) s) {
    const ptrdiff_t m = p->m, stride = p->n;
    const PN_REAL *x = (const PN_REAL *)p->x + first, *gamma = (const PN_REAL *)p->gamma + first,
                  *beta = (const PN_REAL *)p->beta + first;
    PN_REAL *running_mean = (PN_REAL *)p->running_mean + first, *running_var = (PN_REAL *)p->running_var + first;
    PN_REAL *y = (PN_REAL *)p->y + first, *mean = (PN_REAL *)p->mean + first, *rstd = (PN_REAL *)p->rstd + first;
    const double momentum = p->momentum;
    if (p->training) {
        PN_(pn_column_statistics)(x, m, stride, n, p->block_rows, s);
        for (ptrdiff_t j = 0; j < n; j++) {
            const double batch_mean = x[j] + s.sum[j];
            s.centre[j] = (PN_REAL)batch_mean;
            rstd[j] = (PN_REAL)(1 / sqrt(s.sum_squares[j] / (double)m + p->eps));
            running_mean[j] = (PN_REAL)((1 - momentum) * running_mean[j] + momentum * batch_mean);
            running_var[j] =
                (PN_REAL)((1 - momentum) * running_var[j] + momentum * (s.sum_squares[j] / (double)(m - 1)));
        }
    } else {
        for (ptrdiff_t j = 0; j < n; j++) {
            s.centre[j] = running_mean[j];
            rstd[j] = (PN_REAL)(1 / sqrt((double)running_var[j] + p->eps));
        }
    }
    for (ptrdiff_t j = 0; j < n; j++) {
        mean[j] = s.centre[j];
        s.scale[j] = gamma[j] * rstd[j];
        s.shift[j] = beta[j];
    }
    /* Backwards: the last rows are still in cache. */
    for (ptrdiff_t i = m - 1; i >= 0; i--)
        PN_(pn_normalise_row)(x + i * stride, s.centre, s.scale, s.shift, y + i * stride, n, p->code,
                              (PN_REAL)p->alpha);
}

static void PN_(pn_backward_strip)(const pn_batchnorm_back *p, ptrdiff_t column, ptrdiff_t n, PN_(pn_strip) s) {
    const ptrdiff_t m = p->m, stride = p->n, most = p->block_rows;
    const PN_REAL *dy = (const PN_REAL *)p->dy + column, *x = (const PN_REAL *)p->x + column,
                  *gamma = (const PN_REAL *)p->gamma + column, *beta = (const PN_REAL *)p->beta + column,
                  *mean = (const PN_REAL *)p->mean + column, *rstd = (const PN_REAL *)p->rstd + column;
    PN_REAL *dx = p->dx ? (PN_REAL *)p->dx + column : NULL, *dgamma = (PN_REAL *)p->dgamma + column,
            *dbeta = (PN_REAL *)p->dbeta + column;
    const int training = p->training, code = p->code, accumulate = p->accumulate;
    const PN_REAL alpha = (PN_REAL)p->alpha;
    memset(s.sum, 0, (size_t)n * sizeof(double));
    memset(s.sum_squares, 0, (size_t)n * sizeof(double)); /* here: the sum of dz times the normalised input */
    for (ptrdiff_t j = 0; j < n; j++) s.scale[j] = gamma[j] * rstd[j];
    for (ptrdiff_t first = 0; first < m; first += most) {
        const ptrdiff_t last = m - first < most ? m : first + most;
        memset(s.part, 0, (size_t)n * sizeof(PN_REAL));
        memset(s.part2, 0, (size_t)n * sizeof(PN_REAL));
        for (ptrdiff_t i = first; i < last; i++) {
            const PN_REAL *dz = dy + i * stride, *row = x + i * stride;
            if (code == PN_RELU) {
                PN_(pn_add_gradient)(1, dz, row, mean, rstd, s.scale, beta, s.part, s.part2, n);
                continue;
            }
            if (code != PN_IDENTITY) {
                PN_(pn_gradient_row)(dz, row, mean, s.scale, beta, s.saved, s.dz, n, code, alpha);
                dz = s.dz;
            }
            PN_(pn_add_gradient)(0, dz, row, mean, rstd, s.scale, beta, s.part, s.part2, n);
        }
        for (ptrdiff_t j = 0; j < n; j++) {
            s.sum[j] += s.part[j];
            s.sum_squares[j] += s.part2[j];
        }
    }
    for (ptrdiff_t j = 0; j < n; j++) {
        dgamma[j] = (PN_REAL)(s.sum_squares[j] + (accumulate ? dgamma[j] : 0));
        dbeta[j] = (PN_REAL)(s.sum[j] + (accumulate ? dbeta[j] : 0));
        s.part[j] = training ? (PN_REAL)(s.sum[j] / (double)m) : 0;
        s.part2[j] = training ? (PN_REAL)(s.sum_squares[j] / (double)m) : 0;
    }
    if (!dx) return;
    for (ptrdiff_t i = m - 1; i >= 0; i--) {
        const PN_REAL *dz = dy + i * stride, *row = x + i * stride;
        if (code == PN_RELU) {
            PN_(pn_input_gradient)(1, dz, row, mean, rstd, s.scale, beta, s.part, s.part2, dx + i * stride, n);
            continue;
        }
        if (code != PN_IDENTITY) {
            PN_(pn_gradient_row)(dz, row, mean, s.scale, beta, s.saved, s.dz, n, code, alpha);
            dz = s.dz;
        }
        PN_(pn_input_gradient)(0, dz, row, mean, rstd, s.scale, beta, s.part, s.part2, dx + i * stride, n);
    }
}

/* Returns NULL if memory is exhausted. */
static inline pn_workspace *PN_(pn_take_strip)(ptrdiff_t width, PN_(pn_strip) * s) {
    const ptrdiff_t padded = (width + 15) & ~(ptrdiff_t)15; /* every array starts on a cache line */
    pn_workspace *workspace = pn_workspace_take((size_t)padded * (2 * sizeof(double) + 7 * sizeof(PN_REAL)));
    if (!workspace) return NULL;
    s->sum = (double *)pn_workspace_data(workspace);
    s->sum_squares = s->sum + padded;
    s->part = (PN_REAL *)(s->sum_squares + padded);
    s->part2 = s->part + padded;
    s->centre = s->part2 + padded;
    s->scale = s->centre + padded;
    s->shift = s->scale + padded;
    s->saved = s->shift + padded;
    s->dz = s->saved + padded;
    return workspace;
}

static void PN_(pn_forward_part)(void *argument, int index) {
    pn_batchnorm *p = (pn_batchnorm *)argument;
    PN_(pn_strip) s;
    pn_workspace *workspace = PN_(pn_take_strip)(p->width, &s);
    if (!workspace) {
        __atomic_store_n(&p->failed, -1, __ATOMIC_RELAXED);
        return;
    }
    const ptrdiff_t stop = pn_part_start(p->n, PN_STRIP_STEP, index + 1, p->parts);
    for (ptrdiff_t c = pn_part_start(p->n, PN_STRIP_STEP, index, p->parts); c < stop; c += p->width)
        PN_(pn_forward_strip)(p, c, stop - c < p->width ? stop - c : p->width, s);
    pn_workspace_return(workspace);
}

static void PN_(pn_backward_part)(void *argument, int index) {
    pn_batchnorm_back *p = (pn_batchnorm_back *)argument;
    PN_(pn_strip) s;
    pn_workspace *workspace = PN_(pn_take_strip)(p->width, &s);
    if (!workspace) {
        __atomic_store_n(&p->failed, -1, __ATOMIC_RELAXED);
        return;
    }
    const ptrdiff_t stop = pn_part_start(p->n, PN_STRIP_STEP, index + 1, p->parts);
    for (ptrdiff_t c = pn_part_start(p->n, PN_STRIP_STEP, index, p->parts); c < stop; c += p->width)
        PN_(pn_backward_strip)(p, c, stop - c < p->width ? stop - c : p->width, s);
    pn_workspace_return(workspace);
}

#undef PN_REAL
#undef PN_

/* Template, included by groupnorm.h once per floating type. A run is the elements that share a scale: the positions
 * of a channel. If there is one position, as in layer norm, the loops run over the channels instead. */

#define PN_SQUARES 16

/* In partial sums, so that the compiler can vectorise without reordering a sum. */
static inline double PN_(pn_square_differences)(const PN_REAL *x, ptrdiff_t n, PN_REAL mean) {
    double part[PN_SQUARES] = {0}, total = 0;
    ptrdiff_t i = 0;
    for (; i + PN_SQUARES <= n; i += PN_SQUARES)
        for (int j = 0; j < PN_SQUARES; j++) {
            const double d = (double)(x[i + j] - mean);
            part[j] += d * d;
        }
    for (; i < n; i++) total += (double)(x[i] - mean) * (double)(x[i] - mean);
    for (int j = 0; j < PN_SQUARES; j++) total += part[j];
    return total;
}

/* y = (x - mean) * rstd * gamma + beta over `depth` channels of `size` positions; without beta, of one position. */
static inline void PN_(pn_scale_group)(const PN_REAL *restrict x, ptrdiff_t depth, ptrdiff_t size, PN_REAL mean,
                                       PN_REAL rstd, const PN_REAL *restrict gamma, const PN_REAL *restrict beta,
                                       PN_REAL *restrict y) {
    if (!gamma) {
        for (ptrdiff_t j = 0; j < depth * size; j++) y[j] = (x[j] - mean) * rstd;
    } else if (!beta) {
        for (ptrdiff_t j = 0; j < depth; j++) y[j] = (x[j] - mean) * (rstd * gamma[j]);
    } else if (size == 1) {
        for (ptrdiff_t j = 0; j < depth; j++) y[j] = (x[j] - mean) * (rstd * gamma[j]) + beta[j];
    } else {
        for (ptrdiff_t c = 0; c < depth; c++, x += size, y += size) {
            const PN_REAL scale = rstd * gamma[c], shift = beta[c];
            for (ptrdiff_t j = 0; j < size; j++) y[j] = (x[j] - mean) * scale + shift;
        }
    }
}

static void PN_(pn_group_norm_part)(void *argument, int index) {
    const pn_group_norm *p = (const pn_group_norm *)argument;
    const ptrdiff_t depth = p->channels / p->groups, count = depth * p->size, groups = p->n * p->groups;
    const ptrdiff_t stop = pn_part_start(groups, 1, index + 1, p->parts);
    const PN_REAL *gamma = (const PN_REAL *)p->gamma, *beta = (const PN_REAL *)p->beta;
    for (ptrdiff_t at = pn_part_start(groups, 1, index, p->parts); at < stop; at++) {
        const PN_REAL *x = (const PN_REAL *)p->x + at * count;
        const ptrdiff_t first = at % p->groups * depth;
        const PN_REAL mean = p->mean ? (PN_REAL)(PN_(pn_row_sum)(x, count) / (double)count) : 0;
        const PN_REAL rstd = (PN_REAL)(1 / sqrt(PN_(pn_square_differences)(x, count, mean) / (double)count + p->eps));
        if (p->mean) ((PN_REAL *)p->mean)[at] = mean;
        ((PN_REAL *)p->rstd)[at] = rstd;
        PN_(pn_scale_group)(x, depth, p->size, mean, rstd, gamma ? gamma + first : NULL, beta ? beta + first : NULL,
                            (PN_REAL *)p->y + at * count);
    }
}

/* As many elements as a vector has of doubles, and these as doubles. */
typedef PN_REAL PN_(pn_narrow) __attribute__((vector_size(sizeof(PN_REAL) * PN_DOUBLES), aligned(sizeof(PN_REAL))));

static inline __attribute__((always_inline)) pn_vector_f64 PN_(pn_doubles)(const PN_REAL *x) {
    return __builtin_convertvector(*(const PN_(pn_narrow) *)x, pn_vector_f64);
}

/* Add the sums over a run of dy times gamma (none if NULL), and of that times x - mean, to `sum` and `product`. */
static inline
    __attribute__((always_inline)) void PN_(pn_gradient_sums)(const PN_REAL *dy, const PN_REAL *x, ptrdiff_t n,
                                                              const double mean, const PN_REAL *gamma, double *sum,
                                                              double *product) {
    pn_vector_f64 sums[2] = {{0}, {0}}, products[2] = {{0}, {0}};
    double total = 0, total_product = 0;
    ptrdiff_t i = 0;
    for (; i + 2 * PN_DOUBLES <= n; i += 2 * PN_DOUBLES)
        for (int half = 0; half < 2; half++) {
            const ptrdiff_t at = i + half * PN_DOUBLES;
            const pn_vector_f64 d = PN_(pn_doubles)(dy + at), dz = gamma ? d * PN_(pn_doubles)(gamma + at) : d;
            sums[half] += dz;
            products[half] += dz * (PN_(pn_doubles)(x + at) - mean);
        }
    if (i) {
        sums[0] += sums[1];
        products[0] += products[1];
        for (int lane = 0; lane < PN_DOUBLES; lane++) total += sums[0][lane], total_product += products[0][lane];
    }
    for (; i < n; i++) {
        const double dz = gamma ? (double)dy[i] * (double)gamma[i] : (double)dy[i];
        total += dz;
        total_product += dz * ((double)x[i] - mean);
    }
    *sum += total;
    *product += total_product;
}

static inline __attribute__((always_inline)) void PN_(pn_gradient_run)(
    const PN_REAL *restrict dy, const PN_REAL *restrict x, ptrdiff_t n, PN_REAL mean, PN_REAL rstd,
    const PN_REAL *restrict gamma, const ptrdiff_t step, PN_REAL mean_dz, PN_REAL mean_product, PN_REAL *restrict dx) {
    for (ptrdiff_t j = 0; j < n; j++) {
        const PN_REAL z = (x[j] - mean) * rstd;
        dx[j] = (dy[j] * gamma[j * step] - mean_dz - z * mean_product) * rstd;
    }
}

static void PN_(pn_group_norm_back_part)(void *argument, int index) {
    const pn_group_norm_back *p = (const pn_group_norm_back *)argument;
    const ptrdiff_t depth = p->channels / p->groups, count = depth * p->size, groups = p->n * p->groups;
    const ptrdiff_t stop = pn_part_start(groups, 1, index + 1, p->parts);
    /* Runs of one gamma each, or one run with a gamma per element. */
    const ptrdiff_t whole = !p->gamma || p->size == 1, runs = whole ? 1 : depth, run = whole ? count : p->size;
    const double share = 1 / (double)count;
    const PN_REAL one = 1;
    for (ptrdiff_t at = pn_part_start(groups, 1, index, p->parts); at < stop; at++) {
        const PN_REAL *x = (const PN_REAL *)p->x + at * count, *dy = (const PN_REAL *)p->dy + at * count;
        const PN_REAL *gamma = p->gamma ? (const PN_REAL *)p->gamma + at % p->groups * depth : NULL;
        const PN_REAL mean = p->mean ? ((const PN_REAL *)p->mean)[at] : 0, rstd = ((const PN_REAL *)p->rstd)[at];
        PN_REAL *dx = (PN_REAL *)p->dx + at * count;
        double sum = 0, product = 0;
        if (whole)
            PN_(pn_gradient_sums)(dy, x, run, (double)mean, gamma, &sum, &product);
        else
            for (ptrdiff_t c = 0; c < runs; c++) {
                double run_sum = 0, run_product = 0;
                PN_(pn_gradient_sums)(dy + c * run, x + c * run, run, (double)mean, NULL, &run_sum, &run_product);
                sum += (double)gamma[c] * run_sum;
                product += (double)gamma[c] * run_product;
            }
        const PN_REAL mean_dz = p->mean ? (PN_REAL)(sum * share) : 0;
        const PN_REAL mean_product = (PN_REAL)(product * (double)rstd * share);
        if (whole && gamma)
            PN_(pn_gradient_run)(dy, x, run, mean, rstd, gamma, 1, mean_dz, mean_product, dx);
        else
            for (ptrdiff_t c = 0; c < runs; c++)
                PN_(pn_gradient_run)(dy + c * run, x + c * run, run, mean, rstd, gamma ? gamma + c : &one, 0, mean_dz,
                                     mean_product, dx + c * run);
    }
}

/* dgamma and dbeta, on one thread because their sums run over the examples. */
static int PN_(pn_group_norm_parameters)(const pn_group_norm_back *p) {
    const ptrdiff_t channels = p->channels, size = p->size, depth = channels / p->groups;
    pn_workspace *workspace = pn_workspace_take((size_t)(2 * channels) * sizeof(double));
    if (!workspace) return -1;
    double *restrict scales = (double *)pn_workspace_data(workspace), *restrict shifts = scales + channels;
    for (ptrdiff_t c = 0; c < channels; c++) scales[c] = shifts[c] = 0;
    for (ptrdiff_t i = 0; i < p->n; i++)
        for (ptrdiff_t g = 0; g < p->groups; g++) {
            const PN_REAL mean = p->mean ? ((const PN_REAL *)p->mean)[i * p->groups + g] : 0;
            const PN_REAL rstd = ((const PN_REAL *)p->rstd)[i * p->groups + g];
            const ptrdiff_t first = g * depth, at = (i * channels + first) * size;
            const PN_REAL *dy = (const PN_REAL *)p->dy + at, *x = (const PN_REAL *)p->x + at;
            if (size == 1)
                for (ptrdiff_t c = 0; c < depth; c++) {
                    shifts[first + c] += (double)dy[c];
                    scales[first + c] += (double)dy[c] * (double)((x[c] - mean) * rstd);
                }
            else
                for (ptrdiff_t c = 0; c < depth; c++) {
                    double product = 0;
                    PN_(pn_gradient_sums)(dy + c * size, x + c * size, size, (double)mean, NULL, shifts + first + c,
                                          &product);
                    scales[first + c] += product * (double)rstd;
                }
        }
    PN_REAL *dgamma = (PN_REAL *)p->dgamma, *dbeta = (PN_REAL *)p->dbeta;
    for (ptrdiff_t c = 0; c < channels; c++) {
        dgamma[c] = (PN_REAL)scales[c];
        if (dbeta) dbeta[c] = (PN_REAL)shifts[c];
    }
    pn_workspace_return(workspace);
    return 0;
}

#undef PN_SQUARES
#undef PN_REAL
#undef PN_

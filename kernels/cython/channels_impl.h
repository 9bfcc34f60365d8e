/* Template, included by channels.h once per floating type. */

#define PN_LANES ((ptrdiff_t)(PN_VECTOR_BYTES / sizeof(PN_REAL)))

/* Vectors that may lie anywhere. */
typedef PN_REAL PN_(pn_span) __attribute__((vector_size(PN_VECTOR_BYTES), aligned(sizeof(PN_REAL)), may_alias));
typedef PN_BITS PN_(pn_span_bits) __attribute__((vector_size(PN_VECTOR_BYTES), aligned(sizeof(PN_REAL)), may_alias));

/* Two sums over a channel, side by side: in vectors for a while, then in float64. */
typedef struct {
    PN_(pn_span) part[2], part2[2];
    ptrdiff_t pending;
    double sum, sum2;
} PN_(pn_two_sums);

static inline void PN_(pn_two_sums_flush)(PN_(pn_two_sums) * s) {
    for (int k = 0; k < 2; k++)
        for (int lane = 0; lane < PN_LANES; lane++) {
            s->sum += (double)s->part[k][lane];
            s->sum2 += (double)s->part2[k][lane];
        }
    s->part[0] = s->part[1] = s->part2[0] = s->part2[1] = (PN_(pn_span)){0};
    s->pending = 0;
}

/* Add a row's differences from a pivot, and their squares. */
static inline void PN_(pn_add_moments)(PN_(pn_two_sums) * s, const PN_REAL *x, ptrdiff_t n, PN_REAL pivot) {
    ptrdiff_t j = 0;
    while (j + 2 * PN_LANES <= n) {
        PN_(pn_span) a0 = s->part[0], a1 = s->part[1], b0 = s->part2[0], b1 = s->part2[1];
        const ptrdiff_t stop = j + 2 * PN_LANES * (PN_PENDING - s->pending);
        const ptrdiff_t first = j;
        for (; j + 2 * PN_LANES <= n && j < stop; j += 2 * PN_LANES) {
            const PN_(pn_span) d0 = *(const PN_(pn_span) *)(x + j) - pivot;
            const PN_(pn_span) d1 = *(const PN_(pn_span) *)(x + j + PN_LANES) - pivot;
            a0 += d0, a1 += d1, b0 += d0 * d0, b1 += d1 * d1;
        }
        s->part[0] = a0, s->part[1] = a1, s->part2[0] = b0, s->part2[1] = b1;
        s->pending += (j - first) / (2 * PN_LANES);
        if (s->pending >= PN_PENDING) PN_(pn_two_sums_flush)(s);
    }
    for (; j < n; j++) {
        const double d = (double)(x[j] - pivot);
        s->sum += d, s->sum2 += d * d;
    }
}

/* Write dz = dy f', the gradient in front of an activation other than ReLU, for a chunk of a row. */
static inline void PN_(pn_chunk_gradient)(const PN_REAL *dy, const PN_REAL *x, ptrdiff_t n, PN_REAL centre,
                                          PN_REAL scale, PN_REAL shift, PN_REAL *restrict dz, int code, PN_REAL alpha) {
    PN_REAL saved[PN_CHUNK];
    for (ptrdiff_t j = 0; j < n; j++) saved[j] = (x[j] - centre) * scale + shift;
    PN_(pn_saved_from_input)(saved, n, code, alpha);
    PN_(pn_activate_backward)(dy, saved, dz, n, code, alpha);
}

/* dy, or 0 where the ReLU behind (x - centre) * scale + shift cut off. NaN lets dy pass. */
static inline __attribute__((always_inline)) PN_(pn_span)
    PN_(pn_passed)(const int relu, PN_(pn_span) dy, PN_(pn_span) d, PN_REAL scale, PN_REAL shift) {
    if (!relu) return dy;
    const PN_(pn_span) z = d * scale + shift;
    return (PN_(pn_span))((PN_(pn_span_bits))dy & ~(PN_(pn_span_bits))(z <= 0));
}

/* Add a row's dz, and dz times the difference from the mean. */
static inline __attribute__((always_inline)) void PN_(pn_add_products)(
    const int relu, PN_(pn_two_sums) * s, const PN_REAL *dy, const PN_REAL *x, ptrdiff_t n, PN_REAL centre,
    PN_REAL scale, PN_REAL shift) {
    ptrdiff_t j = 0;
    while (j + 2 * PN_LANES <= n) {
        PN_(pn_span) a0 = s->part[0], a1 = s->part[1], b0 = s->part2[0], b1 = s->part2[1];
        const ptrdiff_t stop = j + 2 * PN_LANES * (PN_PENDING - s->pending);
        const ptrdiff_t first = j;
        for (; j + 2 * PN_LANES <= n && j < stop; j += 2 * PN_LANES) {
            const PN_(pn_span) d0 = *(const PN_(pn_span) *)(x + j) - centre;
            const PN_(pn_span) d1 = *(const PN_(pn_span) *)(x + j + PN_LANES) - centre;
            const PN_(pn_span) g0 = PN_(pn_passed)(relu, *(const PN_(pn_span) *)(dy + j), d0, scale, shift);
            const PN_(pn_span) g1 = PN_(pn_passed)(relu, *(const PN_(pn_span) *)(dy + j + PN_LANES), d1, scale, shift);
            a0 += g0, a1 += g1, b0 += g0 * d0, b1 += g1 * d1;
        }
        s->part[0] = a0, s->part[1] = a1, s->part2[0] = b0, s->part2[1] = b1;
        s->pending += (j - first) / (2 * PN_LANES);
        if (s->pending >= PN_PENDING) PN_(pn_two_sums_flush)(s);
    }
    for (; j < n; j++) {
        const PN_REAL d = x[j] - centre, g = relu && d * scale + shift <= 0 ? 0 : dy[j];
        s->sum += (double)g, s->sum2 += (double)(g * d);
    }
}

static inline __attribute__((always_inline)) void PN_(pn_row_gradient)(
    const int relu, const PN_REAL *restrict dy, const PN_REAL *restrict x, ptrdiff_t n, PN_REAL centre, PN_REAL scale,
    PN_REAL shift, PN_REAL mean_dz, PN_REAL slope, PN_REAL *restrict dx) {
    for (ptrdiff_t j = 0; j < n; j++) {
        const PN_REAL d = x[j] - centre, given = dy[j], g = relu && d * scale + shift <= 0 ? 0 : given;
        dx[j] = (g - mean_dz - d * slope) * scale;
    }
}

static inline void PN_(pn_normalise_span)(const PN_REAL *restrict x, ptrdiff_t n, PN_REAL centre, PN_REAL scale,
                                          PN_REAL shift, PN_REAL *restrict y, int code, PN_REAL alpha) {
    if (code == PN_RELU) {
        for (ptrdiff_t j = 0; j < n; j++) {
            const PN_REAL z = (x[j] - centre) * scale + shift;
            y[j] = z < 0 ? 0 : z;
        }
        return;
    }
    for (ptrdiff_t j = 0; j < n; j++) y[j] = (x[j] - centre) * scale + shift;
    if (code != PN_IDENTITY) PN_(pn_activate)(y, y, n, code, alpha);
}

/* The pivot is the mean of the channel's first row: the variance is at least its share of the squared distance of that
 * from the whole mean, so what is lost by subtracting that again is bounded by the number of rows. */
static void PN_(pn_channel_statistics)(const PN_REAL *x, ptrdiff_t n, ptrdiff_t stride, ptrdiff_t size, double *mean,
                                       double *squares) {
    const PN_REAL pivot = (PN_REAL)(PN_(pn_row_sum)(x, size) / (double)size);
    PN_(pn_two_sums) s = {0};
    for (ptrdiff_t i = 0; i < n; i++) PN_(pn_add_moments)(&s, x + i * stride, size, pivot);
    PN_(pn_two_sums_flush)(&s);
    const double count = (double)n * (double)size, shift = s.sum / count, rest = s.sum2 - s.sum * shift;
    *mean = (double)pivot + shift;
    *squares = rest < 0 ? 0 : rest;
}

static void PN_(pn_channel_norm_part)(void *argument, int index) {
    const pn_channel_norm *p = (const pn_channel_norm *)argument;
    const ptrdiff_t stop = pn_part_start(p->channels, 1, index + 1, p->parts), size = p->size, n = p->n;
    const ptrdiff_t stride = p->channels * size;
    const double momentum = p->momentum, count = (double)n * (double)size;
    PN_REAL *running_mean = (PN_REAL *)p->running_mean, *running_var = (PN_REAL *)p->running_var;
    PN_REAL *mean = (PN_REAL *)p->mean, *rstd = (PN_REAL *)p->rstd;
    for (ptrdiff_t c = pn_part_start(p->channels, 1, index, p->parts); c < stop; c++) {
        const PN_REAL *x = (const PN_REAL *)p->x + c * size;
        PN_REAL *y = (PN_REAL *)p->y + c * size;
        if (p->training) {
            double batch_mean, squares;
            PN_(pn_channel_statistics)(x, n, stride, size, &batch_mean, &squares);
            mean[c] = (PN_REAL)batch_mean;
            rstd[c] = (PN_REAL)(1 / sqrt(squares / count + p->eps));
            running_mean[c] = (PN_REAL)((1 - momentum) * running_mean[c] + momentum * batch_mean);
            running_var[c] = (PN_REAL)((1 - momentum) * running_var[c] + momentum * (squares / (count - 1)));
        } else {
            mean[c] = running_mean[c];
            rstd[c] = (PN_REAL)(1 / sqrt((double)running_var[c] + p->eps));
        }
        const PN_REAL scale = ((const PN_REAL *)p->gamma)[c] * rstd[c], shift = ((const PN_REAL *)p->beta)[c];
        for (ptrdiff_t i = n - 1; i >= 0; i--) /* backwards: the last rows are still in cache */
            PN_(pn_normalise_span)(x + i * stride, size, mean[c], scale, shift, y + i * stride, p->code,
                                   (PN_REAL)p->alpha);
    }
}

static void PN_(pn_channel_norm_back_part)(void *argument, int index) {
    const pn_channel_norm_back *p = (const pn_channel_norm_back *)argument;
    const ptrdiff_t stop = pn_part_start(p->channels, 1, index + 1, p->parts), size = p->size, n = p->n;
    const ptrdiff_t stride = p->channels * size;
    const double count = (double)n * (double)size;
    const int relu = p->code == PN_RELU, other = !relu && p->code != PN_IDENTITY;
    PN_REAL *dgamma = (PN_REAL *)p->dgamma, *dbeta = (PN_REAL *)p->dbeta, dz[PN_CHUNK];
    for (ptrdiff_t c = pn_part_start(p->channels, 1, index, p->parts); c < stop; c++) {
        const PN_REAL *x = (const PN_REAL *)p->x + c * size, *dy = (const PN_REAL *)p->dy + c * size;
        const PN_REAL centre = ((const PN_REAL *)p->mean)[c], rstd = ((const PN_REAL *)p->rstd)[c];
        const PN_REAL scale = ((const PN_REAL *)p->gamma)[c] * rstd, shift = ((const PN_REAL *)p->beta)[c];
        const ptrdiff_t chunk = other ? PN_CHUNK : size;
        PN_(pn_two_sums) s = {0};
        for (ptrdiff_t i = 0; i < n; i++)
            for (ptrdiff_t j = 0; j < size; j += chunk) {
                const PN_REAL *given = dy + i * stride + j, *row = x + i * stride + j;
                const ptrdiff_t width = size - j < chunk ? size - j : chunk;
                if (other) {
                    PN_(pn_chunk_gradient)(given, row, width, centre, scale, shift, dz, p->code, (PN_REAL)p->alpha);
                    given = dz;
                }
                if (relu)
                    PN_(pn_add_products)(1, &s, given, row, width, centre, scale, shift);
                else
                    PN_(pn_add_products)(0, &s, given, row, width, centre, scale, shift);
            }
        PN_(pn_two_sums_flush)(&s);
        const double product = s.sum2 * (double)rstd;
        dgamma[c] = (PN_REAL)(product + (p->accumulate ? (double)dgamma[c] : 0));
        dbeta[c] = (PN_REAL)(s.sum + (p->accumulate ? (double)dbeta[c] : 0));
        if (!p->dx) continue;
        const PN_REAL mean_dz = p->training ? (PN_REAL)(s.sum / count) : 0;
        const PN_REAL slope = p->training ? (PN_REAL)(product / count * (double)rstd) : 0;
        PN_REAL *dx = (PN_REAL *)p->dx + c * size;
        for (ptrdiff_t i = n - 1; i >= 0; i--)
            for (ptrdiff_t j = 0; j < size; j += chunk) {
                const ptrdiff_t at = i * stride + j, width = size - j < chunk ? size - j : chunk;
                if (relu) {
                    PN_(pn_row_gradient)(1, dy + at, x + at, width, centre, scale, shift, mean_dz, slope, dx + at);
                    continue;
                }
                const PN_REAL *given = dy + at;
                if (other) {
                    PN_(pn_chunk_gradient)(given, x + at, width, centre, scale, shift, dz, p->code, (PN_REAL)p->alpha);
                    given = dz;
                }
                PN_(pn_row_gradient)(0, given, x + at, width, centre, scale, shift, mean_dz, slope, dx + at);
            }
    }
}

/* A row's sum, sum of squares, and numbers of elements above 0 and further than `limit` from `centre`, added to four. */
static inline void PN_(pn_row_stats)(const PN_REAL *x, ptrdiff_t n, PN_REAL centre, PN_REAL limit, double *four) {
    double sum = 0, squares = 0;
    PN_BITS active = 0, saturated = 0;
    double part[8] = {0}, part2[8] = {0};
    PN_BITS above[8] = {0}, beyond[8] = {0};
    ptrdiff_t j = 0;
    for (; j + 8 <= n; j += 8)
        for (int lane = 0; lane < 8; lane++) {
            const PN_REAL v = x[j + lane];
            part[lane] += (double)v;
            part2[lane] += (double)v * (double)v;
            above[lane] += v > 0;
            beyond[lane] += PN_FABS(v - centre) > limit;
        }
    for (; j < n; j++) {
        sum += (double)x[j];
        squares += (double)x[j] * (double)x[j];
        active += x[j] > 0;
        saturated += PN_FABS(x[j] - centre) > limit;
    }
    for (int lane = 0; lane < 8; lane++) {
        sum += part[lane], squares += part2[lane];
        active += above[lane], saturated += beyond[lane];
    }
    four[0] += sum, four[1] += squares, four[2] += (double)active, four[3] += (double)saturated;
}

#undef PN_LANES
#undef PN_REAL
#undef PN_BITS
#undef PN_
#undef PN_FABS

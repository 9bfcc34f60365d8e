/* Template, included by channels.h once per floating type. */
#define PN_LANES ((ptrdiff_t)(PN_VECTOR_BYTES / sizeof(PN_REAL)))

/* Two sums over a channel: accumulated in vectors for a while, then in float64. */
typedef struct {
    PN_(pn_unaligned) part[2], part2[2];
    ptrdiff_t pending;
    double sum, sum2;
} PN_(pn_two_sums);

static inline void PN_(pn_two_sums_flush)(PN_(pn_two_sums) *s) {
    for (int k = 0; k < 2; k++)
        for (int lane = 0; lane < PN_LANES; lane++) {
            s->sum += (double)s->part[k][lane];
            s->sum2 += (double)s->part2[k][lane];
        }
    s->part[0] = s->part[1] = s->part2[0] = s->part2[1] = (PN_(pn_unaligned)){0};
    s->pending = 0;
}

/* The last n % PN_LANES lanes: the elements of a row's last vector that no earlier vector contains. */
static inline PN_(pn_bits) PN_(pn_last_lanes)(ptrdiff_t n) {
    PN_BITS lanes[2 * PN_LANES];
    memset(lanes, 0, sizeof lanes / 2);
    memset(lanes + PN_LANES, -1, sizeof lanes / 2);
    PN_(pn_bits) last;
    memcpy(&last, lanes + n % PN_LANES, sizeof last);
    return last;
}

/* Add a row's differences from a pivot, and their squares. The next row, `ahead` elements further on, is prefetched. */
static inline void PN_(pn_add_moments)(PN_(pn_two_sums) *s, const PN_REAL *x, ptrdiff_t n, PN_REAL pivot,
                                       ptrdiff_t ahead) {
    ptrdiff_t j = 0;
    for (; j < n && n < PN_LANES; j++) {
        const double d = (double)(x[j] - pivot);
        s->sum += d, s->sum2 += d * d;
    }
    while (j < n) {
        PN_(pn_unaligned) a0 = s->part[0], a1 = s->part[1], b0 = s->part2[0], b1 = s->part2[1];
        const ptrdiff_t first = j, stop = j + 2 * PN_LANES * (PN_PENDING - s->pending);
        for (; j + 2 * PN_LANES <= n && j < stop; j += 2 * PN_LANES) {
            const PN_(pn_unaligned) d0 = *(const PN_(pn_unaligned) *)(x + j) - pivot;
            const PN_(pn_unaligned) d1 = *(const PN_(pn_unaligned) *)(x + j + PN_LANES) - pivot;
            a0 += d0, a1 += d1, b0 += d0 * d0, b1 += d1 * d1;
            __builtin_prefetch(x + j + ahead, 0, 2);
            __builtin_prefetch(x + j + PN_LANES + ahead, 0, 2);
        }
        if (j < stop && j + PN_LANES <= n) {
            const PN_(pn_unaligned) d = *(const PN_(pn_unaligned) *)(x + j) - pivot;
            a0 += d, b0 += d * d, j += PN_LANES;
        }
        if (j < stop && j < n && n - j < PN_LANES) {
            PN_(pn_unaligned) d = *(const PN_(pn_unaligned) *)(x + n - PN_LANES) - pivot;
            d = (PN_(pn_unaligned))((PN_(pn_bits))d & PN_(pn_last_lanes)(n));
            a1 += d, b1 += d * d, j = n;
        }
        s->part[0] = a0, s->part[1] = a1, s->part2[0] = b0, s->part2[1] = b1;
        s->pending += (j - first + 2 * PN_LANES - 1) / (2 * PN_LANES);
        if (s->pending >= PN_PENDING) PN_(pn_two_sums_flush)(s);
    }
}

/* Write dz = dy f', the gradient before an activation other than ReLU, for a chunk of a row. */
static inline void PN_(pn_chunk_gradient)(const PN_REAL *dy, const PN_REAL *x, ptrdiff_t n, PN_REAL centre,
                                          PN_REAL scale, PN_REAL shift, PN_REAL *restrict dz, int code, PN_REAL alpha) {
    PN_REAL saved[PN_CHUNK];
    for (ptrdiff_t j = 0; j < n; j++) saved[j] = (x[j] - centre) * scale + shift;
    PN_(pn_saved_from_input)(saved, n, code, alpha);
    PN_(pn_activate_backward)(dy, saved, dz, n, code, alpha);
}

/* dy, or 0 where the ReLU after (x - centre) * scale + shift is inactive. For NaN, dy passes. */
static inline __attribute__((always_inline)) PN_(pn_vector)
    PN_(pn_passed)(const int relu, PN_(pn_vector) dy, PN_(pn_vector) d, PN_REAL scale, PN_REAL shift) {
    if (!relu) return dy;
    const PN_(pn_unaligned) z = d * scale + shift;
    return (PN_(pn_vector))((PN_(pn_bits))dy & ~(PN_(pn_bits))(z <= 0));
}

/* Add a row's dz, and dz times the difference from the mean. */
static inline
    __attribute__((always_inline)) void PN_(pn_add_products)(const int relu, PN_(pn_two_sums) *s, const PN_REAL *dy,
                                                             const PN_REAL *x, ptrdiff_t n, PN_REAL centre,
                                                             PN_REAL scale, PN_REAL shift, ptrdiff_t ahead) {
    ptrdiff_t j = 0;
    for (; j < n && n < PN_LANES; j++) {
        const PN_REAL d = x[j] - centre, g = relu && d * scale + shift <= 0 ? 0 : dy[j];
        s->sum += (double)g, s->sum2 += (double)(g * d);
    }
    while (j < n) {
        PN_(pn_unaligned) a0 = s->part[0], a1 = s->part[1], b0 = s->part2[0], b1 = s->part2[1];
        const ptrdiff_t first = j, stop = j + 2 * PN_LANES * (PN_PENDING - s->pending);
        for (; j + 2 * PN_LANES <= n && j < stop; j += 2 * PN_LANES) {
            const PN_(pn_unaligned) d0 = *(const PN_(pn_unaligned) *)(x + j) - centre;
            const PN_(pn_unaligned) d1 = *(const PN_(pn_unaligned) *)(x + j + PN_LANES) - centre;
            const PN_(pn_unaligned) g0 = PN_(pn_passed)(relu, *(const PN_(pn_unaligned) *)(dy + j), d0, scale, shift);
            const PN_(pn_unaligned) g1 =
                PN_(pn_passed)(relu, *(const PN_(pn_unaligned) *)(dy + j + PN_LANES), d1, scale, shift);
            a0 += g0, a1 += g1, b0 += g0 * d0, b1 += g1 * d1;
            __builtin_prefetch(x + j + ahead, 0, 2);
            __builtin_prefetch(x + j + PN_LANES + ahead, 0, 2);
            __builtin_prefetch(dy + j + ahead, 0, 2);
            __builtin_prefetch(dy + j + PN_LANES + ahead, 0, 2);
        }
        if (j < stop && j + PN_LANES <= n) {
            const PN_(pn_unaligned) d = *(const PN_(pn_unaligned) *)(x + j) - centre;
            const PN_(pn_unaligned) g = PN_(pn_passed)(relu, *(const PN_(pn_unaligned) *)(dy + j), d, scale, shift);
            a0 += g, b0 += g * d, j += PN_LANES;
        }
        if (j < stop && j < n && n - j < PN_LANES) {
            const PN_(pn_unaligned) d = *(const PN_(pn_unaligned) *)(x + n - PN_LANES) - centre;
            PN_(pn_unaligned)
            g = PN_(pn_passed)(relu, *(const PN_(pn_unaligned) *)(dy + n - PN_LANES), d, scale, shift);
            g = (PN_(pn_unaligned))((PN_(pn_bits))g & PN_(pn_last_lanes)(n));
            a1 += g, b1 += g * d, j = n;
        }
        s->part[0] = a0, s->part[1] = a1, s->part2[0] = b0, s->part2[1] = b1;
        s->pending += (j - first + 2 * PN_LANES - 1) / (2 * PN_LANES);
        if (s->pending >= PN_PENDING) PN_(pn_two_sums_flush)(s);
    }
}

static inline __attribute__((always_inline)) void PN_(pn_put)(const int stream, PN_REAL *to, PN_(pn_vector) v) {
    if (stream)
        PN_STREAM(to, v);
    else
        *(PN_(pn_unaligned) *)to = v;
}

/* Loop over a row's vectors, which start at j: the last one overlaps the previous one if the row is not a multiple
 * of a vector. Both write the same results. */
#define PN_VECTORS for (ptrdiff_t j = 0; j < n && (j <= n - PN_LANES || (j = n - PN_LANES, 1)); j += PN_LANES)
#define PN_AT(array) (*(const PN_(pn_unaligned) *)((array) + j))

/* y = (x - centre) scale + shift, then ReLU if `relu`. */
static inline __attribute__((always_inline)) void PN_(pn_normalize_row)(const int relu, const int stream,
                                                                        const PN_REAL *x, ptrdiff_t n, PN_REAL centre,
                                                                        PN_REAL scale, PN_REAL shift, PN_REAL *y) {
    for (ptrdiff_t j = 0; j < n && n < PN_LANES; j++) {
        const PN_REAL z = (x[j] - centre) * scale + shift;
        y[j] = relu && z < 0 ? 0 : z;
    }
    if (n < PN_LANES) return;
    PN_VECTORS {
        PN_(pn_unaligned) z = (PN_AT(x) - centre) * scale + shift;
        if (relu) z = (PN_(pn_unaligned))((PN_(pn_bits))z & ~(PN_(pn_bits))(z < 0));
        PN_(pn_put)(stream, y + j, z);
    }
}

/* dx = (dz - mean_dz - (x - centre) slope) scale. */
static inline
    __attribute__((always_inline)) void PN_(pn_row_gradient)(const int relu, const int stream, const PN_REAL *dy,
                                                             const PN_REAL *x, ptrdiff_t n, PN_REAL centre,
                                                             PN_REAL scale, PN_REAL shift, PN_REAL mean_dz,
                                                             PN_REAL slope, PN_REAL *dx, ptrdiff_t ahead) {
    for (ptrdiff_t j = 0; j < n && n < PN_LANES; j++) {
        const PN_REAL d = x[j] - centre, g = relu && d * scale + shift <= 0 ? 0 : dy[j];
        dx[j] = (g - mean_dz - d * slope) * scale;
    }
    if (n < PN_LANES) return;
    PN_VECTORS {
        const PN_(pn_unaligned) d = PN_AT(x) - centre;
        const PN_(pn_unaligned) g = PN_(pn_passed)(relu, PN_AT(dy), d, scale, shift);
        PN_(pn_put)(stream, dx + j, (g - mean_dz - d * slope) * scale);
        __builtin_prefetch(x + j + ahead, 0, 2);
        __builtin_prefetch(dy + j + ahead, 0, 2);
    }
}
#undef PN_VECTORS
#undef PN_AT

static void PN_(pn_normalize)(const pn_channel_norm *p, const PN_REAL *x, PN_REAL centre, PN_REAL scale, PN_REAL shift,
                              PN_REAL *y) {
    const ptrdiff_t n = p->size;
    switch (2 * p->stream + (p->code == PN_RELU)) {
    case 0: PN_(pn_normalize_row)(0, 0, x, n, centre, scale, shift, y); break;
    case 1: PN_(pn_normalize_row)(1, 0, x, n, centre, scale, shift, y); break;
    case 2: PN_(pn_normalize_row)(0, 1, x, n, centre, scale, shift, y); break;
    default: PN_(pn_normalize_row)(1, 1, x, n, centre, scale, shift, y);
    }
    if (p->code != PN_IDENTITY && p->code != PN_RELU) PN_(pn_activate)(y, y, n, p->code, (PN_REAL)p->alpha);
}

/* The pivot: the mean of a channel's first row. The variance is at least that row's share of the squared distance
 * between pivot and overall mean, so the cancellation when that is subtracted is bounded by the number of rows. */
static inline PN_REAL PN_(pn_pivot)(const PN_REAL *x, ptrdiff_t size) {
    return (PN_REAL)(PN_(pn_row_sum)(x, size) / (double)size);
}

/* Mean and sum of squared differences of channel c in float64, if squares overflowed. */
static PN_RARE double PN_(pn_large_channel)(const pn_channel_norm *p, ptrdiff_t c, double *squares) {
    const ptrdiff_t stride = p->channels * p->size;
    const PN_REAL *x = (const PN_REAL *)p->x + c * p->size;
    double total = 0, sum = 0;
    for (ptrdiff_t i = 0; i < p->n; i++) total += PN_(pn_row_sum)(x + i * stride, p->size);
    const double mean = total / ((double)p->n * (double)p->size);
    for (ptrdiff_t i = 0; i < p->n; i++)
        for (ptrdiff_t j = 0; j < p->size; j++) {
            const double d = (double)x[i * stride + j] - mean;
            sum += d * d;
        }
    *squares = sum;
    return mean;
}

/* Write a channel's mean and rstd: in training those of the batch, which also update the running statistics. */
static void PN_(pn_channel_statistics)(const pn_channel_norm *p, ptrdiff_t c, PN_REAL pivot, PN_(pn_two_sums) *s) {
    PN_REAL *running_mean = (PN_REAL *)p->running_mean + c, *running_var = (PN_REAL *)p->running_var + c;
    PN_REAL *mean = (PN_REAL *)p->mean + c, *rstd = (PN_REAL *)p->rstd + c;
    if (!p->training) {
        *mean = *running_mean;
        *rstd = (PN_REAL)(1 / sqrt((double)*running_var + p->eps));
        return;
    }
    PN_(pn_two_sums_flush)(s);
    const double count = (double)p->n * (double)p->size, shift = s->sum / count, rest = s->sum2 - s->sum * shift;
    double batch_mean = (double)pivot + shift, squares = rest < 0 ? 0 : rest;
    if (!(rest < INFINITY)) batch_mean = PN_(pn_large_channel)(p, c, &squares);
    *mean = (PN_REAL)batch_mean;
    *rstd = (PN_REAL)(1 / sqrt(squares / count + p->eps));
    *running_mean = (PN_REAL)((1 - p->momentum) * *running_mean + p->momentum * batch_mean);
    *running_var = (PN_REAL)((1 - p->momentum) * *running_var + p->momentum * (squares / (count - 1)));
}

static void PN_(pn_channel_norm_part)(void *argument, int index) {
    const pn_channel_norm *p = (const pn_channel_norm *)argument;
    const ptrdiff_t stop = pn_part_start(p->channels, 1, index + 1, p->parts), size = p->size, n = p->n;
    const ptrdiff_t stride = p->channels * size;
    const PN_REAL *mean = (const PN_REAL *)p->mean, *rstd = (const PN_REAL *)p->rstd;
    PN_(pn_two_sums) sums[PN_GROUP_MAX];
    PN_REAL pivot[PN_GROUP_MAX];
    for (ptrdiff_t first = pn_part_start(p->channels, 1, index, p->parts); first < stop; first += p->group) {
        const ptrdiff_t count = pn_min(stop - first, p->group);
        const PN_REAL *x = (const PN_REAL *)p->x + first * size;
        PN_REAL *y = (PN_REAL *)p->y + first * size;
        for (ptrdiff_t c = 0; c < count; c++) {
            sums[c] = (PN_(pn_two_sums)){0};
            pivot[c] = p->training ? PN_(pn_pivot)(x + c * size, size) : 0;
        }
        for (ptrdiff_t i = 0; i < n && p->training; i++)
            for (ptrdiff_t c = 0; c < count; c++)
                PN_(pn_add_moments)(&sums[c], x + i * stride + c * size, size, pivot[c], i + 1 < n ? stride : 0);
        for (ptrdiff_t c = 0; c < count; c++) PN_(pn_channel_statistics)(p, first + c, pivot[c], &sums[c]);
        for (ptrdiff_t i = n - 1; i >= 0; i--) /* backwards: the last rows are still in cache */
            for (ptrdiff_t c = 0; c < count; c++) {
                const PN_REAL scale = ((const PN_REAL *)p->gamma)[first + c] * rstd[first + c];
                PN_(pn_normalize)(p, x + i * stride + c * size, mean[first + c], scale,
                                  ((const PN_REAL *)p->beta)[first + c], y + i * stride + c * size);
            }
    }
    if (p->stream) pn_stream_fence();
}

/* A channel in the backward pass: the coefficients of its elements, and the sums over them. */
typedef struct {
    PN_REAL centre, rstd, scale, shift, mean_dz, slope;
    PN_(pn_two_sums) sums;
} PN_(pn_channel);

static PN_(pn_channel) PN_(pn_channel_of)(const pn_channel_norm_back *p, ptrdiff_t c) {
    const PN_REAL rstd = ((const PN_REAL *)p->rstd)[c], *means = (const PN_REAL *)p->means;
    return (PN_(pn_channel)){.centre = ((const PN_REAL *)p->mean)[c],
                             .rstd = rstd,
                             .scale = ((const PN_REAL *)p->gamma)[c] * rstd,
                             .shift = ((const PN_REAL *)p->beta)[c],
                             .mean_dz = means ? means[p->channels + c] : 0,
                             .slope = means ? means[c] * rstd : 0};
}

/* The sums over channel c in float64, if products overflowed. */
static PN_RARE void PN_(pn_large_products)(const pn_channel_norm_back *p, ptrdiff_t c, PN_(pn_channel) *k) {
    const ptrdiff_t stride = p->channels * p->size;
    const PN_REAL *x = (const PN_REAL *)p->x + c * p->size, *dy = (const PN_REAL *)p->dy + c * p->size;
    k->sums.sum = k->sums.sum2 = 0;
    for (ptrdiff_t i = 0; i < p->n; i++)
        for (ptrdiff_t j = 0; j < p->size; j++) {
            const PN_REAL given = dy[i * stride + j];
            PN_REAL dz = given;
            if (p->code != PN_IDENTITY)
                PN_(pn_chunk_gradient)(&given, x + i * stride + j, 1, k->centre, k->scale, k->shift, &dz, p->code,
                                       (PN_REAL)p->alpha);
            k->sums.sum += (double)dz;
            k->sums.sum2 += (double)dz * ((double)x[i * stride + j] - (double)k->centre);
        }
}

/* Write the gradients of gamma and beta, and store the coefficients of dx. */
static void PN_(pn_channel_gradients)(const pn_channel_norm_back *p, ptrdiff_t c, PN_(pn_channel) *k) {
    PN_REAL *dgamma = (PN_REAL *)p->dgamma + c, *dbeta = (PN_REAL *)p->dbeta + c;
    PN_(pn_two_sums_flush)(&k->sums);
    if (!(fabs(k->sums.sum2) < INFINITY && fabs(k->sums.sum) < INFINITY)) PN_(pn_large_products)(p, c, k);
    const double count = (double)p->n * (double)p->size, product = k->sums.sum2 * (double)k->rstd;
    *dgamma = (PN_REAL)product;
    *dbeta = (PN_REAL)k->sums.sum;
    if (!p->training) return; /* the statistics are constants */
    k->mean_dz = (PN_REAL)(k->sums.sum / count);
    k->slope = (PN_REAL)(product / count * (double)k->rstd);
}

/* Add a row's dz, and dz times the difference from the mean, to the channel's sums. */
static void PN_(pn_add_row)(const pn_channel_norm_back *p, PN_(pn_channel) *k, const PN_REAL *dy, const PN_REAL *x,
                            ptrdiff_t ahead) {
    const ptrdiff_t n = p->size;
    PN_REAL dz[PN_CHUNK];
    if (p->code == PN_RELU) {
        PN_(pn_add_products)(1, &k->sums, dy, x, n, k->centre, k->scale, k->shift, ahead);
    } else if (p->code == PN_IDENTITY) {
        PN_(pn_add_products)(0, &k->sums, dy, x, n, k->centre, k->scale, k->shift, ahead);
    } else {
        for (ptrdiff_t j = 0; j < n; j += PN_CHUNK) {
            const ptrdiff_t width = pn_min(n - j, PN_CHUNK);
            PN_(pn_chunk_gradient)(dy + j, x + j, width, k->centre, k->scale, k->shift, dz, p->code, (PN_REAL)p->alpha);
            PN_(pn_add_products)(0, &k->sums, dz, x + j, width, k->centre, k->scale, k->shift, 0);
        }
    }
}

static void PN_(pn_write_row)(const pn_channel_norm_back *p, const PN_(pn_channel) *k, const PN_REAL *dy,
                              const PN_REAL *x, PN_REAL *dx, ptrdiff_t ahead) {
    const ptrdiff_t n = p->size;
    PN_REAL dz[PN_CHUNK];
    if (p->code != PN_RELU && p->code != PN_IDENTITY) {
        for (ptrdiff_t j = 0; j < n; j += PN_CHUNK) {
            const ptrdiff_t width = pn_min(n - j, PN_CHUNK);
            PN_(pn_chunk_gradient)(dy + j, x + j, width, k->centre, k->scale, k->shift, dz, p->code, (PN_REAL)p->alpha);
            PN_(pn_row_gradient)(0, 0, dz, x + j, width, k->centre, k->scale, k->shift, k->mean_dz, k->slope, dx + j,
                                 0);
        }
        return;
    }
#define PN_CASE(relu, stream) \
    PN_(pn_row_gradient)(relu, stream, dy, x, n, k->centre, k->scale, k->shift, k->mean_dz, k->slope, dx, ahead)
    switch (2 * p->stream + (p->code == PN_RELU)) {
    case 0: PN_CASE(0, 0); break;
    case 1: PN_CASE(1, 0); break;
    case 2: PN_CASE(0, 1); break;
    default: PN_CASE(1, 1);
    }
#undef PN_CASE
}

static void PN_(pn_channel_norm_back_part)(void *argument, int index) {
    const pn_channel_norm_back *p = (const pn_channel_norm_back *)argument;
    const ptrdiff_t stop = pn_part_start(p->channels, 1, index + 1, p->parts), size = p->size, n = p->n;
    const ptrdiff_t stride = p->channels * size;
    PN_(pn_channel) channel[PN_GROUP_MAX];
    for (ptrdiff_t first = pn_part_start(p->channels, 1, index, p->parts); first < stop; first += p->group) {
        const ptrdiff_t count = pn_min(stop - first, p->group), at = first * size;
        const PN_REAL *x = (const PN_REAL *)p->x + at, *dy = (const PN_REAL *)p->dy + at;
        PN_REAL *dx = (PN_REAL *)p->dx + (p->dx ? at : 0);
        for (ptrdiff_t c = 0; c < count; c++) channel[c] = PN_(pn_channel_of)(p, first + c);
        for (ptrdiff_t i = 0; i < n && !p->means; i++)
            for (ptrdiff_t c = 0; c < count; c++) {
                const ptrdiff_t row = i * stride + c * size;
                PN_(pn_add_row)(p, &channel[c], dy + row, x + row, i + 1 < n ? stride : 0);
            }
        for (ptrdiff_t c = 0; c < count && !p->means; c++) PN_(pn_channel_gradients)(p, first + c, &channel[c]);
        for (ptrdiff_t i = p->dx ? n - 1 : -1; i >= 0; i--)
            for (ptrdiff_t c = 0; c < count; c++) {
                const ptrdiff_t row = i * stride + c * size;
                PN_(pn_write_row)(p, &channel[c], dy + row, x + row, dx + row, i ? -stride : 0);
            }
    }
    if (p->stream) pn_stream_fence();
}

/* Add a row's sum, sum of squares, and counts of elements above 0 and further than `limit` from `centre`, to `four`. */
static inline void PN_(pn_row_stats)(const PN_REAL *x, ptrdiff_t n, PN_REAL centre, PN_REAL limit, double *four) {
    double sum = 0, squares = 0, part[8] = {0}, part2[8] = {0};
    PN_BITS active = 0, saturated = 0, above[8] = {0}, beyond[8] = {0};
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

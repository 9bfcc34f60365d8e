/* Template, included by batchnorm.h once per floating type. */

#define PN_MAX_VECTORS 4
#define PN_LANES ((ptrdiff_t)(PN_VECTOR_BYTES / sizeof(PN_REAL)))

/* The rows to process, and their per-column values. */
typedef struct {
    const PN_REAL *x, *dy;
    PN_REAL *out;
    const PN_REAL *centre, *scale, *shift, *slope, *offset;
    PN_REAL *sum, *products; /* with PN_LANES more elements than there are columns */
    ptrdiff_t rows, columns, stride;
    ptrdiff_t ahead; /* offset of the rows processed next, for prefetching */
} PN_(pn_rows);

#define PN_V PN_(pn_unaligned)
#define PN_V_(name) PN_(name##_vector)
#define PN_V_LANES PN_LANES
#define PN_V_ZERO(where, v) ((PN_V)((PN_(pn_bits))(v) & ~(where)))
#define PN_V_FMA(a, b, c) ((a) * (b) + (c))
#define PN_V_STREAM(place, v) PN_STREAM(place, v)
#include "batchnorm_columns_template.h"
#define PN_V PN_REAL
#define PN_V_(name) PN_(name##_single)
#define PN_V_LANES ((ptrdiff_t)1)
#define PN_V_ZERO(where, v) ((where) ? 0 : (v))
#define PN_V_FMA(a, b, c) PN_SINGLE_FMA(a, b, c)
#define PN_V_STREAM(place, v) (*(place) = (v))
#include "batchnorm_columns_template.h"

#define PN_DEFINE_ROWS(name)                                     \
    static void PN_(name)(int relu, int place, PN_(pn_rows) t) { \
        if (t.columns >= PN_LANES)                               \
            PN_(name##_rows_vector)(relu, place, t);             \
        else                                                     \
            PN_(name##_rows_single)(relu, place, t);             \
    }
PN_DEFINE_ROWS(pn_moments)
PN_DEFINE_ROWS(pn_normalize)
PN_DEFINE_ROWS(pn_gradient_sums)
PN_DEFINE_ROWS(pn_input_gradient)
#undef PN_DEFINE_ROWS

/* Per-column scratch of a part. */
typedef struct {
    double *sum, *products;
    PN_REAL *part, *part_products, *centre, *scale, *slope, *offset, *row;
} PN_(pn_scratch);

static inline PN_(pn_scratch) PN_(pn_scratch_of)(void *scratch, int index, ptrdiff_t padded) {
    double *sum = (double *)((char *)scratch + (size_t)index * pn_scratch_bytes(padded, sizeof(PN_REAL)));
    PN_REAL *rest = (PN_REAL *)(sum + 2 * padded);
    memset(sum, 0, (size_t)(2 * padded) * sizeof(double));
    return (PN_(pn_scratch)){.sum = sum,
                             .products = sum + padded,
                             .part = rest,
                             .part_products = rest + padded,
                             .centre = rest + 2 * padded,
                             .scale = rest + 3 * padded,
                             .slope = rest + 4 * padded,
                             .offset = rest + 5 * padded,
                             .row = rest + 6 * padded};
}

/* Move the sums of the last columns out of the extra slot, if they are there. */
static inline void PN_(pn_last_slot)(PN_REAL *sums, ptrdiff_t columns) {
    if (columns > PN_LANES && columns % PN_LANES)
        memcpy(sums + columns - PN_LANES, sums + columns, (size_t)PN_LANES * sizeof(PN_REAL));
}

/* Mean minus the pivot (s.sum) and sum of squared differences from the mean (s.products) of each column: block by
 * block, merged as in Chan, Golub & LeVeque 1983. Every element is read once. The sums are of differences from a
 * pivot, the mean of four rows (s.centre): otherwise float32 sums of a column near 1e4 would be off by 1e-2, and
 * sums of squares useless. */
static void PN_(pn_column_statistics)(const pn_batchnorm *p, const PN_REAL *x, PN_(pn_rows) t, PN_(pn_scratch) s) {
    const ptrdiff_t m = p->m, group = p->plan.group;
    double *restrict mean = s.sum, *restrict squares = s.products;
    PN_REAL *restrict sum = s.part, *restrict sum_squares = s.part_products, *restrict pivot = s.centre;
    const PN_REAL *quarter = x + m / 4 * t.stride, *half = x + m / 2 * t.stride, *last = x + (m - 1) * t.stride;
    for (ptrdiff_t j = 0; j < t.columns; j++) pivot[j] = (PN_REAL)0.25 * ((x[j] + quarter[j]) + (half[j] + last[j]));
    t.centre = s.centre;
    for (ptrdiff_t first = 0; first < m; first += PN_BLOCK_ROWS) {
        const ptrdiff_t stop = pn_min(m, first + PN_BLOCK_ROWS);
        memset(s.part, 0, (size_t)(t.columns + PN_LANES) * sizeof(PN_REAL));
        memset(s.part_products, 0, (size_t)(t.columns + PN_LANES) * sizeof(PN_REAL));
        for (ptrdiff_t i = first; i < stop; i += group) {
            t.rows = pn_min(stop - i, group);
            t.x = x + i * t.stride;
            t.ahead = i + 2 * group <= m ? group * t.stride : 0;
            PN_(pn_moments)(0, p->plan.place, t);
        }
        PN_(pn_last_slot)(s.part, t.columns);
        PN_(pn_last_slot)(s.part_products, t.columns);
        const double rows = (double)(stop - first), share = rows / (double)stop, weight = share * (double)first;
        for (ptrdiff_t j = 0; j < t.columns; j++) {
            const double inner = (double)sum[j] / rows, delta = inner - mean[j];
            mean[j] += delta * share;
            squares[j] += ((double)sum_squares[j] - inner * (double)sum[j]) + delta * delta * weight;
        }
    }
}

/* The same for column j alone, in float64, if squares overflowed. */
static PN_RARE void PN_(pn_large_statistics)(const PN_REAL *x, ptrdiff_t m, ptrdiff_t stride, PN_REAL *pivot,
                                             double *above, double *squares) {
    double total = 0, sum = 0;
    for (ptrdiff_t i = 0; i < m; i++) total += (double)x[i * stride];
    const double mean = total / (double)m;
    for (ptrdiff_t i = 0; i < m; i++) {
        const double d = (double)x[i * stride] - mean;
        sum += d * d;
    }
    *pivot = (PN_REAL)mean;
    *above = mean - (double)*pivot;
    *squares = sum;
}

/* Per-column results of the forward pass; `pivot` becomes the mean to subtract. */
static inline void PN_(pn_finish_statistics)(const pn_batchnorm *p, ptrdiff_t n, const double *restrict above,
                                             const double *restrict squares, PN_REAL *restrict pivot,
                                             PN_REAL *restrict mean, PN_REAL *restrict rstd,
                                             PN_REAL *restrict running_mean, PN_REAL *restrict running_var) {
    const double new = p->momentum, kept = 1 - new, each = 1 / (double)p->m, unbiased = new / (double)(p->m - 1);
    for (ptrdiff_t j = 0; j < n; j++) {
        const double batch_mean = pivot[j] + above[j];
        mean[j] = pivot[j] = (PN_REAL)batch_mean;
        rstd[j] = (PN_REAL)(1 / sqrt(squares[j] * each + p->eps));
        running_mean[j] = (PN_REAL)(kept * running_mean[j] + new *batch_mean);
        running_var[j] = (PN_REAL)(kept * running_var[j] + unbiased * squares[j]);
    }
}

static void PN_(pn_forward_part)(void *argument, int index) {
    pn_batchnorm *p = (pn_batchnorm *)argument;
    const ptrdiff_t c = pn_part_start(p->n, PN_PART_STEP, index, p->plan.parts), m = p->m;
    const ptrdiff_t columns = pn_part_start(p->n, PN_PART_STEP, index + 1, p->plan.parts) - c;
    const PN_(pn_scratch) s = PN_(pn_scratch_of)(p->plan.scratch, index, p->plan.padded);
    const PN_REAL *x = (const PN_REAL *)p->x + c, *gamma = (const PN_REAL *)p->gamma + c;
    PN_REAL *y = (PN_REAL *)p->y + c, *mean = (PN_REAL *)p->mean + c, *rstd = (PN_REAL *)p->rstd + c;
    PN_REAL *running_mean = (PN_REAL *)p->running_mean + c, *running_var = (PN_REAL *)p->running_var + c;
    PN_(pn_rows)
    t = {.centre = s.centre,
         .scale = s.scale,
         .shift = (const PN_REAL *)p->beta + c,
         .sum = s.part,
         .products = s.part_products,
         .columns = columns,
         .stride = p->n};
    if (p->training) {
        PN_(pn_column_statistics)(p, x, t, s);
        for (ptrdiff_t j = 0; j < columns; j++)
            if (!(s.products[j] < INFINITY))
                PN_(pn_large_statistics)(x + j, m, p->n, s.centre + j, s.sum + j, s.products + j);
        PN_(pn_finish_statistics)(p, columns, s.sum, s.products, s.centre, mean, rstd, running_mean, running_var);
    } else {
        for (ptrdiff_t j = 0; j < columns; j++) {
            mean[j] = s.centre[j] = running_mean[j];
            rstd[j] = (PN_REAL)(1 / sqrt((double)running_var[j] + p->eps));
        }
    }
    for (ptrdiff_t j = 0; j < columns; j++) s.scale[j] = gamma[j] * rstd[j];
    const int plain = p->code == PN_IDENTITY || p->code == PN_RELU;
    const ptrdiff_t group = p->plan.group;
    for (ptrdiff_t stop = m; stop > 0; stop -= group) { /* backwards: the last rows are still in cache */
        const ptrdiff_t i = stop > group ? stop - group : 0;
        t.rows = stop - i;
        t.x = x + i * p->n;
        t.out = y + i * p->n;
        t.ahead = i >= group ? -group * p->n : 0;
        PN_(pn_normalize)(p->code == PN_RELU, p->plan.place, t);
        for (ptrdiff_t r = i; r < stop && !plain; r++)
            PN_(pn_activate)(y + r * p->n, y + r * p->n, columns, p->code, (PN_REAL)p->alpha);
    }
    if (p->plan.place == PN_NONTEMPORAL) pn_stream_fence();
}

/* Per-column results of the backward pass, and the coefficients of dx. */
static inline void PN_(pn_finish_gradients)(const pn_batchnorm_back *p, ptrdiff_t n, const double *restrict sum,
                                            const double *restrict products, const PN_REAL *restrict rstd,
                                            const PN_REAL *restrict scale, PN_REAL *restrict dgamma,
                                            PN_REAL *restrict dbeta, PN_REAL *restrict slope,
                                            PN_REAL *restrict offset) {
    const double each = p->training ? 1 / (double)p->m : 0; /* otherwise the statistics are constants */
    for (ptrdiff_t j = 0; j < n; j++) {
        const double normalized = products[j] * (double)rstd[j];
        dgamma[j] = (PN_REAL)normalized;
        dbeta[j] = (PN_REAL)sum[j];
        slope[j] = -scale[j] * (PN_REAL)(normalized * each * (double)rstd[j]);
        offset[j] = -scale[j] * (PN_REAL)(sum[j] * each);
    }
}

/* dz = dy f' of one row, for an activation other than ReLU. `row` is scratch and may be dz. */
static void PN_(pn_gradient_row)(const pn_batchnorm_back *p, PN_(pn_rows) t, PN_REAL *row, PN_REAL *dz) {
    t.out = row;
    PN_(pn_normalize)(0, PN_IN_CACHE, t);
    PN_(pn_saved_from_input)(row, t.columns, p->code, (PN_REAL)p->alpha);
    PN_(pn_activate_backward)(t.dy, row, dz, t.columns, p->code, (PN_REAL)p->alpha);
}

/* The backward pass of one column in float64, from dy: if rstd is too small to be squared in the arrays' precision,
 * or products overflowed. */
static PN_RARE void PN_(pn_large_gradients)(const pn_batchnorm_back *p, ptrdiff_t column) {
    const PN_REAL *x = (const PN_REAL *)p->x + column, *dy = (const PN_REAL *)p->dy + column;
    const PN_REAL mean = ((const PN_REAL *)p->mean)[column], shift = ((const PN_REAL *)p->beta)[column];
    const PN_REAL rstd = ((const PN_REAL *)p->rstd)[column], scale = ((const PN_REAL *)p->gamma)[column] * rstd;
    PN_REAL *dx = (PN_REAL *)p->dx + (p->dx ? column : 0);
    const PN_REAL *means = (const PN_REAL *)p->means;
    double sum = 0, product = 0;
    for (int pass = means ? 1 : 0; pass < (p->dx ? 2 : 1); pass++) {
        double mean_dz = p->training ? sum / (double)p->m : 0, slope = p->training ? product / (double)p->m : 0;
        if (means) slope = (double)means[column], mean_dz = (double)means[p->n + column];
        for (ptrdiff_t i = 0; i < p->m; i++) {
            const double z = ((double)x[i * p->n] - (double)mean) * (double)rstd;
            PN_REAL saved = (x[i * p->n] - mean) * scale + shift, dz = dy[i * p->n];
            if (p->code != PN_IDENTITY) {
                PN_(pn_saved_from_input)(&saved, 1, p->code, (PN_REAL)p->alpha);
                PN_(pn_activate_backward)(&dz, &saved, &dz, 1, p->code, (PN_REAL)p->alpha);
            }
            if (pass == 0)
                sum += (double)dz, product += (double)dz * z;
            else
                dx[i * p->n] = (PN_REAL)(((double)dz - mean_dz - z * slope) * (double)scale);
        }
    }
    if (means) return;
    ((PN_REAL *)p->dgamma)[column] = (PN_REAL)product;
    ((PN_REAL *)p->dbeta)[column] = (PN_REAL)sum;
}

/* Whether a column needs pn_large_gradients. */
static inline int PN_(pn_is_large)(PN_REAL rstd, double sum, double product) {
    return !((double)rstd > PN_MIN_RSTD && fabs(product) < INFINITY && fabs(sum) < INFINITY);
}

/* What both passes over columns c to c + `columns` read and write. */
static inline PN_(pn_rows)
    PN_(pn_backward_rows)(const pn_batchnorm_back *p, PN_(pn_scratch) s, ptrdiff_t c, ptrdiff_t columns) {
    const PN_REAL *gamma = (const PN_REAL *)p->gamma + c, *rstd = (const PN_REAL *)p->rstd + c;
    for (ptrdiff_t j = 0; j < columns; j++) s.scale[j] = gamma[j] * rstd[j];
    return (PN_(pn_rows)){.centre = (const PN_REAL *)p->mean + c,
                          .scale = s.scale,
                          .shift = (const PN_REAL *)p->beta + c,
                          .slope = s.slope,
                          .offset = s.offset,
                          .sum = s.part,
                          .products = s.part_products,
                          .columns = columns,
                          .stride = p->n};
}

/* Write dx, from the coefficients. With an activation other than ReLU, dx holds dz, or dz is computed again. */
static void PN_(pn_write_dx)(const pn_batchnorm_back *p, PN_(pn_rows) t, PN_(pn_scratch) s, ptrdiff_t c, int place,
                             ptrdiff_t group) {
    const int plain = p->code == PN_RELU || p->code == PN_IDENTITY;
    const PN_REAL *x = (const PN_REAL *)p->x + c, *dy = (const PN_REAL *)p->dy + c;
    PN_REAL *dx = (PN_REAL *)p->dx + c;
    for (ptrdiff_t stop = p->m; stop > 0; stop -= group) {
        const ptrdiff_t i = stop > group ? stop - group : 0;
        t.rows = stop - i;
        t.x = x + i * t.stride;
        t.dy = dy + i * t.stride;
        t.out = dx + i * t.stride;
        if (!plain) { /* through a row of scratch, because the last columns are read twice */
            if (p->means)
                PN_(pn_gradient_row)(p, t, s.row, s.row);
            else
                memcpy(s.row, t.out, (size_t)t.columns * sizeof(PN_REAL));
            t.dy = s.row;
        }
        t.ahead = i >= group ? -group * t.stride : 0;
        PN_(pn_input_gradient)(p->code == PN_RELU, place, t);
    }
    if (place == PN_NONTEMPORAL) pn_stream_fence();
}

static void PN_(pn_backward_part)(void *argument, int index) {
    pn_batchnorm_back *p = (pn_batchnorm_back *)argument;
    const ptrdiff_t c = pn_part_start(p->n, PN_PART_STEP, index, p->plan.parts), m = p->m, n = p->n;
    const ptrdiff_t columns = pn_part_start(n, PN_PART_STEP, index + 1, p->plan.parts) - c;
    const PN_(pn_scratch) s = PN_(pn_scratch_of)(p->plan.scratch, index, p->plan.padded);
    const PN_REAL *x = (const PN_REAL *)p->x + c, *dy = (const PN_REAL *)p->dy + c;
    const PN_REAL *rstd = (const PN_REAL *)p->rstd + c;
    PN_REAL *dx = p->dx ? (PN_REAL *)p->dx + c : NULL;
    const int relu = p->code == PN_RELU, plain = relu || p->code == PN_IDENTITY;
    const int place = plain ? p->plan.place : PN_IN_CACHE;
    /* The gradient before any other activation is kept in dx, row by row. */
    const ptrdiff_t group = plain ? p->plan.group : 1;
    PN_(pn_rows) t = PN_(pn_backward_rows)(p, s, c, columns);
    double *restrict sum = s.sum, *restrict products = s.products;
    for (ptrdiff_t first = 0; first < m; first += PN_BLOCK_ROWS) {
        const ptrdiff_t stop = pn_min(m, first + PN_BLOCK_ROWS);
        memset(s.part, 0, (size_t)(columns + PN_LANES) * sizeof(PN_REAL));
        memset(s.part_products, 0, (size_t)(columns + PN_LANES) * sizeof(PN_REAL));
        for (ptrdiff_t i = first; i < stop; i += group) {
            t.rows = pn_min(stop - i, group);
            t.x = x + i * n;
            t.dy = dy + i * n;
            t.ahead = i + 2 * group <= m ? group * n : 0;
            if (!plain) {
                PN_REAL *dz = dx ? dx + i * n : s.row;
                PN_(pn_gradient_row)(p, t, s.row, dz);
                t.dy = dz;
            }
            PN_(pn_gradient_sums)(relu, place, t);
        }
        PN_(pn_last_slot)(s.part, columns);
        PN_(pn_last_slot)(s.part_products, columns);
        for (ptrdiff_t j = 0; j < columns; j++) {
            sum[j] += s.part[j];
            products[j] += s.part_products[j];
        }
    }
    int large = 0;
    for (ptrdiff_t j = 0; j < columns; j++) large |= PN_(pn_is_large)(rstd[j], sum[j], products[j]);
    PN_REAL *kept = s.part, *kept2 = s.part_products; /* previous dgamma and dbeta, for columns that are recomputed */
    if (large) {
        memcpy(kept, (PN_REAL *)p->dgamma + c, (size_t)columns * sizeof(PN_REAL));
        memcpy(kept2, (PN_REAL *)p->dbeta + c, (size_t)columns * sizeof(PN_REAL));
    }
    PN_(pn_finish_gradients)(p, columns, s.sum, s.products, rstd, s.scale, (PN_REAL *)p->dgamma + c,
                             (PN_REAL *)p->dbeta + c, s.slope, s.offset);
    if (dx) PN_(pn_write_dx)(p, t, s, c, place, group);
    for (ptrdiff_t j = 0; j < columns && large; j++)
        if (PN_(pn_is_large)(rstd[j], sum[j], products[j])) {
            ((PN_REAL *)p->dgamma)[c + j] = kept[j];
            ((PN_REAL *)p->dbeta)[c + j] = kept2[j];
            PN_(pn_large_gradients)(p, c + j);
        }
}

/* dx alone, given the means over the rows of all processes. */
static void PN_(pn_input_part)(void *argument, int index) {
    pn_batchnorm_back *p = (pn_batchnorm_back *)argument;
    const ptrdiff_t c = pn_part_start(p->n, PN_PART_STEP, index, p->plan.parts);
    const ptrdiff_t columns = pn_part_start(p->n, PN_PART_STEP, index + 1, p->plan.parts) - c;
    const PN_(pn_scratch) s = PN_(pn_scratch_of)(p->plan.scratch, index, p->plan.padded);
    const PN_REAL *rstd = (const PN_REAL *)p->rstd + c, *products = (const PN_REAL *)p->means + c;
    const PN_REAL *mean_dz = products + p->n;
    const int plain = p->code == PN_RELU || p->code == PN_IDENTITY;
    PN_(pn_rows) t = PN_(pn_backward_rows)(p, s, c, columns);
    for (ptrdiff_t j = 0; j < columns; j++) {
        s.slope[j] = -s.scale[j] * (products[j] * rstd[j]);
        s.offset[j] = -s.scale[j] * mean_dz[j];
    }
    PN_(pn_write_dx)(p, t, s, c, plain ? p->plan.place : PN_IN_CACHE, plain ? p->plan.group : 1);
    for (ptrdiff_t j = 0; j < columns; j++)
        if (PN_(pn_is_large)(rstd[j], 0, 0)) PN_(pn_large_gradients)(p, c + j);
}

#undef PN_MAX_VECTORS
#undef PN_LANES
#undef PN_REAL
#undef PN_MIN_RSTD
#undef PN_SINGLE_FMA
#undef PN_

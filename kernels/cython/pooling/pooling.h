/* Max and mean pooling over windows of image planes, for float (suffix _f32) and double (suffix _f64). */
#ifndef PYNN_POOLING_H
#define PYNN_POOLING_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/plane_transpose.h"
#include "common/reductions.h"
#include "common/runtime.h"
#include "common/vector.h"
#include "common/workspace.h"
#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define PN_POOL_AVX512
#include "pooling_avx512.h"
#else
#include "pooling_2x2.h"
#endif

#define PN_POOL_GRAIN 32768.0 /* minimum elements per thread */
#define PN_POOL_BAND 32768    /* bytes of rows that are worked on at a time */

/* The rows, or columns, of the image that a window covers. */
typedef struct {
    ptrdiff_t start, count; /* first element, number of elements */
    ptrdiff_t skipped;      /* elements of the window before the image */
    ptrdiff_t counted;      /* divisor of a mean */
    ptrdiff_t from, stop;   /* bounds of all elements; both are non-decreasing from window to window */
} pn_reach;

typedef struct {
    const void *x; /* or dy */
    void *y;       /* or dx */
    uint16_t *index;
    ptrdiff_t planes, height, width, out_height, out_width, kernel_height, kernel_width;
    ptrdiff_t stride_y, stride_x, top, left, dilation_y, dilation_x;
    int count_padding, single;
    int mean, adaptive, backward, parts; /* set by pn_pool, like the members below */
    ptrdiff_t band_rows, band_out;       /* capacity in rows of the image, and of results */
    pn_reach *columns;
    void *scratch;
    size_t part_bytes;
} pn_pooling;

/* Window i of `count`, over `size` elements. */
static inline pn_reach pn_pool_reach(const pn_pooling *p, ptrdiff_t i, ptrdiff_t count, ptrdiff_t size,
                                     ptrdiff_t kernel, ptrdiff_t stride, ptrdiff_t before, ptrdiff_t dilation) {
    pn_reach reach = {0};
    if (p->adaptive) {
        reach.start = reach.from = i * size / count;
        reach.stop = pn_ceil_div((i + 1) * size, count);
        reach.count = reach.counted = reach.stop - reach.start;
        return reach;
    }
    const ptrdiff_t place = i * stride - before, end = place + (kernel - 1) * dilation + 1;
    reach.from = pn_max(0, pn_min(place, size));
    reach.stop = pn_max(reach.from, pn_min(end, size));
    reach.skipped = place < 0 ? (dilation - 1 - place) / dilation : 0;
    reach.start = place + reach.skipped * dilation;
    reach.count = reach.start < size ? (size - 1 - reach.start) / dilation + 1 : 0;
    reach.count = pn_min(reach.count, kernel - reach.skipped);
    if (reach.count <= 0) reach.count = 0, reach.start = reach.from;
    /* A mean includes the padding unless count_padding is 0, but never what lies beyond the padding. */
    reach.counted = p->count_padding ? pn_min(end, size + before) - place : reach.count;
    return reach;
}

static inline pn_reach pn_pool_rows(const pn_pooling *p, ptrdiff_t i) {
    return pn_pool_reach(p, i, p->out_height, p->height, p->kernel_height, p->stride_y, p->top, p->dilation_y);
}

/* The end of the band that starts at result row i: there is room for its results and for image rows from `low` on. */
static inline ptrdiff_t pn_pool_band(const pn_pooling *p, ptrdiff_t i, ptrdiff_t low) {
    ptrdiff_t stop = i + 1;
    while (stop < p->out_height && stop - i < p->band_out && pn_pool_rows(p, stop).stop - low <= p->band_rows) stop++;
    return stop;
}

/* Whether windows are adjacent and 2 x 2, by far the most common; a last row and column may be left over. */
static inline int pn_pool_is_2x2(const pn_pooling *p) {
    return p->kernel_height == 2 && p->kernel_width == 2 && p->stride_y == 2 && p->stride_x == 2 && p->top == 0 &&
           p->left == 0 && p->dilation_y == 1 && p->dilation_x == 1 && 2 * p->out_height <= p->height &&
           2 * p->out_width <= p->width;
}

/* Whether one window is the whole plane, as before the last layer of a convolutional network. */
static inline int pn_pool_is_whole(const pn_pooling *p) {
    if (p->out_height != 1 || p->out_width != 1) return 0;
    return p->adaptive || (p->kernel_height == p->height && p->kernel_width == p->width && p->top == 0 &&
                           p->left == 0 && p->dilation_y == 1 && p->dilation_x == 1);
}

#define PN_REAL float
#define PN_INT int32_t
#define PN_(name) name##_f32
#include "pooling_windows_template.h"
#include "pooling_template.h"

#define PN_REAL double
#define PN_INT int64_t
#define PN_(name) name##_f64
#include "pooling_windows_template.h"
#include "pooling_template.h"

/* The number of rows that fit into a band, from `min_rows` to `max_rows`. */
static inline ptrdiff_t pn_pool_band_rows(ptrdiff_t width, ptrdiff_t min_rows, ptrdiff_t max_rows) {
    const ptrdiff_t rows = PN_POOL_BAND / PN_VECTOR_BYTES / (width > 0 ? width : 1);
    return pn_min(max_rows, pn_max(rows, min_rows));
}

/* Returns 0, or -1 if memory is exhausted. */
static int pn_pool(pn_pooling *p) {
    const ptrdiff_t lanes = PN_VECTOR_BYTES / (p->single ? sizeof(float) : sizeof(double));
    const ptrdiff_t groups = pn_ceil_div(p->planes, lanes);
    const int parts = pn_parts((double)p->planes * (double)(p->height * p->width), PN_POOL_GRAIN);
    p->parts = groups < parts ? (int)groups : parts;
    if (!p->mean && pn_pool_is_2x2(p)) {
        pn_parallel(p->single ? pn_max_2x2_part_f32 : pn_max_2x2_part_f64, p, p->parts);
        return 0;
    }
    if (p->mean && pn_pool_is_whole(p)) {
        pn_parallel(p->single ? pn_whole_part_f32 : pn_whole_part_f64, p, p->parts);
        return 0;
    }
    const ptrdiff_t extent = p->adaptive ? p->height / p->out_height + 2 : (p->kernel_height - 1) * p->dilation_y + 1;
    p->band_rows = pn_pool_band_rows(p->width, extent, p->height);
    p->band_out = pn_pool_band_rows(p->out_width, 1, p->out_height);
    p->part_bytes = (size_t)(p->band_rows * p->width + 2 * p->band_out * p->out_width) * PN_VECTOR_BYTES;
    const size_t bytes = (size_t)p->parts * p->part_bytes;
    pn_workspace *workspace = pn_workspace_take(bytes + (size_t)p->out_width * sizeof *p->columns);
    if (!workspace) return -1;
    p->scratch = pn_workspace_data(workspace);
    p->columns = (pn_reach *)((char *)p->scratch + bytes);
    for (ptrdiff_t j = 0; j < p->out_width; j++)
        p->columns[j] =
            pn_pool_reach(p, j, p->out_width, p->width, p->kernel_width, p->stride_x, p->left, p->dilation_x);
    pn_parallel(p->single ? pn_pool_part_f32 : pn_pool_part_f64, p, p->parts);
    pn_workspace_return(workspace);
    return 0;
}

#define PN_POOL(name, is_mean, is_adaptive, is_backward)                         \
    static int name(void *call) {                                                \
        pn_pooling *p = (pn_pooling *)call;                                      \
        p->mean = is_mean, p->adaptive = is_adaptive, p->backward = is_backward; \
        return pn_pool(p);                                                       \
    }
PN_POOL(pn_max_pool, 0, 0, 0)
PN_POOL(pn_max_pool_backward, 0, 0, 1)
PN_POOL(pn_avg_pool, 1, 0, 0)
PN_POOL(pn_avg_pool_backward, 1, 0, 1)
PN_POOL(pn_adaptive_pool, 1, 1, 0)
PN_POOL(pn_adaptive_pool_backward, 1, 1, 1)

#endif

/* Maxima and means over windows of the planes of images, for float (suffix _f32) and double (suffix _f64). */
#ifndef PYNN_POOLING_H
#define PYNN_POOLING_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "platform.h"
#include "rows.h"
#include "runtime.h"
#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define PN_POOL_AVX512
#else
#include "pooling_2x2.h"
#endif

#define PN_POOL_LEAST 32768.0 /* elements that a thread should have to itself */
#define PN_POOL_CHUNK 512     /* outputs that are worked on at a time */

typedef struct {
    const void *x; /* or dy */
    void *y;       /* or dx */
    uint16_t *index;
    ptrdiff_t planes, height, width, out_height, out_width, kernel_height, kernel_width;
    ptrdiff_t stride_y, stride_x, top, left, dilation_y, dilation_x;
    int count_padding, single, parts; /* parts is for pn_pool's use */
} pn_pooling;

/* The positions, from *first to before *stop, at which element `offset` of a window lies in the image. */
static inline void pn_pool_within(ptrdiff_t size, ptrdiff_t step, ptrdiff_t offset, ptrdiff_t count, ptrdiff_t *first,
                                  ptrdiff_t *stop) {
    *first = offset < 0 ? (-offset + step - 1) / step : 0;
    *stop = size > offset ? (size - 1 - offset) / step + 1 : 0;
    if (*stop > count) *stop = count;
    if (*stop < *first) *stop = *first;
}

/* Over how many elements the mean of window i is, in one dimension. */
static inline ptrdiff_t pn_pool_counted(ptrdiff_t i, ptrdiff_t step, ptrdiff_t before, ptrdiff_t kernel, ptrdiff_t size,
                                        int count_padding) {
    ptrdiff_t start = i * step - before;
    ptrdiff_t stop = start + kernel < size + before ? start + kernel : size + before;
    if (!count_padding) {
        if (start < 0) start = 0;
        if (stop > size) stop = size;
    }
    return stop - start;
}

/* Whether windows do not overlap, and cover the image. Planes one below the other then are one high plane. */
static inline int pn_pool_is_tiled(const pn_pooling *p) {
    return p->kernel_height == p->stride_y && p->kernel_width == p->stride_x && p->top == 0 && p->left == 0 &&
           p->dilation_y == 1 && p->dilation_x == 1 && p->out_height * p->stride_y == p->height &&
           p->out_width * p->stride_x == p->width;
}

/* Whether windows are 2 x 2 side by side, by far the most common; a last row and column may be left over. */
static inline int pn_pool_is_2x2(const pn_pooling *p) {
    return p->kernel_height == 2 && p->kernel_width == 2 && p->stride_y == 2 && p->stride_x == 2 && p->top == 0 &&
           p->left == 0 && p->dilation_y == 1 && p->dilation_x == 1 && 2 * p->out_height <= p->height &&
           2 * p->out_width <= p->width;
}

#ifdef PN_POOL_AVX512
#include "pooling_avx512.h"
#endif

#define PN_REAL float
#define PN_INT int32_t
#define PN_(name) name##_f32
#include "pooling_impl.h"

#define PN_REAL double
#define PN_INT int64_t
#define PN_(name) name##_f64
#include "pooling_impl.h"

static int pn_pool(void *call, pn_task task) {
    pn_pooling *p = (pn_pooling *)call;
    const double work = (double)p->planes * (double)(p->height * p->width);
    p->parts = pn_parts(work, PN_POOL_LEAST);
    pn_parallel(task, p, p->parts);
    return 0;
}

#define PN_POOL(name)                                                                                              \
    static void name##_part(void *argument, int index) {                                                           \
        const pn_pooling *p = (const pn_pooling *)argument;                                                        \
        const ptrdiff_t plane = p->height * p->width, out_plane = p->out_height * p->out_width;                    \
        const ptrdiff_t first = pn_part_start(p->planes, 1, index, p->parts);                                      \
        const ptrdiff_t stop = pn_part_start(p->planes, 1, index + 1, p->parts);                                   \
        const ptrdiff_t together = pn_pool_is_tiled(p) && stop > first ? stop - first : 1;                         \
        pn_pooling some = *p;                                                                                      \
        some.height *= together, some.out_height *= together;                                                      \
        for (ptrdiff_t i = first; i < stop; i += together) {                                                       \
            if (p->single)                                                                                         \
                name##_f32(&some, i * plane, i * out_plane);                                                       \
            else                                                                                                   \
                name##_f64(&some, i * plane, i * out_plane);                                                       \
        }                                                                                                          \
    }                                                                                                              \
    static int name(void *call) { return pn_pool(call, name##_part); }
PN_POOL(pn_max_pool)
PN_POOL(pn_max_pool_backward)
PN_POOL(pn_avg_pool)
PN_POOL(pn_avg_pool_backward)
PN_POOL(pn_adaptive_pool)
PN_POOL(pn_adaptive_pool_backward)

#endif

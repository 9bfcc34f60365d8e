/* The arguments of a convolution, and the taps of its kernel. */
#ifndef PYNN_TAPS_H
#define PYNN_TAPS_H

#include <stddef.h>

#define PN_CONV_GRAIN 262144.0         /* minimum multiply-adds per thread */

typedef struct {
    const void *x, *w, *bias; /* backward data: x is dy; backward weights: x is dy, w is x */
    void *out, *pre;          /* pre, if not NULL, receives the pre-activation */
    ptrdiff_t n, channels, height, width;           /* of the input */
    ptrdiff_t filters, out_height, out_width;       /* of the output */
    ptrdiff_t kernel_height, kernel_width;
    ptrdiff_t stride_y, stride_x, top, left, dilation_y, dilation_x, groups;
    int code;
    double alpha;
    int single;
} pn_conv;

/* The source positions that output position 0 reads, and the kernel element that each is multiplied by. */
typedef struct {
    ptrdiff_t count, top, left, height, width; /* of the bounding box */
    ptrdiff_t *y, *x, *element;
} pn_taps;

static inline void pn_bound_taps(pn_taps *taps) {
    ptrdiff_t bottom = 0, right = 0;
    taps->top = taps->left = 0;
    for (ptrdiff_t t = 0; t < taps->count; t++) {
        if (t == 0 || taps->y[t] < taps->top) taps->top = taps->y[t];
        if (t == 0 || taps->x[t] < taps->left) taps->left = taps->x[t];
        if (t == 0 || taps->y[t] > bottom) bottom = taps->y[t];
        if (t == 0 || taps->x[t] > right) right = taps->x[t];
    }
    taps->height = bottom - taps->top + 1;
    taps->width = right - taps->left + 1;
}

static void pn_forward_taps(const pn_conv *call, pn_taps *taps) {
    taps->count = 0;
    for (ptrdiff_t r = 0; r < call->kernel_height; r++)
        for (ptrdiff_t s = 0; s < call->kernel_width; s++, taps->count++) {
            taps->y[taps->count] = r * call->dilation_y - call->top;
            taps->x[taps->count] = s * call->dilation_x - call->left;
            taps->element[taps->count] = taps->count;
        }
    pn_bound_taps(taps);
}

/* The taps of dx at positions y = phase_y + i stride_y, likewise x: the kernel elements that meet dy there. */
static void pn_backward_taps(const pn_conv *call, ptrdiff_t phase_y, ptrdiff_t phase_x, pn_taps *taps) {
    taps->count = 0;
    for (ptrdiff_t r = 0; r < call->kernel_height; r++)
        for (ptrdiff_t s = 0; s < call->kernel_width; s++) {
            const ptrdiff_t y = phase_y + call->top - r * call->dilation_y;
            const ptrdiff_t x = phase_x + call->left - s * call->dilation_x;
            if (y % call->stride_y || x % call->stride_x) continue;
            taps->y[taps->count] = y / call->stride_y;
            taps->x[taps->count] = x / call->stride_x;
            taps->element[taps->count++] = r * call->kernel_width + s;
        }
    pn_bound_taps(taps);
}

#endif

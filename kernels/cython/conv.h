/* Convolution of images (n, channels, height, width) by implicit matrix products, for float (_f32) and double (_f64).
 *
 * What a product multiplies is gathered block by block: some output rows of an image, or some small images, at a time,
 * whose inputs are copied with their borders into a buffer that stays in cache. Of these the patches of a few pixels are
 * packed into panels, as a matrix multiply packs its operands (gemm.h); the matrix of all patches is never made. Layers
 * of the backward pass use the same: the input's gradient is a convolution of dy with the kernel turned round, for a
 * stride above 1 one for every position between the strides; the weights' gradient is a product of dy and patches that
 * are read in place. 3 x 3 kernels go Winograd's way, and depthwise convolutions another. See docs/convolution.md for why
 * all this is what it is.
 */
#ifndef PYNN_CONV_H
#define PYNN_CONV_H

#include <stdlib.h>

#include "elementwise.h"
#include "runtime.h"
#include "transpose.h"
#include "workspace.h"

#define PN_CONV_LEAST 262144.0         /* multiply-adds that a thread should have to itself */
#define PN_CONV_SOURCE (192 * 1024)    /* bytes of a block's input with its borders */
#define PN_CONV_PANELS (256 * 1024)    /* bytes of the panels that are packed at a time, a share of the L2 cache */
#define PN_CONV_KC 1152                /* depth of a panel: 128 channels of a 3 x 3 kernel */
/* Winograd's way from so many channels and filters on (each way breaks even below), and for so many products as a share of
 * those of the direct way: the rest goes for transforms and narrower tiles. */
#define PN_WINOGRAD_LEAST 8
#define PN_WINOGRAD_WEIGHTS_LEAST 16
#define PN_WINOGRAD_GAIN 0.75
#define PN_WINOGRAD_GROUP 4   /* channels whose inputs are transformed together */
#define PN_WINOGRAD_TILES 128 /* summed in registers for the gradient of the weights; 64 to 256 make no difference */

typedef struct {
    const void *x, *w, *bias; /* for the gradients: x is dy, or dy and x are x and w */
    void *out, *pre;          /* pre, if not NULL, gets the value before the activation */
    ptrdiff_t n, channels, height, width;           /* of the input */
    ptrdiff_t filters, out_height, out_width;       /* of the output */
    ptrdiff_t kernel_height, kernel_width;
    ptrdiff_t stride_y, stride_x, top, left, dilation_y, dilation_x, groups;
    int code;
    double alpha;
    int accumulate, single;
} pn_conv;

static inline ptrdiff_t pn_least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t pn_most(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
/* Rounded up. */
static inline ptrdiff_t pn_quotient(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }

/* The source positions that an output position at 0 reads, and which elements of a kernel they are multiplied by. */
typedef struct {
    ptrdiff_t count, top, left, height, width; /* of the box around them */
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

/* The taps of dx at positions y = phase_y + i stride_y, x likewise: the elements of the kernel that meet dy there. */
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

#include "depthwise.h"

#define PN_REAL float
#define PN_(name) name##_f32
#include "conv_impl.h"

#define PN_REAL double
#define PN_(name) name##_f64
#include "conv_impl.h"

/* These return 0, or -1 if memory is exhausted. */
static int pn_conv_forward(void *call) {
    const pn_conv *p = (const pn_conv *)call;
    if (pn_depthwise_serves(p)) return pn_depthwise_run(p, 0, 0);
    return p->single ? pn_conv_forward_f32(p) : pn_conv_forward_f64(p);
}

static int pn_conv_backward_data(void *call) {
    const pn_conv *p = (const pn_conv *)call;
    if (pn_depthwise_serves(p)) return pn_depthwise_run(p, 1, 0);
    return p->single ? pn_conv_backward_data_f32(p) : pn_conv_backward_data_f64(p);
}

static int pn_conv_backward_weights(void *call) {
    const pn_conv *p = (const pn_conv *)call;
    if (pn_depthwise_serves(p)) return pn_depthwise_run(p, 0, 1);
    return p->single ? pn_conv_backward_weights_f32(p) : pn_conv_backward_weights_f64(p);
}

#endif

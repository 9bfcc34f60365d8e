/* Convolution of images (n, channels, height, width) by implicit matrix products, for float (_f32) and double
 * (_f64).
 *
 * What a product multiplies is gathered block by block: some output rows of an image, or some small images, at a time,
 * whose inputs are copied with their borders into a buffer that stays in cache. Of these the patches of a few pixels
 * are packed into panels, as a matrix multiply packs its operands (gemm/gemm.h); the matrix of all patches is never
 * made. The backward passes use the same: the input's gradient is a convolution of dy with the kernel flipped (for a
 * stride above 1, one for every position between the strides); the weights' gradient is a product of dy and patches
 * that are read in place. 3 x 3 kernels use Winograd's algorithm; depthwise convolutions are in depthwise.h.
 * docs/convolution.md gives the reasons.
 */
#ifndef PYNN_CONV_H
#define PYNN_CONV_H

#include <stdlib.h>

#include "activations/activate.h"
#include "common/runtime.h"
#include "common/tile.h"
#include "common/transpose.h"
#include "common/workspace.h"
#include "taps.h"

#define PN_CONV_SOURCE (192 * 1024)    /* bytes of a block's padded input */
#define PN_CONV_PANELS (256 * 1024)    /* bytes of the panels packed at a time, a share of the L2 cache */
#define PN_CONV_KC 1152                /* depth of a panel: 128 channels of a 3 x 3 kernel */
/* A product of Winograd's narrower tiles takes 1 / GAIN times as long as a direct one. A tile's transform of a channel
 * or filter takes as long as TRANSFORMS products: fitted to 44 shapes of 7 to 28 pixels and 16 to 128 channels. The
 * gradient of the weights pays from this many channels and filters on. */
#define PN_WINOGRAD_GAIN 0.75
#define PN_WINOGRAD_TRANSFORMS 6.6
#define PN_WINOGRAD_WEIGHTS_MIN_CHANNELS 24
#define PN_WINOGRAD_WEIGHTS_MIN_FILTERS 16
#define PN_WINOGRAD_GROUP 4   /* channels whose inputs are transformed together */
#define PN_WINOGRAD_TILES 128 /* tiles summed in registers for the weights' gradient; 64 to 256 are equally fast */

#include "depthwise.h"

#define PN_REAL float
#define PN_(name) name##_f32
#include "conv_template.h"

#define PN_REAL double
#define PN_(name) name##_f64
#include "conv_template.h"

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

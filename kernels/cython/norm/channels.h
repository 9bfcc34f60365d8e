/* Per-channel operations on arrays (n, channels, size), for float (suffix _f32) and double (suffix _f64). */
#ifndef PYNN_CHANNELS_H
#define PYNN_CHANNELS_H

#include <math.h>

#include "activations/activate.h"
#include "common/reductions.h"
#include "common/runtime.h"
#include "common/nontemporal.h"
#include "common/vector.h"

#define PN_CHANNEL_GRAIN 32768.0 /* minimum elements per thread */
#define PN_CHUNK 512 /* elements whose activation is taken at a time: they stay in the first-level cache */
#define PN_PIECE_BYTES \
    32768 /* of an image that are read in order, instead of channel by channel: 1.2 to 1.45 times as fast */
#define PN_GROUP_MAX 32 /* channels of such a piece: their sums stay in the first-level cache */
/* Bytes of a result that is written by non-temporal stores; of 8 MB, dx takes two thirds of the time, y nine tenths
 * (Zen 4). */
#define PN_CHANNEL_STREAM_MIN ((size_t)8 << 20)
#define PN_PENDING 128 /* vectors added in the arrays' precision before the sum moves to float64 */

typedef struct {
    const void *x, *gamma, *beta;
    void *running_mean, *running_var, *y, *mean, *rstd;
    ptrdiff_t n, channels, size;
    double momentum, eps;
    int training, code;
    double alpha;
    int single;
    int parts, stream; /* set by pn_channel_norm_forward, like the member below */
    ptrdiff_t group; /* channels at a time */
} pn_channel_norm;

typedef struct {
    const void *dy, *x, *gamma, *beta, *mean, *rstd;
    const void *means; /* (2, channels), of dz z and dz over the rows of all processes: write dx alone. Or NULL */
    void *dx, *dgamma, *dbeta; /* dx may be NULL */
    ptrdiff_t n, channels, size;
    int training, code;
    double alpha;
    int single;
    int parts, stream; /* set by pn_channel_norm_backward, like the member below */
    ptrdiff_t group; /* channels at a time */
} pn_channel_norm_back;

#define PN_REAL float
#define PN_BITS int32_t
#define PN_(name) name##_f32
#define PN_FABS fabsf
#include "channels_template.h"

#define PN_REAL double
#define PN_BITS int64_t
#define PN_(name) name##_f64
#define PN_FABS fabs
#include "channels_template.h"

static int pn_channel_parts(ptrdiff_t n, ptrdiff_t channels, ptrdiff_t size) {
    const int parts = pn_parts((double)n * (double)channels * (double)size, PN_CHANNEL_GRAIN);
    return channels < parts ? (int)channels : parts;
}

/* Channels at a time: a piece of each image, so that memory is read in order. */
static ptrdiff_t pn_channel_group(ptrdiff_t size, int single) {
    const ptrdiff_t bytes = size * (single ? 4 : 8), rows = bytes ? PN_PIECE_BYTES / bytes : 1;
    return pn_max(1, pn_min(rows, PN_GROUP_MAX));
}

/* Whether the result is so large that non-temporal stores pay; they take whole vectors at their natural place. */
static int pn_channel_stream(const void *out, ptrdiff_t n, ptrdiff_t channels, ptrdiff_t size, int single, int code) {
    const size_t row = (size_t)size * (single ? sizeof(float) : sizeof(double));
    const int plain = code == PN_IDENTITY || code == PN_RELU;
    return out && plain && (uintptr_t)out % PN_VECTOR_BYTES == 0 && row % PN_VECTOR_BYTES == 0 &&
           row * (size_t)channels * (size_t)n >= PN_CHANNEL_STREAM_MIN;
}

static int pn_channel_norm_forward(void *call) {
    pn_channel_norm *p = (pn_channel_norm *)call;
    p->parts = pn_channel_parts(p->n, p->channels, p->size);
    p->group = pn_channel_group(p->size, p->single);
    p->stream = pn_channel_stream(p->y, p->n, p->channels, p->size, p->single, p->code);
    pn_parallel(p->single ? pn_channel_norm_part_f32 : pn_channel_norm_part_f64, p, p->parts);
    return 0;
}

static int pn_channel_norm_backward(void *call) {
    pn_channel_norm_back *p = (pn_channel_norm_back *)call;
    p->parts = pn_channel_parts(p->n, p->channels, p->size);
    p->group = pn_channel_group(p->size, p->single);
    p->stream = pn_channel_stream(p->dx, p->n, p->channels, p->size, p->single, p->code);
    pn_parallel(p->single ? pn_channel_norm_back_part_f32 : pn_channel_norm_back_part_f64, p, p->parts);
    return 0;
}

#endif

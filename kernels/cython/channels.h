/* Work per channel of arrays (n, channels, size), for float (suffix _f32) and double (suffix _f64). */
#ifndef PYNN_CHANNELS_H
#define PYNN_CHANNELS_H

#include "elementwise.h"
#include "rows.h"
#include "runtime.h"

#define PN_CHANNEL_LEAST 32768.0 /* elements that a thread should have to itself */
#define PN_CHUNK 512             /* elements whose activation is taken at a time: they stay in the first-level cache */
#define PN_PENDING 128           /* vectors that are added in the arrays' own precision before the sum goes to float64 */

typedef struct {
    const void *x, *gamma, *beta;
    void *running_mean, *running_var, *y, *mean, *rstd;
    ptrdiff_t n, channels, size;
    double momentum, eps;
    int training, code;
    double alpha;
    int single, parts; /* parts is for pn_channel_norm's use */
} pn_channel_norm;

typedef struct {
    const void *dy, *x, *gamma, *beta, *mean, *rstd;
    void *dx, *dgamma, *dbeta; /* dx may be NULL */
    ptrdiff_t n, channels, size;
    int training, code;
    double alpha;
    int accumulate, single, parts; /* parts is for pn_channel_norm_back's use */
} pn_channel_norm_back;

#define PN_REAL float
#define PN_BITS int32_t
#define PN_(name) name##_f32
#define PN_FABS fabsf
#include "channels_impl.h"

#define PN_REAL double
#define PN_BITS int64_t
#define PN_(name) name##_f64
#define PN_FABS fabs
#include "channels_impl.h"

static int pn_channel_parts(ptrdiff_t n, ptrdiff_t channels, ptrdiff_t size) {
    const int parts = pn_parts((double)n * (double)channels * (double)size, PN_CHANNEL_LEAST);
    return channels < parts ? (int)channels : parts;
}

static int pn_channel_norm_forward(void *call) {
    pn_channel_norm *p = (pn_channel_norm *)call;
    p->parts = pn_channel_parts(p->n, p->channels, p->size);
    pn_parallel(p->single ? pn_channel_norm_part_f32 : pn_channel_norm_part_f64, p, p->parts);
    return 0;
}

static int pn_channel_norm_backward(void *call) {
    pn_channel_norm_back *p = (pn_channel_norm_back *)call;
    p->parts = pn_channel_parts(p->n, p->channels, p->size);
    pn_parallel(p->single ? pn_channel_norm_back_part_f32 : pn_channel_norm_back_part_f64, p, p->parts);
    return 0;
}

#endif

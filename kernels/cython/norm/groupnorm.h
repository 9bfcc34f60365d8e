/* Normalisation over groups of channels of each example, for float (suffix _f32) and double (suffix _f64). Without mean
 * (NULL) it is about 0: RMS norm. */
#ifndef PYNN_GROUPNORM_H
#define PYNN_GROUPNORM_H

#include <math.h>

#include "common/reductions.h"
#include "common/runtime.h"
#include "common/vector.h"
#include "common/workspace.h"

#define PN_GROUP_GRAIN 32768.0 /* minimum elements per thread */

typedef struct {
    const void *x, *gamma, *beta; /* gamma and beta may be NULL */
    void *y, *mean, *rstd; /* mean may be NULL */
    ptrdiff_t n, channels, size, groups;
    double eps;
    int single, parts; /* parts: set by pn_group_norm_forward */
} pn_group_norm;

typedef struct {
    const void *dy, *x, *gamma, *mean, *rstd; /* gamma and mean may be NULL */
    void *dx, *dgamma, *dbeta; /* each may be NULL */
    ptrdiff_t n, channels, size, groups;
    int single, parts; /* parts: set by pn_group_norm_backward */
} pn_group_norm_back;

#define PN_DOUBLES (PN_VECTOR_BYTES / (int)sizeof(double))

#define PN_REAL float
#define PN_(name) name##_f32
#include "groupnorm_template.h"

#define PN_REAL double
#define PN_(name) name##_f64
#include "groupnorm_template.h"

static int pn_group_norm_forward(void *call) {
    pn_group_norm *p = (pn_group_norm *)call;
    p->parts = pn_parts((double)p->n * (double)(p->channels * p->size), PN_GROUP_GRAIN);
    pn_parallel(p->single ? pn_group_norm_part_f32 : pn_group_norm_part_f64, p, p->parts);
    return 0;
}

/* Returns 0, or -1 if memory is exhausted. */
static int pn_group_norm_backward(void *call) {
    pn_group_norm_back *p = (pn_group_norm_back *)call;
    p->parts = pn_parts((double)p->n * (double)(p->channels * p->size), PN_GROUP_GRAIN);
    if (p->dx) pn_parallel(p->single ? pn_group_norm_back_part_f32 : pn_group_norm_back_part_f64, p, p->parts);
    if (!p->dgamma) return 0;
    return p->single ? pn_group_norm_parameters_f32(p) : pn_group_norm_parameters_f64(p);
}

#endif

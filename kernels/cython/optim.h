/* Optimiser updates over segments of a flat buffer, for float (suffix _f32) and double (suffix _f64): one pass that reads
 * parameter, gradient and state once and writes them once. C for the sake of `restrict` and of constant arguments.
 */
#ifndef PYNN_OPTIM_H
#define PYNN_OPTIM_H

#include <math.h>

#include "platform.h"
#include "runtime.h"
#include "watch.h"
#include "workspace.h"

enum { PN_SGD_PLAIN, PN_SGD_MOMENTUM, PN_SGD_NESTEROV, PN_ADAGRAD, PN_RMSPROP, PN_RMSPROP_MOMENTUM, PN_ADAM };

/* Weight decay: none, added to the gradient, or taken from the parameter directly (AdamW). */
enum { PN_NO_DECAY, PN_COUPLED, PN_DECOUPLED };

#define PN_UPDATE_BLOCK 1024            /* elements that are summed in their own precision if they are watched */
#define PN_UPDATE_STEP 64               /* elements: what threads share out */
#define PN_LEAST_UPDATES 32768.0        /* that a thread should have to itself */

typedef struct {
    void *param;
    const void *grad;
    void *first, *second;  /* state, as far as the rule has any */
    const int64_t *step;   /* Adam: how many updates there have been, this one included */
    const int64_t *bounds; /* start and stop of each segment */
    const double *rates;   /* learning rate and weight decay of each segment */
    double *stats;         /* sums of squares of parameter, gradient and update of each segment, or NULL */
    ptrdiff_t segments;
    int rule, decoupled, single;
    double grad_scale, momentum, eps, decay1, decay2;
    int parts;    /* for pn_update's use */
    double *sums; /* likewise: the statistics of each part */
    double bias1, bias2; /* likewise: what Adam's averages lack at their start */
} pn_update_call;

#define PN_REAL float
#define PN_(name) name##_f32
#define PN_SQRT sqrtf
#include "optim_impl.h"

#define PN_REAL double
#define PN_(name) name##_f64
#define PN_SQRT sqrt
#include "optim_impl.h"

static int pn_update(void *call) {
    pn_update_call *p = (pn_update_call *)call;
    double elements = 0;
    for (ptrdiff_t i = 0; i < p->segments; i++) elements += (double)(p->bounds[2 * i + 1] - p->bounds[2 * i]);
    p->parts = pn_parts(elements, PN_LEAST_UPDATES);
    p->sums = NULL;
    p->bias1 = p->step ? 1 - pow(p->decay1, (double)p->step[0]) : 1;
    p->bias2 = p->step ? 1 - pow(p->decay2, (double)p->step[0]) : 1;
    pn_workspace *workspace = NULL;
    const ptrdiff_t count = 3 * p->segments;
    if (p->stats) {
        workspace = pn_workspace_take((size_t)(count * p->parts) * sizeof(double));
        if (!workspace) return -1;
        p->sums = (double *)pn_workspace_data(workspace);
    }
    pn_parallel(p->single ? pn_update_part_f32 : pn_update_part_f64, p, p->parts);
    if (!p->stats) return 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        p->stats[i] = 0;
        for (int part = 0; part < p->parts; part++) p->stats[i] += p->sums[part * count + i];
    }
    pn_workspace_return(workspace);
    return 0;
}

#endif

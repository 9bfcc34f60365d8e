/* Batch normalisation over the rows of a row-major matrix, for float (suffix _f32) and double (suffix _f64).
 *
 * While a batch is small it is worked on in strips of columns that stay in cache through all passes; a tall one in whole
 * rows, because a strip of it would be read from memory several times, and in pieces that prefetchers do not see. Both are
 * the same code, for a strip as wide as the matrix. C for the sake of `restrict`: with it the compiler need not check at
 * every row whether arrays overlap.
 */
#ifndef PYNN_BATCHNORM_H
#define PYNN_BATCHNORM_H

#include "elementwise.h"
#include "runtime.h"
#include "workspace.h"

#define PN_STRIP_BYTES 256           /* columns of a strip: 64 floats */
#define PN_STRIP_STEP 16             /* columns: what threads share out, at least a cache line */
#define PN_STRIPS_MOST (128 * 1024)  /* bytes of a strip, a share of the L2 cache: beyond, whole rows */
#define PN_BLOCK_MOST (128 * 1024)   /* bytes of the rows that are summed at a time, which are read twice */
#define PN_LEAST_ELEMENTS 32768.0    /* that a thread should have to itself */

typedef struct {
    const void *x, *gamma, *beta;
    void *running_mean, *running_var, *y, *mean, *rstd;
    ptrdiff_t m, n;
    double momentum, eps;
    int training, code;
    double alpha;
    int single;
    ptrdiff_t width, block_rows; /* these and the following are for pn_batchnorm_forward's use */
    int parts, failed;
} pn_batchnorm;

typedef struct {
    const void *dy, *x, *gamma, *beta, *mean, *rstd;
    void *dx, *dgamma, *dbeta; /* dx may be NULL */
    ptrdiff_t m, n;
    int training, code;
    double alpha;
    int accumulate, single;
    ptrdiff_t width, block_rows; /* these and the following are for pn_batchnorm_backward's use */
    int parts, failed;
} pn_batchnorm_back;

#define PN_REAL float
#define PN_(name) name##_f32
#include "batchnorm_impl.h"

#define PN_REAL double
#define PN_(name) name##_f64
#include "batchnorm_impl.h"

/* How many columns are worked on at a time. */
static inline ptrdiff_t pn_strip_width(ptrdiff_t m, ptrdiff_t n, int single) {
    const ptrdiff_t strip = PN_STRIP_BYTES / (single ? 4 : 8);
    return n <= strip || m > PN_STRIPS_MOST / PN_STRIP_BYTES ? n : strip;
}

/* How many rows are summed in the arrays' own precision before the sum is added in float64. Not a matter of threads, so
 * that the bits are not. */
static inline ptrdiff_t pn_block_rows(ptrdiff_t width, int single) {
    const ptrdiff_t rows = PN_BLOCK_MOST / (width * (single ? 4 : 8));
    return rows < 8 ? 8 : rows > 64 ? 64 : rows;
}

/* These return 0, or -1 if memory is exhausted. */
static int pn_batchnorm_forward(void *call) {
    pn_batchnorm *p = (pn_batchnorm *)call;
    if (p->n == 0) return 0;
    p->width = pn_strip_width(p->m, p->n, p->single);
    p->block_rows = pn_block_rows(p->width, p->single);
    p->parts = pn_parts((double)p->m * (double)p->n, PN_LEAST_ELEMENTS);
    p->failed = 0;
    pn_parallel(p->single ? pn_forward_part_f32 : pn_forward_part_f64, p, p->parts);
    return p->failed;
}

static int pn_batchnorm_backward(void *call) {
    pn_batchnorm_back *p = (pn_batchnorm_back *)call;
    if (p->n == 0) return 0;
    p->width = pn_strip_width(p->m, p->n, p->single);
    p->block_rows = pn_block_rows(p->width, p->single);
    p->parts = pn_parts((double)p->m * (double)p->n, PN_LEAST_ELEMENTS);
    p->failed = 0;
    pn_parallel(p->single ? pn_backward_part_f32 : pn_backward_part_f64, p, p->parts);
    return p->failed;
}

#endif

/* Batch normalisation over the rows of a row-major matrix, for float (suffix _f32) and double (suffix _f64).
 *
 * Two passes over the rows: sums, then results. A row's columns are taken a few vectors at a time. In cache, many rows
 * of these follow each other, with the sums in registers; from memory only a few, so that memory is read nearly in
 * order, and the next ones are prefetched (1.5 times as fast as without). Strips of columns that stay in cache for the
 * second pass were measured as no faster in cache, and slower from memory.
 */
#ifndef PYNN_BATCHNORM_H
#define PYNN_BATCHNORM_H

#include <math.h>

#include "activations/activate.h"
#include "common/runtime.h"
#include "common/nontemporal.h"
#include "common/vector.h"
#include "common/workspace.h"

#define PN_PART_STEP 16         /* columns: what threads share out, at least a cache line */
#define PN_BLOCK_ROWS 64        /* rows that are summed in the arrays' own precision before float64 takes over */
#define PN_GROUP_BYTES 16384    /* of the rows at a time from memory, which are at least four */
#define PN_CACHED_MAX (1 << 20) /* bytes of a matrix that is taken to be in cache */
#define PN_BATCHNORM_GRAIN 16384.0 /* minimum elements per thread: 2 us */
#define PN_ACTIVATION_ELEMENTS 4  /* what an activation other than ReLU counts as, per element */

/* Columns whose values overflow sums in their own precision, or whose rstd cannot be squared, are rare and are
 * computed in float64. It covers all of float32, and float64 values below 1e150. */
#define PN_MIN_RSTD_f32 1e-15
#define PN_MIN_RSTD_f64 1e-140

/* Where a matrix is: in cache; in memory; or in memory with results written by non-temporal stores. */
enum { PN_IN_CACHE, PN_IN_MEMORY, PN_NONTEMPORAL };

/* How a pass goes over the matrix; made by pn_batchnorm_run. */
typedef struct {
    ptrdiff_t group;  /* rows at a time */
    ptrdiff_t padded; /* columns in a part's scratch */
    void *scratch;
    int place, parts;
} pn_batchnorm_plan;

typedef struct {
    const void *x, *gamma, *beta;
    void *running_mean, *running_var, *y, *mean, *rstd;
    ptrdiff_t m, n;
    double momentum, eps;
    int training, code;
    double alpha;
    int single;
    pn_batchnorm_plan plan;
} pn_batchnorm;

typedef struct {
    const void *dy, *x, *gamma, *beta, *mean, *rstd;
    const void *means; /* (2, n), of dz z and dz over the rows of all processes: write dx alone. Or NULL */
    void *dx, *dgamma, *dbeta; /* dx may be NULL */
    ptrdiff_t m, n;
    int training, code;
    double alpha;
    int single;
    pn_batchnorm_plan plan;
} pn_batchnorm_back;

/* Bytes of a part's scratch: two arrays of double and seven of the matrix's type. */
static inline size_t pn_scratch_bytes(ptrdiff_t padded, size_t itemsize) {
    return (size_t)padded * (2 * sizeof(double) + 7 * itemsize);
}

#ifdef PN_HAS_FMA
#define PN_SINGLE_FMA(a, b, c) __builtin_fmaf(a, b, c)
#else
#define PN_SINGLE_FMA(a, b, c) ((a) * (b) + (c))
#endif
#define PN_REAL float
#define PN_MIN_RSTD PN_MIN_RSTD_f32
#define PN_(name) name##_f32
#include "batchnorm_template.h"

#ifdef PN_HAS_FMA
#define PN_SINGLE_FMA(a, b, c) __builtin_fma(a, b, c)
#else
#define PN_SINGLE_FMA(a, b, c) ((a) * (b) + (c))
#endif
#define PN_REAL double
#define PN_MIN_RSTD PN_MIN_RSTD_f64
#define PN_(name) name##_f64
#include "batchnorm_template.h"

static int pn_place(const void *out, ptrdiff_t m, ptrdiff_t n, int single) {
    const size_t row = (size_t)n * (single ? sizeof(float) : sizeof(double)), bytes = row * (size_t)m;
    if (bytes <= PN_CACHED_MAX) return PN_IN_CACHE;
    /* Non-temporal stores need aligned whole vectors. */
    const int aligned = (uintptr_t)out % PN_VECTOR_BYTES == 0 && row % PN_VECTOR_BYTES == 0;
    return out && aligned && bytes >= PN_STREAM_MIN ? PN_NONTEMPORAL : PN_IN_MEMORY;
}

static ptrdiff_t pn_group_rows(int place, ptrdiff_t n, int single) {
    const ptrdiff_t rows = PN_GROUP_BYTES / (n * (single ? 4 : 8));
    return place == PN_IN_CACHE || rows > PN_BLOCK_ROWS ? PN_BLOCK_ROWS : rows < 4 ? 4 : rows;
}

static int pn_batchnorm_parts(ptrdiff_t m, ptrdiff_t n, int code) {
    const int plain = code == PN_IDENTITY || code == PN_RELU;
    return pn_parts((double)m * (double)n * (plain ? 1 : PN_ACTIVATION_ELEMENTS), PN_BATCHNORM_GRAIN);
}

/* Columns of scratch per part: whole cache lines, and a vector more. */
static ptrdiff_t pn_padded_columns(ptrdiff_t n, int parts) {
    const ptrdiff_t steps = pn_ceil_div(n, PN_PART_STEP);
    return pn_ceil_div(steps, parts) * PN_PART_STEP + PN_PART_STEP;
}

/* Run `part` for all parts of a pass that writes an (m, n) matrix to `out`. Returns 0, or -1 if memory is exhausted. */
static int pn_batchnorm_run(pn_task part, void *call, pn_batchnorm_plan *plan, const void *out, ptrdiff_t m,
                            ptrdiff_t n, int code, int single) {
    if (n == 0) return 0;
    plan->place = pn_place(out, m, n, single);
    plan->group = pn_group_rows(plan->place, n, single);
    plan->parts = pn_batchnorm_parts(m, n, code);
    plan->padded = pn_padded_columns(n, plan->parts);
    /* One buffer for all parts: if each took its own, their number would depend on how fast the threads are. */
    pn_workspace *workspace = pn_workspace_take(
        (size_t)plan->parts * pn_scratch_bytes(plan->padded, single ? sizeof(float) : sizeof(double)));
    if (!workspace) return -1;
    plan->scratch = pn_workspace_data(workspace);
    pn_parallel(part, call, plan->parts);
    pn_workspace_return(workspace);
    return 0;
}

static int pn_batchnorm_forward(void *call) {
    pn_batchnorm *p = (pn_batchnorm *)call;
    const pn_task part = p->single ? pn_forward_part_f32 : pn_forward_part_f64;
    return pn_batchnorm_run(part, p, &p->plan, p->y, p->m, p->n, p->code, p->single);
}

static int pn_batchnorm_backward(void *call) {
    pn_batchnorm_back *p = (pn_batchnorm_back *)call;
    pn_task part = p->single ? pn_backward_part_f32 : pn_backward_part_f64;
    if (p->means) part = p->single ? pn_input_part_f32 : pn_input_part_f64;
    return pn_batchnorm_run(part, p, &p->plan, p->dx, p->m, p->n, p->code, p->single);
}

#endif

/* Depthwise convolution, one filter per channel (groups = channels = filters), for float (_f32) and double (_f64).
 *
 * There is no sum over channels, so no matrix product: the planes of as many channels as a vector has lanes are
 * transposed (common/plane_transpose.h), with their borders, and lanes are channels. Some rows at a time, which stay in
 * cache. Output and gradient of the input are the same sums with other taps.
 */
#ifndef PYNN_DEPTHWISE_H
#define PYNN_DEPTHWISE_H

#include "activations/activate.h"
#include "common/plane_transpose.h"
#include "common/runtime.h"
#include "common/workspace.h"
#include "taps.h"

#define PN_DEPTHWISE_BAND (96 * 1024)       /* bytes of transposed rows with their borders */
#define PN_DEPTHWISE_MAX (8 * 1024 * 1024) /* bytes that a thread may take; longer rows are left to conv.h */

/* Source planes and result planes: position (y, x) of grid (a, b) is result element (a + y grids_y, b + x grids_x)
 * and sums the source at (y step_y + tap.y, x step_x + tap.x) over the taps of its grid. The weights' gradient sums
 * the products of dy and source over positions. */
typedef struct {
    const pn_conv *call;
    const void *source;
    ptrdiff_t height, width, out_height, out_width;
    ptrdiff_t grids_y, grids_x, step_y, step_x;
    ptrdiff_t top, left, box_width;      /* of the padded source, for position (0, 0) */
    ptrdiff_t band, band_rows, box_rows; /* positions down a band, its rows of results, its rows of source */
    ptrdiff_t *first;                    /* first tap of each grid, and the end */
    ptrdiff_t *offset, *element;         /* per tap: offset in the box, element of the kernel */
    ptrdiff_t *place;                    /* box index of each source element */
    void *scratch;
    size_t part_bytes;
    int parts;
} pn_depthwise;

#define PN_REAL float
#define PN_(name) name##_f32
#include "depthwise_template.h"

#define PN_REAL double
#define PN_(name) name##_f64
#include "depthwise_template.h"

/* Cut the results into bands of about the same size whose source fits PN_DEPTHWISE_BAND. */
static void pn_depthwise_cut(pn_depthwise *p, const pn_taps *taps) {
    const ptrdiff_t down = pn_ceil_div(p->out_height, p->grids_y), across = pn_ceil_div(p->out_width, p->grids_x);
    p->top = taps->top, p->left = pn_min(taps->left, 0);
    p->box_width = pn_max((across - 1) * p->step_x + taps->left + taps->width, p->width) - p->left;
    const ptrdiff_t fit = (PN_DEPTHWISE_BAND / PN_VECTOR_BYTES / p->box_width - taps->height) / p->step_y + 1;
    p->band = pn_ceil_div(down, pn_ceil_div(down, pn_max(1, fit)));
    p->band_rows = p->band * p->grids_y;
    p->box_rows = (p->band - 1) * p->step_y + taps->height;
}

/* Collect the taps of all grids and cut the results; `taps` has room for a kernel, p->first for each grid and the
 * end. */
static void pn_depthwise_plan(pn_depthwise *p, pn_taps *taps, int backward) {
    const ptrdiff_t grids = p->grids_y * p->grids_x;
    taps->count = 0;
    for (ptrdiff_t grid = 0; grid < grids; grid++) {
        pn_taps some = {0};
        some.y = taps->y + taps->count, some.x = taps->x + taps->count, some.element = taps->element + taps->count;
        if (backward)
            pn_backward_taps(p->call, grid / p->grids_x, grid % p->grids_x, &some);
        else
            pn_forward_taps(p->call, &some);
        p->first[grid] = taps->count;
        taps->count += some.count;
    }
    p->first[grids] = taps->count;
    pn_bound_taps(taps);
    pn_depthwise_cut(p, taps);
    p->element = taps->element;
    for (ptrdiff_t t = 0; t < taps->count; t++)
        p->offset[t] = (taps->y[t] - p->top) * p->box_width + (taps->x[t] - p->left);
}

/* Run `part` with its buffers, on as many threads as the work justifies. */
static int pn_depthwise_parallel(pn_depthwise *p, pn_task part, ptrdiff_t planes, ptrdiff_t taps) {
    const ptrdiff_t lanes = PN_VECTOR_BYTES / (p->call->single ? sizeof(float) : sizeof(double));
    const double work =
        (double)(p->call->n * p->call->channels * p->call->out_height) * (double)(p->call->out_width * taps);
    p->parts = (int)pn_min(pn_parts(work, PN_CONV_GRAIN), pn_ceil_div(planes, lanes));
    p->part_bytes = (size_t)(p->box_rows * p->box_width + p->band_rows * p->out_width + taps) * PN_VECTOR_BYTES;
    const size_t bytes = (size_t)p->parts * p->part_bytes, places = (size_t)(p->box_rows * p->width);
    pn_workspace *workspace = pn_workspace_take(bytes + places * sizeof *p->place);
    if (!workspace) return -1;
    p->scratch = pn_workspace_data(workspace);
    p->place = (ptrdiff_t *)((char *)p->scratch + bytes);
    for (ptrdiff_t y = 0; y < p->box_rows; y++)
        for (ptrdiff_t x = 0; x < p->width; x++) p->place[y * p->width + x] = y * p->box_width + x - p->left;
    pn_parallel(part, p, p->parts);
    pn_workspace_return(workspace);
    return 0;
}

static int pn_depthwise_serves(const pn_conv *call) {
    const double rows = (double)((call->kernel_height - 1) * call->dilation_y + 1 + call->stride_y);
    const double bytes = rows * (double)(call->width + 2 * call->left + call->out_width) * PN_VECTOR_BYTES;
    return call->groups == call->channels && call->groups == call->filters && call->n > 0 &&
           call->height * call->width > 0 && call->out_height * call->out_width > 0 && bytes <= PN_DEPTHWISE_MAX;
}

/* The output, the input's gradient or the weights' gradient; `call` as in pn_conv. Returns 0, or -1 if memory is
 * exhausted. */
static int pn_depthwise_run(const pn_conv *call, int backward_data, int backward_weights) {
    pn_depthwise p = {.call = call, .grids_y = 1, .grids_x = 1, .step_y = call->stride_y, .step_x = call->stride_x};
    p.source = backward_weights ? call->w : call->x;
    p.height = call->height, p.width = call->width, p.out_height = call->out_height, p.out_width = call->out_width;
    if (backward_data) {
        p.height = call->out_height, p.width = call->out_width, p.out_height = call->height, p.out_width = call->width;
        p.grids_y = pn_min(call->stride_y, call->height), p.grids_x = pn_min(call->stride_x, call->width);
        p.step_y = p.step_x = 1;
    }
    const ptrdiff_t count = call->kernel_height * call->kernel_width, grids = p.grids_y * p.grids_x;
    pn_workspace *workspace = pn_workspace_take((size_t)(4 * count + grids + 1) * sizeof(ptrdiff_t));
    if (!workspace) return -1;
    p.first = (ptrdiff_t *)pn_workspace_data(workspace);
    p.offset = p.first + grids + 1;
    pn_taps taps = {.y = p.offset + count, .x = p.offset + 2 * count, .element = p.offset + 3 * count};
    pn_depthwise_plan(&p, &taps, backward_data);
    int failed;
    if (backward_weights)
        failed = pn_depthwise_parallel(&p, call->single ? pn_depthwise_weights_part_f32 : pn_depthwise_weights_part_f64,
                                       call->channels, count);
    else
        failed = pn_depthwise_parallel(&p, call->single ? pn_depthwise_results_f32 : pn_depthwise_results_f64,
                                       call->n * call->channels, count);
    pn_workspace_return(workspace);
    return failed;
}

#endif

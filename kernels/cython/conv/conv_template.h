/* Template, included by conv.h once per floating type. */

#define PN_LANES ((ptrdiff_t)(PN_VECTOR_BYTES / sizeof(PN_REAL)))
#define PN_NR (2 * PN_LANES)

#include "conv_blocks_template.h"
#include "conv_tiles_template.h"
#include "conv_product_template.h"
#include "conv_weights_template.h"
#include "conv_winograd_template.h"
#include "conv_winograd_weights_template.h"

/* Compute the output of a group, or the gradient of its input; pack the group's weights into `scratch`. */
static int PN_(pn_conv_run)(PN_(pn_conv_product) *p, const PN_REAL *w, ptrdiff_t w_row, ptrdiff_t w_channel,
                            PN_REAL *scratch) {
    if (PN_(pn_winograd_serves)(p)) return PN_(pn_winograd_run)(p, w, w_row, w_channel);
    PN_(pn_conv_plan)(p, 64 * PN_NR);
    PN_(pn_conv_pack_weights)(p, w, w_row, w_channel, scratch);
    p->weights = scratch;
    const double work =
        (double)(p->images * p->grid_height * p->grid_width) * (double)(p->rows * p->depth * p->taps.count);
    p->parts = (int)pn_min(pn_parts(work, PN_CONV_GRAIN), p->blocks);
    p->failed = 0;
    pn_parallel(PN_(pn_conv_part), p, p->parts);
    return p->failed;
}

/* Take a workspace for the taps of a kernel and `elements` numbers; NULL if memory is exhausted. */
static pn_workspace *PN_(pn_conv_scratch)(ptrdiff_t taps, ptrdiff_t elements, pn_taps *room, PN_REAL **numbers) {
    pn_workspace *workspace =
        pn_workspace_take((size_t)elements * sizeof(PN_REAL) + (size_t)(3 * taps) * sizeof(ptrdiff_t));
    if (!workspace) return NULL;
    *numbers = (PN_REAL *)pn_workspace_data(workspace);
    room->y = (ptrdiff_t *)(*numbers + (elements + 1) / 2 * 2); /* rounded up to a multiple of 8 bytes */
    room->x = room->y + taps;
    room->element = room->x + taps;
    return workspace;
}

/* Describe the patches of a group, from which the output and the gradient of the weights are computed. */
static PN_(pn_conv_product) PN_(pn_conv_patches)(const pn_conv *call, const pn_taps *taps) {
    const ptrdiff_t depth = call->channels / call->groups, plane = call->height * call->width;
    const ptrdiff_t rows = call->filters / call->groups, out_plane = call->out_height * call->out_width;
    PN_(pn_conv_product) p = {0};
    p.images = call->n, p.depth = depth, p.height = call->height, p.width = call->width;
    p.source_image = call->channels * plane, p.source_channel = plane;
    p.step_y = call->stride_y, p.step_x = call->stride_x, p.taps = *taps, p.rows = rows;
    p.grid_height = call->out_height, p.grid_width = call->out_width, p.out_image = call->filters * out_plane;
    p.out_channel = out_plane, p.out_row = call->out_width, p.out_column = 1;
    p.code = call->code, p.alpha = (PN_REAL)call->alpha;
    return p;
}

static int PN_(pn_conv_forward)(const pn_conv *call) {
    const ptrdiff_t count = call->kernel_height * call->kernel_width, plane = call->height * call->width;
    const ptrdiff_t depth = call->channels / call->groups, rows = call->filters / call->groups;
    const ptrdiff_t out_plane = call->out_height * call->out_width;
    if (call->n == 0 || call->filters == 0 || out_plane == 0) return 0;
    pn_taps taps;
    PN_REAL *packed;
    pn_workspace *workspace = PN_(pn_conv_scratch)(count, PN_(pn_conv_packed)(rows, depth * count), &taps, &packed);
    if (!workspace) return -1;
    pn_forward_taps(call, &taps);
    int failed = 0;
    for (ptrdiff_t g = 0; g < call->groups && !failed; g++) {
        PN_(pn_conv_product) p = PN_(pn_conv_patches)(call, &taps);
        p.source = (const PN_REAL *)call->x + g * depth * plane;
        p.out = (PN_REAL *)call->out + g * rows * out_plane;
        p.pre = call->pre ? (PN_REAL *)call->pre + g * rows * out_plane : NULL;
        p.bias = call->bias ? (const PN_REAL *)call->bias + g * rows : NULL;
        failed =
            PN_(pn_conv_run)(&p, (const PN_REAL *)call->w + g * rows * depth * count, depth * count, count, packed);
    }
    pn_workspace_return(workspace);
    return failed;
}

static void PN_(pn_conv_clear)(const PN_(pn_conv_product) *p) {
    for (ptrdiff_t i = 0; i < p->images; i++)
        for (ptrdiff_t c = 0; c < p->rows; c++)
            for (ptrdiff_t y = 0; y < p->grid_height; y++)
                for (ptrdiff_t x = 0; x < p->grid_width; x++)
                    p->out[i * p->out_image + c * p->out_channel + y * p->out_row + x * p->out_column] = 0;
}

/* call->x is dy; the sizes in `call` are those of the forward pass. */
static int PN_(pn_conv_backward_data)(const pn_conv *call) {
    const ptrdiff_t count = call->kernel_height * call->kernel_width, plane = call->height * call->width;
    const ptrdiff_t rows = call->channels / call->groups, depth = call->filters / call->groups;
    const ptrdiff_t out_plane = call->out_height * call->out_width;
    if (call->n == 0 || call->channels == 0 || plane == 0) return 0;
    pn_taps taps;
    PN_REAL *packed;
    pn_workspace *workspace = PN_(pn_conv_scratch)(count, PN_(pn_conv_packed)(rows, depth * count), &taps, &packed);
    if (!workspace) return -1;
    int failed = 0;
    for (ptrdiff_t g = 0; g < call->groups; g++)
        for (ptrdiff_t phase_y = 0; phase_y < pn_min(call->stride_y, call->height); phase_y++)
            for (ptrdiff_t phase_x = 0; phase_x < pn_min(call->stride_x, call->width) && !failed; phase_x++) {
                pn_backward_taps(call, phase_y, phase_x, &taps);
                PN_(pn_conv_product) p = {0};
                p.source = (const PN_REAL *)call->x + g * depth * out_plane;
                p.images = call->n, p.depth = depth, p.height = call->out_height, p.width = call->out_width;
                p.source_image = call->filters * out_plane, p.source_channel = out_plane;
                p.step_y = p.step_x = 1, p.taps = taps, p.rows = rows, p.code = PN_IDENTITY;
                p.out = (PN_REAL *)call->out + g * rows * plane + phase_y * call->width + phase_x;
                p.grid_height = pn_ceil_div(call->height - phase_y, call->stride_y);
                p.grid_width = pn_ceil_div(call->width - phase_x, call->stride_x);
                p.out_image = call->channels * plane, p.out_channel = plane;
                p.out_row = call->stride_y * call->width, p.out_column = call->stride_x;
                if (taps.count == 0 || depth == 0)
                    PN_(pn_conv_clear)(&p);
                else
                    failed = PN_(pn_conv_run)(&p, (const PN_REAL *)call->w + g * depth * rows * count, count,
                                              rows * count, packed);
            }
    pn_workspace_return(workspace);
    return failed;
}

/* call->x and call->w are dy and x; call->out is dw. */
static int PN_(pn_conv_backward_weights)(const pn_conv *call) {
    const ptrdiff_t count = call->kernel_height * call->kernel_width, plane = call->height * call->width;
    const ptrdiff_t depth = call->channels / call->groups, rows = call->filters / call->groups;
    const ptrdiff_t out_plane = call->out_height * call->out_width;
    if (call->filters == 0 || depth * count == 0) return 0;
    if (call->n == 0 || out_plane == 0) {
        memset(call->out, 0, (size_t)(call->filters * depth * count) * sizeof(PN_REAL));
        return 0;
    }
    pn_taps taps;
    PN_REAL *none;
    pn_workspace *workspace = PN_(pn_conv_scratch)(count, 0, &taps, &none);
    if (!workspace) return -1;
    pn_forward_taps(call, &taps);
    int failed = 0;
    for (ptrdiff_t g = 0; g < call->groups && !failed; g++) {
        PN_(pn_conv_product) p = PN_(pn_conv_patches)(call, &taps);
        p.source = (const PN_REAL *)call->w + g * depth * plane;
        p.dy = (const PN_REAL *)call->x + g * rows * out_plane;
        p.out = (PN_REAL *)call->out + g * rows * depth * count;
        if (PN_(pn_winograd_weights_serves)(&p)) {
            failed = PN_(pn_winograd_weights_run)(&p);
            continue;
        }
        PN_(pn_conv_plan)(
            &p, pn_max(2 * PN_NR, PN_CONV_PANELS / (pn_ceil_div(rows, PN_NR) * PN_NR * (ptrdiff_t)sizeof(PN_REAL))));
        const double work = (double)(p.images * out_plane) * (double)(rows * depth * count);
        p.parts = pn_parts(work, PN_CONV_GRAIN);
        pn_parallel(PN_(pn_conv_weights_part), &p, p.parts);
        failed = p.failed;
    }
    pn_workspace_return(workspace);
    return failed;
}

#undef PN_LANES
#undef PN_NR
#undef PN_REAL
#undef PN_

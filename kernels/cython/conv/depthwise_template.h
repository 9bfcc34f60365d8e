/* Template, included by depthwise.h once per floating type. */

#define PN_LANES ((ptrdiff_t)(PN_VECTOR_BYTES / sizeof(PN_REAL)))

/* What a part works with: transposed rows of the source with their borders, transposed results (or dy), and a group's
 * weights (or the sums of their gradient), tap by tap. */
typedef struct {
    PN_(pn_vector) *box, *rows, *taps;
} PN_(pn_depthwise_part);

static PN_(pn_depthwise_part) PN_(pn_depthwise_part_of)(const pn_depthwise *p, int index) {
    PN_(pn_depthwise_part) b;
    b.box = (PN_(pn_vector) *)((char *)p->scratch + (size_t)index * p->part_bytes);
    b.rows = b.box + p->box_rows * p->box_width;
    b.taps = b.rows + p->band_rows * p->out_width;
    memset(b.box, 0, (size_t)(p->box_rows * p->box_width) * sizeof *b.box);
    return b;
}

/* Transpose the source rows that positions `begin` to `begin + count` of some planes read. The side borders were
 * zeroed once. */
static void PN_(pn_depthwise_fill)(const pn_depthwise *p, const PN_REAL *source, ptrdiff_t planes, ptrdiff_t begin,
                                   ptrdiff_t count, PN_(pn_vector) *box) {
    const ptrdiff_t low = begin * p->step_y + p->top, rows = p->box_rows - (p->band - count) * p->step_y;
    const ptrdiff_t start = pn_min(pn_max(-low, 0), rows);
    const ptrdiff_t stop = pn_max(start, pn_min(rows, p->height - low));
    const size_t row_bytes = (size_t)p->box_width * sizeof *box;
    memset(box, 0, (size_t)start * row_bytes);
    memset(box + stop * p->box_width, 0, (size_t)(rows - stop) * row_bytes);
    if (start < stop)
        PN_(pn_planes_to_lanes_at)(source + (low + start) * p->width, p->height * p->width, planes,
                                   (stop - start) * p->width, p->place, box + start * p->box_width);
}

/* `block` positions of a row; `block` is constant once inlined. Blocks of eight load each weight an eighth as often. */
static inline __attribute__((always_inline)) void PN_(pn_depthwise_block)(const int block, const PN_(pn_vector) *x,
                                                                          ptrdiff_t step, const ptrdiff_t *offset,
                                                                          const PN_(pn_vector) *w, ptrdiff_t taps,
                                                                          PN_(pn_vector) bias, PN_(pn_vector) *y,
                                                                          ptrdiff_t y_step) {
    PN_(pn_vector) sum[8];
#pragma GCC unroll 8
    for (int i = 0; i < block; i++) sum[i] = bias;
    for (ptrdiff_t t = 0; t < taps; t++) {
        const PN_(pn_vector) weight = w[t], *from = x + offset[t];
#pragma GCC unroll 8
        for (int i = 0; i < block; i++) sum[i] += weight * from[i * step];
    }
#pragma GCC unroll 8
    for (int i = 0; i < block; i++) y[i * y_step] = sum[i];
}

/* A row of n positions; the last block overlaps the previous one. */
static void PN_(pn_depthwise_row)(const PN_(pn_vector) *x, ptrdiff_t step, const ptrdiff_t *offset,
                                  const PN_(pn_vector) *w, ptrdiff_t taps, PN_(pn_vector) bias, ptrdiff_t n,
                                  PN_(pn_vector) *y, ptrdiff_t y_step) {
#define PN_BLOCKS(block)                                                                                   \
    for (ptrdiff_t j = 0; j < n; j += block) {                                                             \
        if (j > n - block) j = n - block;                                                                  \
        PN_(pn_depthwise_block)(block, x + j * step, step, offset, w, taps, bias, y + j * y_step, y_step); \
    }
    if (n >= 8) {
        PN_BLOCKS(8)
    } else if (n >= 4) {
        PN_BLOCKS(4)
    } else {
        PN_BLOCKS(1)
    }
#undef PN_BLOCKS
}

/* Results of a group of planes, starting at plane `first`. */
static void PN_(pn_depthwise_group)(const pn_depthwise *p, PN_(pn_depthwise_part) b, ptrdiff_t first,
                                    ptrdiff_t planes) {
    const pn_conv *call = p->call;
    const ptrdiff_t taps = p->first[p->grids_y * p->grids_x], out_plane = p->out_height * p->out_width;
    const ptrdiff_t elements = call->kernel_height * call->kernel_width;
    const PN_REAL *w = (const PN_REAL *)call->w, *biases = (const PN_REAL *)call->bias;
    PN_(pn_vector) bias = {0};
    for (ptrdiff_t k = 0; k < PN_LANES; k++) {
        const ptrdiff_t channel = (first + (k < planes ? k : planes - 1)) % call->channels;
        if (biases) ((PN_REAL *)&bias)[k] = biases[channel];
        for (ptrdiff_t t = 0; t < taps; t++) ((PN_REAL *)(b.taps + t))[k] = w[channel * elements + p->element[t]];
    }
    const PN_REAL *source = (const PN_REAL *)p->source + first * p->height * p->width;
    for (ptrdiff_t row = 0; row < p->out_height; row += p->band_rows) {
        const ptrdiff_t rows = pn_min(p->band_rows, p->out_height - row);
        PN_(pn_depthwise_fill)(p, source, planes, row / p->grids_y, pn_ceil_div(rows, p->grids_y), b.box);
        for (ptrdiff_t grid = 0; grid < p->grids_y * p->grids_x; grid++) {
            const ptrdiff_t y = grid / p->grids_x, x = grid % p->grids_x, tap = p->first[grid];
            for (ptrdiff_t i = y; i < rows; i += p->grids_y)
                PN_(pn_depthwise_row)(b.box + i / p->grids_y * p->step_y * p->box_width, p->step_x, p->offset + tap,
                                      b.taps + tap, p->first[grid + 1] - tap, bias,
                                      pn_ceil_div(p->out_width - x, p->grids_x), b.rows + i * p->out_width + x,
                                      p->grids_x);
        }
        const ptrdiff_t at = first * out_plane + row * p->out_width, n = rows * p->out_width;
        PN_REAL *out = (PN_REAL *)call->out + at;
        PN_(pn_lanes_to_planes)(b.rows, out_plane, planes, n, out);
        for (ptrdiff_t k = 0; k < planes; k++, out += out_plane) {
            if (call->pre) memcpy((PN_REAL *)call->pre + at + k * out_plane, out, (size_t)n * sizeof *out);
            if (call->code != PN_IDENTITY) PN_(pn_activate)(out, out, n, call->code, (PN_REAL)call->alpha);
        }
    }
}

/* Add the products of dy and source over `rows` rows: three taps at a time, which share the loads of dy, and four
 * positions, whose independent sums hide the latency of additions. */
static void PN_(pn_depthwise_sums)(const pn_depthwise *p, const PN_(pn_vector) *box, const PN_(pn_vector) *dy,
                                   ptrdiff_t rows, ptrdiff_t taps, PN_(pn_vector) *sums) {
    for (ptrdiff_t t = 0; t < taps; t += 3) {
        const int some = (int)pn_min(3, taps - t);
        const PN_(pn_vector) *from[3];
        PN_(pn_vector) sum[3][4] = {{{0}}};
        for (int k = 0; k < 3; k++) from[k] = box + p->offset[t + (k < some ? k : some - 1)];
        for (ptrdiff_t i = 0; i < rows; i++) {
            const PN_(pn_vector) *d = dy + i * p->out_width;
            const ptrdiff_t line = i * p->step_y * p->box_width, step = p->step_x;
            ptrdiff_t j = 0;
            for (; j + 4 <= p->out_width; j += 4)
#pragma GCC unroll 4
                for (int k = 0; k < 4; k++)
#pragma GCC unroll 3
                    for (int s = 0; s < 3; s++) sum[s][k] += d[j + k] * from[s][line + (j + k) * step];
            for (; j < p->out_width; j++)
#pragma GCC unroll 3
                for (int s = 0; s < 3; s++) sum[s][0] += d[j] * from[s][line + j * step];
        }
        for (int k = 0; k < some; k++) sums[t + k] += (sum[k][0] + sum[k][1]) + (sum[k][2] + sum[k][3]);
    }
}

/* The gradient of the weights of some channels, summed over all images. */
static void PN_(pn_depthwise_weights)(const pn_depthwise *p, PN_(pn_depthwise_part) b, ptrdiff_t channel,
                                      ptrdiff_t planes) {
    const pn_conv *call = p->call;
    const ptrdiff_t taps = call->kernel_height * call->kernel_width, out_plane = p->out_height * p->out_width;
    memset(b.taps, 0, (size_t)taps * sizeof *b.taps);
    for (ptrdiff_t plane = channel; plane < call->n * call->channels; plane += call->channels)
        for (ptrdiff_t row = 0; row < p->out_height; row += p->band_rows) {
            const ptrdiff_t rows = pn_min(p->band_rows, p->out_height - row);
            PN_(pn_depthwise_fill)(p, (const PN_REAL *)p->source + plane * p->height * p->width, planes, row, rows,
                                   b.box);
            PN_(pn_planes_to_lanes)((const PN_REAL *)call->x + plane * out_plane + row * p->out_width, out_plane,
                                    planes, rows * p->out_width, b.rows);
            PN_(pn_depthwise_sums)(p, b.box, b.rows, rows, taps, b.taps);
        }
    PN_REAL *dw = (PN_REAL *)call->out + channel * taps;
    for (ptrdiff_t k = 0; k < planes; k++)
        for (ptrdiff_t t = 0; t < taps; t++, dw++) *dw = ((const PN_REAL *)(b.taps + t))[k];
}

static void PN_(pn_depthwise_results)(void *argument, int index) {
    const pn_depthwise *p = (const pn_depthwise *)argument;
    const ptrdiff_t planes = p->call->n * p->call->channels;
    const PN_(pn_depthwise_part) b = PN_(pn_depthwise_part_of)(p, index);
    const pn_float_mode mode = pn_flush_denormals();
    const ptrdiff_t stop = pn_part_start(planes, PN_LANES, index + 1, p->parts);
    for (ptrdiff_t i = pn_part_start(planes, PN_LANES, index, p->parts); i < stop; i += PN_LANES)
        PN_(pn_depthwise_group)(p, b, i, pn_min(PN_LANES, stop - i));
    pn_restore_denormals(mode);
}

/* Each part owns some channels, so no sum is split between threads. */
static void PN_(pn_depthwise_weights_part)(void *argument, int index) {
    const pn_depthwise *p = (const pn_depthwise *)argument;
    const PN_(pn_depthwise_part) b = PN_(pn_depthwise_part_of)(p, index);
    const pn_float_mode mode = pn_flush_denormals();
    const ptrdiff_t stop = pn_part_start(p->call->channels, PN_LANES, index + 1, p->parts);
    for (ptrdiff_t i = pn_part_start(p->call->channels, PN_LANES, index, p->parts); i < stop; i += PN_LANES)
        PN_(pn_depthwise_weights)(p, b, i, pn_min(PN_LANES, stop - i));
    pn_restore_denormals(mode);
}

#undef PN_LANES
#undef PN_REAL
#undef PN_

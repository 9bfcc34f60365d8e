/* Template, included by conv_template.h: a convolution's operands, cut into blocks whose padded input is copied. */

/* A product of weights (rows x depth taps) and source patches, for a grid of output positions: position (y, x) reads
 * the source at (y step_y + tap.y, x step_x + tap.x), which is 0 outside. With `dy`, a product of dy and patches. */
typedef struct {
    const PN_REAL *source;
    ptrdiff_t images, depth, height, width, source_image, source_channel;
    ptrdiff_t step_y, step_x;
    pn_taps taps;
    const PN_REAL *weights; /* packed: by pn_conv_pack_weights */
    ptrdiff_t rows;
    PN_REAL *out, *pre;
    const PN_REAL *bias, *dy;
    ptrdiff_t grid_height, grid_width, out_image, out_channel, out_row, out_column;
    int code;
    PN_REAL alpha;
    /* The plan: images, or output rows of one image, per block; source rows and columns of a block. Columns c of equal
     * phase c % step_x are stored side by side, so that what neighbouring positions read is contiguous. */
    ptrdiff_t block_images, block_rows, row_blocks, blocks, box_height, box_width, phase_width, kc;
    int parts, failed;
} PN_(pn_conv_product);

/* Buffers of a thread. */
typedef struct {
    pn_workspace *workspace;
    PN_REAL *source;             /* padded input: (images, depth, box_height, box_width), and a vector more */
    PN_REAL *panels;             /* packed patches, or dy transposed */
    PN_REAL *sums;               /* of the weights' gradient */
    ptrdiff_t *column, *place;   /* per output position of a block: its offset in `source`, and in the output */
    ptrdiff_t *row;              /* per channel and tap: its offset in `source` */
    ptrdiff_t columns;
} PN_(pn_conv_block);

static void PN_(pn_conv_plan)(PN_(pn_conv_product) *p, ptrdiff_t max_columns) {
    p->phase_width = p->grid_width + (p->taps.width - 1) / p->step_x;
    p->box_width = p->phase_width * p->step_x;
    const ptrdiff_t line = pn_max(1, p->depth * p->box_width * (ptrdiff_t)sizeof(PN_REAL));
    ptrdiff_t rows = (PN_CONV_SOURCE / line - p->taps.height) / p->step_y + 1;
    rows = pn_max(1, pn_min(rows, max_columns / p->grid_width));
    p->row_blocks = pn_ceil_div(p->grid_height, pn_min(rows, p->grid_height));
    p->block_rows = pn_ceil_div(p->grid_height, p->row_blocks);
    p->row_blocks = pn_ceil_div(p->grid_height, p->block_rows);
    p->box_height = (p->block_rows - 1) * p->step_y + p->taps.height;
    p->block_images = 1;
    if (p->row_blocks == 1) {
        const ptrdiff_t room = PN_CONV_SOURCE / (line * p->box_height);
        const ptrdiff_t wanted = max_columns / (p->grid_height * p->grid_width);
        p->block_images = pn_max(1, pn_min(p->images, pn_min(room, wanted)));
    }
    p->blocks = pn_ceil_div(p->images, p->block_images) * p->row_blocks;
    const ptrdiff_t k = p->depth * p->taps.count;
    p->kc = pn_ceil_div(k, pn_ceil_div(k, PN_CONV_KC));
}

/* Returns -1 if memory is exhausted. `panels` and `sums` count elements. */
static int PN_(pn_conv_take)(const PN_(pn_conv_product) *p, ptrdiff_t panels, ptrdiff_t sums, PN_(pn_conv_block) *b) {
    const ptrdiff_t columns = p->block_images * p->block_rows * p->grid_width, k = p->depth * p->taps.count;
    const ptrdiff_t source = p->block_images * p->depth * p->box_height * p->box_width;
    b->workspace = pn_workspace_take((size_t)(panels + sums + source + PN_LANES) * sizeof(PN_REAL) +
                                     (size_t)(2 * columns + k) * sizeof(ptrdiff_t));
    if (!b->workspace) return -1;
    b->panels = (PN_REAL *)pn_workspace_data(b->workspace); /* `panels` and `sums` are multiples of a vector */
    b->sums = b->panels + panels;
    b->column = (ptrdiff_t *)(b->sums + sums);
    b->place = b->column + columns;
    b->row = b->place + columns;
    b->source = (PN_REAL *)(b->row + k);
    b->columns = columns;
    const ptrdiff_t channel = p->box_height * p->box_width;
    ptrdiff_t at = 0;
    for (ptrdiff_t i = 0; i < p->block_images; i++)
        for (ptrdiff_t y = 0; y < p->block_rows; y++)
            for (ptrdiff_t x = 0; x < p->grid_width; x++, at++) {
                b->column[at] = i * p->depth * channel + y * p->step_y * p->box_width + x;
                b->place[at] = i * p->out_image + y * p->out_row + x * p->out_column;
            }
    for (ptrdiff_t c = 0; c < p->depth; c++)
        for (ptrdiff_t t = 0; t < p->taps.count; t++) {
            const ptrdiff_t y = p->taps.y[t] - p->taps.top, x = p->taps.x[t] - p->taps.left;
            b->row[c * p->taps.count + t] =
                c * channel + y * p->box_width + x % p->step_x * p->phase_width + x / p->step_x;
        }
    if (p->row_blocks == 1) memset(b->source, 0, (size_t)source * sizeof(PN_REAL));
    return 0;
}

/* Copy the columns of a line of the image to columns `lead` and on of the box. */
static inline void PN_(pn_conv_fill_line)(const PN_(pn_conv_product) *p, const PN_REAL *restrict from, ptrdiff_t lead,
                                          ptrdiff_t copied, PN_REAL *restrict to) {
    const ptrdiff_t step = p->step_x;
    if (step == 1) {
        memcpy(to + lead, from, (size_t)copied * sizeof(PN_REAL));
        return;
    }
    for (ptrdiff_t x = 0; x < pn_min(step, copied); x++) {
        PN_REAL *phase = to + (lead + x) % step * p->phase_width + (lead + x) / step;
        for (ptrdiff_t i = 0; x + i * step < copied; i++) phase[i] = from[x + i * step];
    }
}

/* Copy a block's input, starting at image `image` and output row `row`. Borders of whole images were zeroed once. */
static void PN_(pn_conv_fill)(const PN_(pn_conv_product) *p, ptrdiff_t image, ptrdiff_t images, ptrdiff_t row,
                              ptrdiff_t rows, PN_REAL *to) {
    const ptrdiff_t first_y = row * p->step_y + p->taps.top, first_x = p->taps.left, width = p->box_width;
    const ptrdiff_t height = (rows - 1) * p->step_y + p->taps.height;
    const ptrdiff_t lead = pn_min(pn_max(-first_x, 0), width), start = pn_max(first_x, 0);
    const ptrdiff_t copied = pn_max(0, pn_min(width - lead, p->width - start));
    const ptrdiff_t top = pn_max(0, pn_min(-first_y, height)), stop = pn_max(top, pn_min(height, p->height - first_y));
    const int full = copied == width && p->step_x == 1; /* lines without a border */
    for (ptrdiff_t i = 0; i < images; i++)
        for (ptrdiff_t c = 0; c < p->depth; c++, to += p->box_height * width) {
            const PN_REAL *from =
                p->source + (image + i) * p->source_image + c * p->source_channel + (first_y + top) * p->width + start;
            if (p->row_blocks > 1 && !(full && top == 0 && stop == height))
                memset(to, 0, (size_t)(height * width) * sizeof(PN_REAL));
            if (full && width == p->width)
                memcpy(to + top * width, from, (size_t)((stop - top) * width) * sizeof(PN_REAL));
            else
                for (ptrdiff_t y = top; y < stop; y++, from += p->width)
                    PN_(pn_conv_fill_line)(p, from, lead, copied, to + y * width);
        }
}

/* The first image and output row of block `index`, and the number of each. */
static inline void PN_(pn_conv_locate)(const PN_(pn_conv_product) *p, ptrdiff_t index, ptrdiff_t *image,
                                       ptrdiff_t *images, ptrdiff_t *row, ptrdiff_t *rows) {
    *image = index / p->row_blocks * p->block_images;
    *images = pn_min(p->block_images, p->images - *image);
    *row = index % p->row_blocks * p->block_rows;
    *rows = pn_min(p->block_rows, p->grid_height - *row);
}

#ifdef PN_TRANSPOSES
/* Load LANES elements of each of LANES channels, of which `filled` exist, and transpose: pixel by pixel. */
static inline
    __attribute__((always_inline)) void PN_(pn_conv_load_transposed)(const PN_REAL *from, ptrdiff_t channel,
                                                                     ptrdiff_t filled, PN_(pn_vector) v[PN_LANES]) {
#pragma GCC unroll 16
    for (int i = 0; i < PN_LANES; i++)
        v[i] = i < filled ? (PN_(pn_vector))(*(const PN_(pn_unaligned) *)(from + i * channel)) : (PN_(pn_vector)){0};
    PN_(pn_transpose)(v);
}
#endif

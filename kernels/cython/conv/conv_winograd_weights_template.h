/* Template, included by conv_template.h: the gradient of 3 x 3 kernels, the transpose of conv_winograd_template.h.
 *
 * dg = G' (sum over tiles of (A dY A') (B' d B)) G: 16 matrix products again, of filters and channels, summed over
 * tiles. Here the lanes of a vector are channels, or filters: a block's pixels are transposed so that those of a pixel
 * lie side by side, after which the transforms need no shuffles. The blocks are summed in two halves, whatever the
 * number of threads. Two threads take one each; others share out a block at a time: tasks first transform it, each some
 * channels or filters of an image, then add to the 16 products, each to its own. So the bits do not depend on the
 * number of threads. */

/* Elements of a transposed pixel of dy: MR filters, and what a whole number of vectors has beyond. */
#define PN_TRANSPOSED (pn_ceil_div(PN_MR, PN_LANES) * PN_LANES)

typedef struct {
    PN_(pn_winograd) plan;
    PN_(pn_winograd_block) block;
    ptrdiff_t panels, tiles;     /* of NR channels, and of MR filters */
    PN_REAL *inputs, *gradients; /* of a block: (16, panels, tiles of pixels, NR), (16, tiles, tiles of pixels, MR) */
    PN_REAL *sums;               /* (16, tiles, panels, MR, NR) */
    const PN_REAL *others;       /* the sums of the other half, or NULL */
    ptrdiff_t first, stop;       /* block range of the half */
    ptrdiff_t max_tiles, input_step, gradient_step; /* tiles of pixels per block; strides between the 16 matrices */
    int shared, failed;
} PN_(pn_winograd_weights);

/* Pixels of a rectangle in several channels: `rows` runs of `columns` elements, `width` apart, which are transposed
 * into rows of `across` pixels of `lanes` elements each, `channels` of them filled. */
typedef struct {
    const PN_REAL *source;
    ptrdiff_t channel, channels, rows, columns, width, across, lanes;
} PN_(pn_winograd_pixels);

static void PN_(pn_winograd_transpose)(const PN_(pn_winograd_pixels) *x, PN_REAL *to, ptrdiff_t *place) {
    /* Rows that are contiguous in memory form one run. */
    const ptrdiff_t runs = x->columns == x->width ? 1 : x->rows, n = x->rows * x->columns / pn_max(1, runs);
    for (ptrdiff_t q = 0; q < n; q++) place[q] = (q / x->columns * x->across + q % x->columns) * x->lanes;
    for (ptrdiff_t run = 0; run < runs; run++, to += x->across * x->lanes)
        for (ptrdiff_t first = 0; first < x->channels; first += PN_LANES) {
            const ptrdiff_t filled = pn_min(PN_LANES, x->channels - first);
            const PN_REAL *from = x->source + run * x->width + first * x->channel;
            ptrdiff_t q = 0;
#ifdef PN_TRANSPOSES
            for (; q + PN_LANES <= n; q += PN_LANES) {
                PN_(pn_vector) v[PN_LANES];
                PN_(pn_conv_load_transposed)(from + q, x->channel, filled, v);
#pragma GCC unroll 16
                for (int i = 0; i < PN_LANES; i++) *(PN_(pn_vector) *)(to + place[q + i] + first) = v[i];
            }
#endif
            for (; q < n; q++)
                for (ptrdiff_t i = 0; i < filled; i++) to[place[q] + first + i] = from[i * x->channel + q];
        }
}

/* B'dB of the tiles of one image, NR channels, from transposed pixels that are `across` wide. */
static void PN_(pn_winograd_transposed_inputs)(const PN_(pn_winograd_block) *b, const PN_REAL *restrict pixels,
                                               PN_REAL *restrict to, ptrdiff_t step) {
    const ptrdiff_t line = (2 * b->columns + 2) * PN_NR;
    for (ptrdiff_t r = 0; r < b->rows; r++, pixels += 2 * line)
        for (ptrdiff_t lane = 0; lane < PN_NR; lane += PN_LANES) {
            PN_(pn_vector) v[4][4];
            for (ptrdiff_t x = 0; x < 2 * b->columns + 2; x += 2) {
#pragma GCC unroll 2
                for (int i = 0; i < 2; i++) {
                    const PN_REAL *from = pixels + (x + i) * PN_NR + lane;
                    const PN_(pn_vector) d0 = *(const PN_(pn_vector) *)from;
                    const PN_(pn_vector) d1 = *(const PN_(pn_vector) *)(from + line);
                    const PN_(pn_vector) d2 = *(const PN_(pn_vector) *)(from + 2 * line);
                    const PN_(pn_vector) d3 = *(const PN_(pn_vector) *)(from + 3 * line);
                    v[0][2 + i] = d0 - d2, v[1][2 + i] = d1 + d2, v[2][2 + i] = d2 - d1, v[3][2 + i] = d1 - d3;
                }
                if (x > 0) {
                    PN_REAL *tile = to + (r * b->columns + x / 2 - 1) * PN_NR + lane;
#pragma GCC unroll 4
                    for (int i = 0; i < 4; i++, tile += 4 * step) {
                        *(PN_(pn_vector) *)tile = v[i][0] - v[i][2];
                        *(PN_(pn_vector) *)(tile + step) = v[i][1] + v[i][2];
                        *(PN_(pn_vector) *)(tile + 2 * step) = v[i][2] - v[i][1];
                        *(PN_(pn_vector) *)(tile + 3 * step) = v[i][1] - v[i][3];
                    }
                }
#pragma GCC unroll 4
                for (int i = 0; i < 4; i++) v[i][0] = v[i][2], v[i][1] = v[i][3];
            }
        }
}

/* A dY A' of the tiles of one image, MR filters. */
static void PN_(pn_winograd_transposed_gradients)(const PN_(pn_winograd_block) *b, const PN_REAL *restrict pixels,
                                                  PN_REAL *restrict to, ptrdiff_t step) {
    const ptrdiff_t line = 2 * b->columns * PN_TRANSPOSED;
    for (ptrdiff_t r = 0; r < b->rows; r++, pixels += 2 * line)
        for (ptrdiff_t t = 0; t < b->columns; t++, to += PN_MR) {
            const PN_REAL *restrict from = pixels + 2 * t * PN_TRANSPOSED;
            PN_SAFE_IN_PLACE /* no step is so small that stores overlap; 1.3 times as fast */
                for (int i = 0; i < PN_MR; i++) {
                const PN_REAL y00 = from[i], y01 = from[PN_TRANSPOSED + i];
                const PN_REAL y10 = from[line + i], y11 = from[line + PN_TRANSPOSED + i];
                const PN_REAL left[4] = {y00, y00 + y10, y00 - y10, -y10};
                const PN_REAL right[4] = {y01, y01 + y11, y01 - y11, -y11};
#pragma GCC unroll 4
                for (int e = 0; e < 4; e++) {
                    to[(4 * e) * step + i] = left[e];
                    to[(4 * e + 1) * step + i] = left[e] + right[e];
                    to[(4 * e + 2) * step + i] = left[e] - right[e];
                    to[(4 * e + 3) * step + i] = -right[e];
                }
            }
        }
}

/* Transform part of a block: NR channels of one image's inputs, or MR filters of its dy. */
static void PN_(pn_winograd_transpose_part)(void *argument, int index) {
    PN_(pn_winograd_weights) *w = (PN_(pn_winograd_weights) *)argument;
    const PN_(pn_winograd_block) *b = &w->block;
    const PN_(pn_conv_product) *p = w->plan.product;
    const ptrdiff_t kinds = w->panels + w->tiles, image = index / kinds, kind = index % kinds;
    const int is_input = kind < w->panels;
    PN_(pn_winograd_pixels) x = {0};
    ptrdiff_t height = 2 * b->rows, top = 0, lead = 0;
    x.across = 2 * b->columns;
    if (is_input) {
        height += 2, x.across += 2;
        const ptrdiff_t first_y = 2 * b->row + p->taps.top, first_x = 2 * b->column + p->taps.left;
        top = pn_min(pn_max(0, -first_y), height), lead = pn_min(pn_max(0, -first_x), x.across);
        x.rows = pn_max(0, pn_min(height, p->height - first_y) - top);
        x.columns = pn_max(0, pn_min(x.across, p->width - first_x) - lead);
        x.channels = pn_min(PN_NR, p->depth - kind * PN_NR);
        x.channel = p->source_channel, x.width = p->width, x.lanes = PN_NR;
        x.source = p->source + (b->image + image) * p->source_image + kind * PN_NR * x.channel +
                   (first_y + top) * x.width + first_x + lead;
    } else {
        const ptrdiff_t first = PN_(pn_conv_tile_start)(p->rows, kind - w->panels);
        x.rows = pn_min(height, p->grid_height - 2 * b->row),
        x.columns = pn_min(x.across, p->grid_width - 2 * b->column);
        x.channels = PN_(pn_conv_tile_start)(p->rows, kind - w->panels + 1) - first;
        x.channel = p->out_channel, x.width = p->grid_width, x.lanes = PN_TRANSPOSED;
        x.source = p->dy + (b->image + image) * p->out_image + first * x.channel + 2 * b->row * x.width + 2 * b->column;
    }
    const ptrdiff_t elements = height * x.across * x.lanes;
    pn_workspace *workspace =
        pn_workspace_take((size_t)elements * sizeof(PN_REAL) + (size_t)(x.rows * x.columns) * sizeof(ptrdiff_t));
    if (!workspace) {
        __atomic_store_n(&w->failed, -1, __ATOMIC_RELAXED);
        return;
    }
    PN_REAL *pixels = (PN_REAL *)pn_workspace_data(workspace);
    if (x.rows < height || x.columns < x.across || x.channels < x.lanes)
        memset(pixels, 0, (size_t)elements * sizeof(PN_REAL));
    if (x.rows > 0 && x.columns > 0)
        PN_(pn_winograd_transpose)(&x, pixels + (top * x.across + lead) * x.lanes, (ptrdiff_t *)(pixels + elements));
    const ptrdiff_t tile = image * b->rows * b->columns;
    if (is_input)
        PN_(pn_winograd_transposed_inputs)(b, pixels, w->inputs + (kind * w->max_tiles + tile) * PN_NR, w->input_step);
    else
        PN_(pn_winograd_transposed_gradients)(
            b, pixels, w->gradients + ((kind - w->panels) * w->max_tiles + tile) * PN_MR, w->gradient_step);
    pn_workspace_return(workspace);
}

/* Add a block's tiles to one of the 16 products. */
static void PN_(pn_winograd_add_part)(void *argument, int index) {
    PN_(pn_winograd_weights) *w = (PN_(pn_winograd_weights) *)argument;
    const PN_(pn_conv_product) *p = w->plan.product;
    const ptrdiff_t k = w->block.images * w->block.rows * w->block.columns;
    const pn_float_mode mode = pn_flush_denormals();
    PN_REAL *sums = w->sums + index * w->tiles * w->panels * PN_MR * PN_NR;
    for (ptrdiff_t tile = 0; tile < w->tiles; tile++) {
        const ptrdiff_t rows = PN_(pn_conv_tile_start)(p->rows, tile + 1) - PN_(pn_conv_tile_start)(p->rows, tile);
        const PN_REAL *gradients = w->gradients + index * w->gradient_step + tile * w->max_tiles * PN_MR;
        for (ptrdiff_t panel = 0; panel < w->panels; panel++, sums += PN_MR * PN_NR)
            PN_(pn_conv_micro)(rows, p->depth - panel * PN_NR > PN_LANES, k, gradients,
                               w->inputs + index * w->input_step + panel * w->max_tiles * PN_NR, NULL, sums, PN_NR, 1);
    }
    pn_restore_denormals(mode);
}

/* Write G'(sums)G of a tile of filters to dw. */
static void PN_(pn_winograd_finish_part)(void *argument, int index) {
    const PN_(pn_winograd_weights) *w = (const PN_(pn_winograd_weights) *)argument;
    const PN_(pn_conv_product) *p = w->plan.product;
    const ptrdiff_t first = PN_(pn_conv_tile_start)(p->rows, index), step = w->tiles * w->panels * PN_MR * PN_NR;
    const ptrdiff_t rows = PN_(pn_conv_tile_start)(p->rows, index + 1) - first, tile = w->panels * PN_MR * PN_NR;
    for (ptrdiff_t x = 0; x < 16 && w->others; x++)
        for (ptrdiff_t i = 0; i < tile; i++)
            w->sums[x * step + index * tile + i] += w->others[x * step + index * tile + i];
    for (ptrdiff_t panel = 0; panel < w->panels; panel++)
        for (ptrdiff_t i = 0; i < rows; i++) {
            const PN_REAL *restrict u = w->sums + ((index * w->panels + panel) * PN_MR + i) * PN_NR;
            PN_REAL half[12][2 * PN_VECTOR_BYTES / sizeof(PN_REAL)], g[9][2 * PN_VECTOR_BYTES / sizeof(PN_REAL)];
            for (int x = 0; x < 4; x++)
                for (ptrdiff_t c = 0; c < PN_NR; c++) {
                    const PN_REAL u1 = u[(4 + x) * step + c], u2 = u[(8 + x) * step + c];
                    half[x][c] = u[x * step + c] + (u1 + u2) * (PN_REAL)0.5;
                    half[4 + x][c] = (u1 - u2) * (PN_REAL)0.5;
                    half[8 + x][c] = (u1 + u2) * (PN_REAL)0.5 + u[(12 + x) * step + c];
                }
            for (int y = 0; y < 3; y++)
                for (ptrdiff_t c = 0; c < PN_NR; c++) {
                    const PN_REAL u1 = half[4 * y + 1][c], u2 = half[4 * y + 2][c];
                    g[3 * y][c] = half[4 * y][c] + (u1 + u2) * (PN_REAL)0.5;
                    g[3 * y + 1][c] = (u1 - u2) * (PN_REAL)0.5;
                    g[3 * y + 2][c] = (u1 + u2) * (PN_REAL)0.5 + half[4 * y + 3][c];
                }
            PN_REAL *to = p->out + ((first + i) * p->depth + panel * PN_NR) * 9;
            for (ptrdiff_t c = 0; c < pn_min(PN_NR, p->depth - panel * PN_NR); c++, to += 9)
                for (int t = 0; t < 9; t++) to[t] = g[t][c];
        }
}

static int PN_(pn_winograd_weights_serves)(const PN_(pn_conv_product) *p) {
    const ptrdiff_t tiles = pn_ceil_div(p->grid_height, 2) * pn_ceil_div(p->grid_width, 2);
    return PN_(pn_winograd_fits)(p) && p->depth >= PN_WINOGRAD_WEIGHTS_MIN_CHANNELS &&
           p->rows >= PN_WINOGRAD_WEIGHTS_MIN_FILTERS && 16 * tiles < 9 * p->grid_height * p->grid_width;
}

/* Run serially if the work is too small to be worth waking a thread. */
static void PN_(pn_winograd_share)(pn_task task, PN_(pn_winograd_weights) *w, ptrdiff_t count) {
    if (w->shared)
        pn_parallel(task, w, (int)count);
    else
        for (int i = 0; i < count; i++) task(w, i);
}

/* Sum the blocks of one half. */
static void PN_(pn_winograd_half)(void *argument, int index) {
    PN_(pn_winograd_weights) *w = (PN_(pn_winograd_weights) *)argument + index;
    memset(w->sums, 0, (size_t)(16 * w->tiles * w->panels * PN_MR * PN_NR) * sizeof(PN_REAL));
    for (ptrdiff_t at = w->first; at < w->stop && !w->failed; at++) {
        w->block = PN_(pn_winograd_locate)(&w->plan, at);
        PN_(pn_winograd_share)(PN_(pn_winograd_transpose_part), w, w->block.images * (w->panels + w->tiles));
        if (!w->failed) PN_(pn_winograd_share)(PN_(pn_winograd_add_part), w, 16);
    }
}

static int PN_(pn_winograd_weights_run)(const PN_(pn_conv_product) *p) {
    PN_(pn_winograd_weights) w = {.plan = PN_(pn_winograd_plan)(p, PN_WINOGRAD_TILES)};
    w.panels = pn_ceil_div(p->depth, PN_NR), w.tiles = pn_ceil_div(p->rows, PN_MR);
    w.max_tiles = w.plan.block_images * w.plan.block_rows * w.plan.block_columns;
    /* One extra cache line, so that the 16 matrices do not map to the same cache sets. */
    w.input_step = (w.panels * w.max_tiles + 1) * PN_NR, w.gradient_step = w.tiles * w.max_tiles * PN_MR + PN_NR;
    const double tiles = (double)(w.plan.across * w.plan.down) * (double)p->images;
    w.shared = pn_parts(16.0 * tiles * (double)(p->rows * p->depth), PN_CONV_GRAIN) > 1;
    const int halves = w.plan.blocks < 4 ? 1 : 2, apart = halves == 2 && w.shared && pn_threads() == 2;
    const ptrdiff_t sums = 16 * w.tiles * w.panels * PN_MR * PN_NR, buffers = 16 * (w.input_step + w.gradient_step);
    pn_workspace *workspace = pn_workspace_take((size_t)(buffers * (1 + apart) + sums * halves) * sizeof(PN_REAL));
    if (!workspace) return -1;
    PN_REAL *room = (PN_REAL *)pn_workspace_data(workspace);
    PN_(pn_winograd_weights) half[2];
    for (int h = 0; h < halves; h++) {
        half[h] = w;
        half[h].first = w.plan.blocks * h / halves, half[h].stop = w.plan.blocks * (h + 1) / halves;
        half[h].inputs = room + (apart ? h * buffers : 0), half[h].gradients = half[h].inputs + 16 * w.input_step;
        half[h].sums = room + buffers * (1 + apart) + h * sums;
        half[h].shared = w.shared && !apart;
    }
    if (apart)
        pn_parallel(PN_(pn_winograd_half), half, 2);
    else
        for (int h = 0; h < halves; h++) PN_(pn_winograd_half)(half, h);
    const int failed = half[0].failed || half[halves - 1].failed ? -1 : 0;
    half[0].others = halves == 2 ? half[1].sums : NULL, half[0].shared = w.shared;
    if (!failed) PN_(pn_winograd_share)(PN_(pn_winograd_finish_part), half, w.tiles);
    pn_workspace_return(workspace);
    return failed;
}
#undef PN_TRANSPOSED

/* Template, included by conv.h once per floating type. */

#define PN_LANES ((ptrdiff_t)(PN_VECTOR_BYTES / sizeof(PN_REAL)))
#define PN_NR (2 * PN_LANES)

typedef PN_REAL PN_(pn_conv_vector) __attribute__((vector_size(PN_VECTOR_BYTES)));
/* The same without the alignment, for rows of the output. */
typedef PN_REAL PN_(pn_conv_unaligned) __attribute__((vector_size(PN_VECTOR_BYTES), aligned(sizeof(PN_REAL)), may_alias));

/* A product of weights (rows x depth taps) and patches of the source, for a grid of output positions: position (y, x)
 * reads the source at (y step_y + tap.y, x step_x + tap.x), which is 0 outside. Or, with `dy`, of dy and patches. */
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
    int accumulate;
    /* The plan: how many images, or output rows of one image, a block has; rows and columns of the source for it. */
    ptrdiff_t block_images, block_rows, row_blocks, blocks, box_height, box_width, kc;
    int parts, failed;
} PN_(pn_conv_product);

/* What a thread works with. */
typedef struct {
    pn_workspace *workspace;
    PN_REAL *source;             /* a block's input with its borders: (images, depth, box_height, box_width) */
    PN_REAL *panels;             /* packed patches, or dy with its rows side by side */
    PN_REAL *sums;               /* of the weights' gradient */
    ptrdiff_t *column, *place;   /* per output position of a block: its offset in `source`, and in the output */
    ptrdiff_t *row;              /* per channel and tap: its offset in `source` */
    ptrdiff_t columns;
} PN_(pn_conv_block);

static void PN_(pn_conv_plan)(PN_(pn_conv_product) * p, ptrdiff_t most_columns) {
    p->box_width = (p->grid_width - 1) * p->step_x + p->taps.width;
    const ptrdiff_t line = pn_most(1, p->depth * p->box_width * (ptrdiff_t)sizeof(PN_REAL));
    ptrdiff_t rows = (PN_CONV_SOURCE / line - p->taps.height) / p->step_y + 1;
    rows = pn_most(1, pn_least(rows, most_columns / p->grid_width));
    p->row_blocks = pn_quotient(p->grid_height, pn_least(rows, p->grid_height));
    p->block_rows = pn_quotient(p->grid_height, p->row_blocks);
    p->row_blocks = pn_quotient(p->grid_height, p->block_rows);
    p->box_height = (p->block_rows - 1) * p->step_y + p->taps.height;
    p->block_images = 1;
    if (p->row_blocks == 1) {
        const ptrdiff_t room = PN_CONV_SOURCE / (line * p->box_height);
        const ptrdiff_t wanted = most_columns / (p->grid_height * p->grid_width);
        p->block_images = pn_most(1, pn_least(p->images, pn_least(room, wanted)));
    }
    p->blocks = pn_quotient(p->images, p->block_images) * p->row_blocks;
    const ptrdiff_t k = p->depth * p->taps.count;
    p->kc = pn_quotient(k, pn_quotient(k, PN_CONV_KC));
}

/* Returns -1 if memory is exhausted. `panels` and `sums` are numbers of elements. */
static int PN_(pn_conv_take)(const PN_(pn_conv_product) * p, ptrdiff_t panels, ptrdiff_t sums,
                             PN_(pn_conv_block) * b) {
    const ptrdiff_t columns = p->block_images * p->block_rows * p->grid_width, k = p->depth * p->taps.count;
    const ptrdiff_t source = p->block_images * p->depth * p->box_height * p->box_width;
    b->workspace = pn_workspace_take((size_t)(panels + sums + source) * sizeof(PN_REAL) +
                                     (size_t)(2 * columns + k) * sizeof(ptrdiff_t));
    if (!b->workspace) return -1;
    b->panels = (PN_REAL *)pn_workspace_data(b->workspace); /* these are multiples of a vector */
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
                b->column[at] = i * p->depth * channel + y * p->step_y * p->box_width + x * p->step_x;
                b->place[at] = i * p->out_image + y * p->out_row + x * p->out_column;
            }
    for (ptrdiff_t c = 0; c < p->depth; c++)
        for (ptrdiff_t t = 0; t < p->taps.count; t++)
            b->row[c * p->taps.count + t] = c * channel + (p->taps.y[t] - p->taps.top) * p->box_width +
                                            (p->taps.x[t] - p->taps.left);
    if (p->row_blocks == 1) memset(b->source, 0, (size_t)source * sizeof(PN_REAL));
    return 0;
}

/* Copy a block's input, from image `image` and output row `row` on. The borders of whole images are 0 from the start. */
static void PN_(pn_conv_fill)(const PN_(pn_conv_product) * p, ptrdiff_t image, ptrdiff_t images, ptrdiff_t row,
                              ptrdiff_t rows, PN_REAL *to) {
    const ptrdiff_t first_y = row * p->step_y + p->taps.top, first_x = p->taps.left, width = p->box_width;
    const ptrdiff_t height = (rows - 1) * p->step_y + p->taps.height;
    const ptrdiff_t lead = pn_least(pn_most(-first_x, 0), width), start = pn_most(first_x, 0);
    const ptrdiff_t copied = pn_most(0, pn_least(width - lead, p->width - start));
    const ptrdiff_t top = pn_most(0, pn_least(-first_y, height)), stop = pn_most(top, pn_least(height, p->height - first_y));
    for (ptrdiff_t i = 0; i < images; i++)
        for (ptrdiff_t c = 0; c < p->depth; c++, to += p->box_height * width) {
            const PN_REAL *from = p->source + (image + i) * p->source_image + c * p->source_channel +
                                  (first_y + top) * p->width + start;
            if (p->row_blocks > 1) memset(to, 0, (size_t)(height * width) * sizeof(PN_REAL));
            for (ptrdiff_t y = top; y < stop; y++, from += p->width)
                memcpy(to + y * width + lead, from, (size_t)copied * sizeof(PN_REAL));
        }
}

/* Where block `index` lies: its first image and output row, and how many of them. */
static inline void PN_(pn_conv_locate)(const PN_(pn_conv_product) * p, ptrdiff_t index, ptrdiff_t *image,
                                       ptrdiff_t *images, ptrdiff_t *row, ptrdiff_t *rows) {
    *image = index / p->row_blocks * p->block_images;
    *images = pn_least(p->block_images, p->images - *image);
    *row = index % p->row_blocks * p->block_rows;
    *rows = pn_least(p->block_rows, p->grid_height - *row);
}

/* Rows of weights times a panel of patches. Never index a lane of an accumulator (see gemm_impl.h). */
static inline __attribute__((always_inline)) void PN_(pn_conv_tile)(
    const int rows, const int wide, ptrdiff_t k, const PN_REAL *restrict a, const PN_REAL *restrict b,
    const PN_REAL *bias, PN_REAL *restrict c, ptrdiff_t ldc, int accumulate) {
    PN_(pn_conv_vector) tile[PN_MR][2];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) tile[i][0] = tile[i][1] = (PN_(pn_conv_vector)){0};
    for (ptrdiff_t p = 0; p < k; p++) {
        const PN_(pn_conv_vector) b0 = *(const PN_(pn_conv_vector) *)b;
        const PN_(pn_conv_vector) b1 = *(const PN_(pn_conv_vector) *)(b + PN_LANES);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            tile[i][0] += a[i] * b0;
            if (wide) tile[i][1] += a[i] * b1;
        }
        a += PN_MR;
        b += PN_NR;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        PN_(pn_conv_unaligned) *row = (PN_(pn_conv_unaligned) *)(c + i * ldc);
        if (accumulate) {
            tile[i][0] += row[0];
            if (wide) tile[i][1] += row[1];
        }
        if (bias) {
            tile[i][0] += bias[i];
            if (wide) tile[i][1] += bias[i];
        }
        row[0] = tile[i][0];
        if (wide) row[1] = tile[i][1];
    }
}

/* Patches, read in place at row[i] from `source` + each position's offset, times dy, added to sums (rows x NR). */
static inline __attribute__((always_inline)) void PN_(pn_conv_weight_tile)(
    const int rows, const int wide, ptrdiff_t positions, const PN_REAL *restrict source,
    const ptrdiff_t *restrict column, const ptrdiff_t *restrict row, const PN_REAL *restrict dy,
    PN_REAL *restrict sums) {
    PN_(pn_conv_vector) tile[PN_MR][2];
    const PN_REAL *from[PN_MR];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        tile[i][0] = *(PN_(pn_conv_vector) *)(sums + i * PN_NR);
        tile[i][1] = *(PN_(pn_conv_vector) *)(sums + i * PN_NR + PN_LANES);
        from[i] = source + row[i];
    }
    for (ptrdiff_t q = 0; q < positions; q++) {
        const PN_(pn_conv_vector) b0 = *(const PN_(pn_conv_vector) *)dy;
        const PN_(pn_conv_vector) b1 = *(const PN_(pn_conv_vector) *)(dy + PN_LANES);
        const ptrdiff_t at = column[q];
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            tile[i][0] += from[i][at] * b0;
            if (wide) tile[i][1] += from[i][at] * b1;
        }
        dy += PN_NR;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        *(PN_(pn_conv_vector) *)(sums + i * PN_NR) = tile[i][0];
        if (wide) *(PN_(pn_conv_vector) *)(sums + i * PN_NR + PN_LANES) = tile[i][1];
    }
}

#define PN_CASE(n, function, ...)              \
    case n:                                    \
        if (wide)                              \
            PN_(function)(n, 1, __VA_ARGS__);  \
        else                                   \
            PN_(function)(n, 0, __VA_ARGS__);  \
        break;
#define PN_CASES_4(...) \
    PN_CASE(1, __VA_ARGS__) PN_CASE(2, __VA_ARGS__) PN_CASE(3, __VA_ARGS__) PN_CASE(4, __VA_ARGS__)
#if PN_MR == 4
#define PN_CASES(...) PN_CASES_4(__VA_ARGS__)
#elif PN_MR == 6
#define PN_CASES(...) PN_CASES_4(__VA_ARGS__) PN_CASE(5, __VA_ARGS__) PN_CASE(6, __VA_ARGS__)
#elif PN_MR == 8
#define PN_CASES(...)                                                                               \
    PN_CASES_4(__VA_ARGS__) PN_CASE(5, __VA_ARGS__) PN_CASE(6, __VA_ARGS__) PN_CASE(7, __VA_ARGS__) \
    PN_CASE(8, __VA_ARGS__)
#else
#define PN_CASES(...)                                                                               \
    PN_CASES_4(__VA_ARGS__) PN_CASE(5, __VA_ARGS__) PN_CASE(6, __VA_ARGS__) PN_CASE(7, __VA_ARGS__) \
    PN_CASE(8, __VA_ARGS__) PN_CASE(9, __VA_ARGS__) PN_CASE(10, __VA_ARGS__) PN_CASE(11, __VA_ARGS__) \
    PN_CASE(12, __VA_ARGS__)
#endif

static void PN_(pn_conv_micro)(ptrdiff_t rows, int wide, ptrdiff_t k, const PN_REAL *a, const PN_REAL *b,
                               const PN_REAL *bias, PN_REAL *c, ptrdiff_t ldc, int accumulate) {
    switch (rows) { PN_CASES(pn_conv_tile, k, a, b, bias, c, ldc, accumulate) }
}

static void PN_(pn_conv_weight_micro)(ptrdiff_t rows, int wide, ptrdiff_t positions, const PN_REAL *source,
                                      const ptrdiff_t *column, const ptrdiff_t *row, const PN_REAL *dy, PN_REAL *sums) {
    switch (rows) { PN_CASES(pn_conv_weight_tile, positions, source, column, row, dy, sums) }
}
#undef PN_CASE
#undef PN_CASES_4
#undef PN_CASES

/* The first row of tile `index`: rows are shared out evenly, 64 as 11 + 11 + 11 + 11 + 10 + 10. */
static inline ptrdiff_t PN_(pn_conv_tile_start)(ptrdiff_t rows, ptrdiff_t index) {
    return rows * index / pn_quotient(rows, PN_MR);
}

static inline ptrdiff_t PN_(pn_conv_packed)(ptrdiff_t rows, ptrdiff_t k) { return pn_quotient(rows, PN_MR) * PN_MR * k; }

/* Pack w[row * w_row + channel * w_channel + taps.element] into tiles of rows, within blocks of depth kc. */
static void PN_(pn_conv_pack_weights)(const PN_(pn_conv_product) * p, const PN_REAL *w, ptrdiff_t w_row,
                                      ptrdiff_t w_channel, PN_REAL *packed) {
    const ptrdiff_t tiles = pn_quotient(p->rows, PN_MR), taps = p->taps.count, k = p->depth * taps;
    for (ptrdiff_t first = 0; first < k; first += p->kc) {
        const ptrdiff_t stop = pn_least(first + p->kc, k);
        for (ptrdiff_t tile = 0; tile < tiles; tile++) {
            const ptrdiff_t start = PN_(pn_conv_tile_start)(p->rows, tile);
            const ptrdiff_t rows = PN_(pn_conv_tile_start)(p->rows, tile + 1) - start;
            ptrdiff_t c = first / taps, t = first % taps;
            for (ptrdiff_t at = first; at < stop; at++, packed += PN_MR) {
                const PN_REAL *from = w + start * w_row + c * w_channel + p->taps.element[t];
                for (ptrdiff_t i = 0; i < rows; i++) packed[i] = from[i * w_row];
                if (++t == taps) c++, t = 0;
            }
        }
    }
}

static inline __attribute__((always_inline)) void PN_(pn_conv_copy_runs)(
    const int runs, const PN_REAL *restrict source, const ptrdiff_t *restrict column, const ptrdiff_t *restrict row,
    ptrdiff_t k, PN_REAL *restrict panel) {
    for (ptrdiff_t p = 0; p < k; p++, panel += PN_NR)
#pragma GCC unroll 4
        for (int run = 0; run < runs; run++)
            memcpy(panel + run * (PN_NR / runs), source + row[p] + column[run * (PN_NR / runs)],
                   (size_t)(PN_NR / runs) * sizeof(PN_REAL));
}

/* Pack the patches of `columns` positions into a panel. Most lie side by side, in one row of the image or in a few. */
static void PN_(pn_conv_pack_patches)(const PN_REAL *restrict source, const ptrdiff_t *restrict column, ptrdiff_t columns,
                                      const ptrdiff_t *restrict row, ptrdiff_t k, PN_REAL *restrict panel) {
    int runs = columns == PN_NR ? 1 : 0;
    for (ptrdiff_t j = 1; j < columns && runs; j++)
        if (column[j] != column[j - 1] + 1) runs = j % (PN_NR / 4) ? 0 : j % (PN_NR / 2) || runs == 4 ? 4 : 2;
    if (runs == 1)
        PN_(pn_conv_copy_runs)(1, source, column, row, k, panel);
    else if (runs == 2)
        PN_(pn_conv_copy_runs)(2, source, column, row, k, panel);
    else if (runs == 4)
        PN_(pn_conv_copy_runs)(4, source, column, row, k, panel);
    else
        for (ptrdiff_t p = 0; p < k; p++, panel += PN_NR) {
            const PN_REAL *from = source + row[p];
            for (ptrdiff_t j = 0; j < columns; j++) panel[j] = from[column[j]];
            for (ptrdiff_t j = columns; j < PN_NR; j++) panel[j] = 0;
        }
}

/* One tile of rows times one panel, whose columns need not lie side by side in the output. */
static inline void PN_(pn_conv_place)(ptrdiff_t rows, ptrdiff_t k, const PN_REAL *a, const PN_REAL *b,
                                      const PN_REAL *bias, PN_REAL *out, ptrdiff_t channel, const ptrdiff_t *place,
                                      ptrdiff_t columns, int accumulate) {
    if (columns == PN_NR && place[PN_NR - 1] == place[0] + PN_NR - 1) {
        PN_(pn_conv_micro)(rows, 1, k, a, b, bias, out + place[0], channel, accumulate);
        return;
    }
    PN_REAL edge[PN_MR * 2 * (PN_VECTOR_BYTES / sizeof(PN_REAL))];
    PN_(pn_conv_micro)(rows, columns > PN_LANES, k, a, b, bias, edge, PN_NR, 0);
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < columns; j++) {
            PN_REAL *element = out + i * channel + place[j];
            *element = edge[i * PN_NR + j] + (accumulate ? *element : 0);
        }
}

/* Keep the values before the activation if asked to, and apply it, where positions lie side by side. */
static void PN_(pn_conv_finish)(const PN_(pn_conv_product) * p, ptrdiff_t base, const ptrdiff_t *place,
                                ptrdiff_t columns) {
    for (ptrdiff_t j = 0, run; j < columns; j += run) {
        for (run = 1; j + run < columns && place[j + run] == place[j] + run; run++) {}
        for (ptrdiff_t i = 0; i < p->rows; i++) {
            const ptrdiff_t at = base + i * p->out_channel + place[j];
            if (p->pre) memcpy(p->pre + at, p->out + at, (size_t)run * sizeof(PN_REAL));
            PN_(pn_activate)(p->out + at, p->out + at, run, p->code, p->alpha);
        }
    }
}

static void PN_(pn_conv_part)(void *argument, int index) {
    PN_(pn_conv_product) *p = (PN_(pn_conv_product) *)argument;
    const ptrdiff_t k = p->depth * p->taps.count, tiles = pn_quotient(p->rows, PN_MR);
    const ptrdiff_t panel = p->kc * PN_NR;
    const ptrdiff_t most = pn_most(1, PN_CONV_PANELS / (panel * (ptrdiff_t)sizeof(PN_REAL)));
    PN_(pn_conv_block) b;
    if (PN_(pn_conv_take)(p, most * panel, 0, &b)) {
        __atomic_store_n(&p->failed, -1, __ATOMIC_RELAXED);
        return;
    }
    const pn_float_mode mode = pn_flush_denormals();
    const ptrdiff_t stop = pn_part_start(p->blocks, 1, index + 1, p->parts);
    for (ptrdiff_t block = pn_part_start(p->blocks, 1, index, p->parts); block < stop; block++) {
        ptrdiff_t image, images, row, rows;
        PN_(pn_conv_locate)(p, block, &image, &images, &row, &rows);
        PN_(pn_conv_fill)(p, image, images, row, rows, b.source);
        const ptrdiff_t columns = images * rows * p->grid_width, base = image * p->out_image + row * p->out_row;
        for (ptrdiff_t first = 0; first < columns; first += most * PN_NR) {
            const ptrdiff_t last = pn_least(first + most * PN_NR, columns);
            for (ptrdiff_t from = 0; from < k; from += p->kc) {
                const ptrdiff_t kc = pn_least(p->kc, k - from);
                const PN_REAL *bias = from + kc == k ? p->bias : NULL;
                PN_REAL *patches = b.panels;
                for (ptrdiff_t j = first; j < last; j += PN_NR, patches += kc * PN_NR)
                    PN_(pn_conv_pack_patches)(b.source, b.column + j, pn_least(PN_NR, last - j), b.row + from, kc,
                                              patches);
                for (ptrdiff_t tile = 0; tile < tiles; tile++) {
                    const ptrdiff_t start = PN_(pn_conv_tile_start)(p->rows, tile);
                    const ptrdiff_t count = PN_(pn_conv_tile_start)(p->rows, tile + 1) - start;
                    const PN_REAL *weights = p->weights + PN_(pn_conv_packed)(p->rows, from) + tile * PN_MR * kc;
                    patches = b.panels;
                    for (ptrdiff_t j = first; j < last; j += PN_NR, patches += kc * PN_NR)
                        PN_(pn_conv_place)(count, kc, weights, patches, bias ? bias + start : NULL,
                                           p->out + base + start * p->out_channel, p->out_channel, b.place + j,
                                           pn_least(PN_NR, last - j), from > 0);
                }
            }
            if (p->pre || p->code != PN_IDENTITY) PN_(pn_conv_finish)(p, base, b.place + first, last - first);
        }
    }
    pn_restore_denormals(mode);
    pn_workspace_return(b.workspace);
}

/* The parts of a call that are the same for output and gradients; the group's weights go to `scratch`. */
static int PN_(pn_conv_run)(PN_(pn_conv_product) * p, const PN_REAL *w, ptrdiff_t w_row, ptrdiff_t w_channel,
                            PN_REAL *scratch) {
    PN_(pn_conv_plan)(p, 64 * PN_NR);
    PN_(pn_conv_pack_weights)(p, w, w_row, w_channel, scratch);
    p->weights = scratch;
    const double work = (double)(p->images * p->grid_height * p->grid_width) *
                        (double)(p->rows * p->depth * p->taps.count);
    p->parts = (int)pn_least(pn_parts(work, PN_CONV_LEAST), p->blocks);
    p->failed = 0;
    pn_parallel(PN_(pn_conv_part), p, p->parts);
    return p->failed;
}

/* Room for the taps of a kernel, and for `elements` numbers behind them. */
static pn_workspace *PN_(pn_conv_scratch)(ptrdiff_t taps, ptrdiff_t elements, pn_taps *room, PN_REAL **numbers) {
    pn_workspace *workspace = pn_workspace_take((size_t)elements * sizeof(PN_REAL) + (size_t)(3 * taps) * sizeof(ptrdiff_t));
    if (!workspace) return NULL;
    *numbers = (PN_REAL *)pn_workspace_data(workspace);
    room->y = (ptrdiff_t *)(*numbers + (elements + 1) / 2 * 2); /* a multiple of 8 bytes */
    room->x = room->y + taps;
    room->element = room->x + taps;
    return workspace;
}

static void PN_(pn_conv_forward_taps)(const pn_conv *call, pn_taps *taps) {
    taps->count = 0;
    for (ptrdiff_t r = 0; r < call->kernel_height; r++)
        for (ptrdiff_t s = 0; s < call->kernel_width; s++, taps->count++) {
            taps->y[taps->count] = r * call->dilation_y - call->top;
            taps->x[taps->count] = s * call->dilation_x - call->left;
            taps->element[taps->count] = taps->count;
        }
    pn_bound_taps(taps);
}

/* What output and weights' gradient have in common: the patches of a group. */
static PN_(pn_conv_product) PN_(pn_conv_patches)(const pn_conv *call, const pn_taps *taps) {
    const ptrdiff_t depth = call->channels / call->groups, plane = call->height * call->width;
    const ptrdiff_t rows = call->filters / call->groups, out_plane = call->out_height * call->out_width;
    PN_(pn_conv_product) p = {0};
    p.images = call->n, p.depth = depth, p.height = call->height, p.width = call->width;
    p.source_image = call->channels * plane, p.source_channel = plane;
    p.step_y = call->stride_y, p.step_x = call->stride_x, p.taps = *taps, p.rows = rows;
    p.grid_height = call->out_height, p.grid_width = call->out_width, p.out_image = call->filters * out_plane;
    p.out_channel = out_plane, p.out_row = call->out_width, p.out_column = 1;
    p.code = call->code, p.alpha = (PN_REAL)call->alpha, p.accumulate = call->accumulate;
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
    PN_(pn_conv_forward_taps)(call, &taps);
    int failed = 0;
    for (ptrdiff_t g = 0; g < call->groups && !failed; g++) {
        PN_(pn_conv_product) p = PN_(pn_conv_patches)(call, &taps);
        p.source = (const PN_REAL *)call->x + g * depth * plane;
        p.out = (PN_REAL *)call->out + g * rows * out_plane;
        p.pre = call->pre ? (PN_REAL *)call->pre + g * rows * out_plane : NULL;
        p.bias = call->bias ? (const PN_REAL *)call->bias + g * rows : NULL;
        failed = PN_(pn_conv_run)(&p, (const PN_REAL *)call->w + g * rows * depth * count, depth * count, count, packed);
    }
    pn_workspace_return(workspace);
    return failed;
}

/* The taps of dx at positions y = phase_y + i stride_y, x likewise: the elements of the kernel that meet dy there. */
static void PN_(pn_conv_backward_taps)(const pn_conv *call, ptrdiff_t phase_y, ptrdiff_t phase_x, pn_taps *taps) {
    taps->count = 0;
    for (ptrdiff_t r = 0; r < call->kernel_height; r++)
        for (ptrdiff_t s = 0; s < call->kernel_width; s++) {
            const ptrdiff_t y = phase_y + call->top - r * call->dilation_y;
            const ptrdiff_t x = phase_x + call->left - s * call->dilation_x;
            if (y % call->stride_y || x % call->stride_x) continue;
            taps->y[taps->count] = y / call->stride_y;
            taps->x[taps->count] = x / call->stride_x;
            taps->element[taps->count++] = r * call->kernel_width + s;
        }
    pn_bound_taps(taps);
}

static void PN_(pn_conv_clear)(const PN_(pn_conv_product) * p) {
    for (ptrdiff_t i = 0; i < p->images; i++)
        for (ptrdiff_t c = 0; c < p->rows; c++)
            for (ptrdiff_t y = 0; y < p->grid_height; y++)
                for (ptrdiff_t x = 0; x < p->grid_width; x++)
                    p->out[i * p->out_image + c * p->out_channel + y * p->out_row + x * p->out_column] = 0;
}

/* call->x is dy; its sizes are those of the forward pass. */
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
        for (ptrdiff_t phase_y = 0; phase_y < pn_least(call->stride_y, call->height); phase_y++)
            for (ptrdiff_t phase_x = 0; phase_x < pn_least(call->stride_x, call->width) && !failed; phase_x++) {
                PN_(pn_conv_backward_taps)(call, phase_y, phase_x, &taps);
                PN_(pn_conv_product) p = {0};
                p.source = (const PN_REAL *)call->x + g * depth * out_plane;
                p.images = call->n, p.depth = depth, p.height = call->out_height, p.width = call->out_width;
                p.source_image = call->filters * out_plane, p.source_channel = out_plane;
                p.step_y = p.step_x = 1, p.taps = taps, p.rows = rows, p.code = PN_IDENTITY;
                p.out = (PN_REAL *)call->out + g * rows * plane + phase_y * call->width + phase_x;
                p.grid_height = pn_quotient(call->height - phase_y, call->stride_y);
                p.grid_width = pn_quotient(call->width - phase_x, call->stride_x);
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

/* Panels of dy with NR rows (filters) side by side, by position, and zeros beyond the last row. */
static void PN_(pn_conv_turn)(const PN_(pn_conv_product) * p, const PN_REAL *dy, const ptrdiff_t *place,
                              ptrdiff_t positions, PN_REAL *panel) {
    for (ptrdiff_t first = 0; first < p->rows; first += PN_NR, panel += positions * PN_NR) {
        const ptrdiff_t rows = pn_least(PN_NR, p->rows - first);
        if (rows < PN_NR) memset(panel, 0, (size_t)(positions * PN_NR) * sizeof(PN_REAL));
        for (ptrdiff_t q = 0; q < positions; q += 16) {
            const int together = q + 16 <= positions && place[q + 15] == place[q] + 15;
            for (ptrdiff_t i = 0; i < rows; i++) {
                const PN_REAL *restrict from = dy + (first + i) * p->out_channel;
                PN_REAL *restrict to = panel + q * PN_NR + i;
                if (together)
#pragma GCC unroll 16
                    for (int j = 0; j < 16; j++) to[j * PN_NR] = from[place[q] + j];
                else
                    for (ptrdiff_t j = q; j < pn_least(q + 16, positions); j++) to[(j - q) * PN_NR] = from[place[j]];
            }
        }
    }
}

/* A part has elements [first, stop) of the depth to itself, so that no sum is divided between threads. */
static void PN_(pn_conv_weights_part)(void *argument, int index) {
    PN_(pn_conv_product) *whole = (PN_(pn_conv_product) *)argument, p = *whole;
    const ptrdiff_t taps = p.taps.count, k = p.depth * taps;
    const ptrdiff_t first = pn_part_start(k, PN_MR, index, p.parts), stop = pn_part_start(k, PN_MR, index + 1, p.parts);
    if (first == stop) return;
    const ptrdiff_t channel = first / taps, offset = first % taps, count = stop - first;
    p.source += channel * p.source_channel;
    p.depth = pn_quotient(stop, taps) - channel;
    const ptrdiff_t panels = pn_quotient(p.rows, PN_NR), positions_most = p.block_images * p.block_rows * p.grid_width;
    const ptrdiff_t sums = panels * count * PN_NR;
    PN_(pn_conv_block) b;
    if (PN_(pn_conv_take)(&p, panels * positions_most * PN_NR, sums, &b)) {
        __atomic_store_n(&whole->failed, -1, __ATOMIC_RELAXED);
        return;
    }
    memset(b.sums, 0, (size_t)sums * sizeof(PN_REAL));
    const pn_float_mode mode = pn_flush_denormals();
    for (ptrdiff_t block = 0; block < p.blocks; block++) {
        ptrdiff_t image, images, row, rows;
        PN_(pn_conv_locate)(&p, block, &image, &images, &row, &rows);
        PN_(pn_conv_fill)(&p, image, images, row, rows, b.source);
        const ptrdiff_t positions = images * rows * p.grid_width;
        PN_(pn_conv_turn)(&p, p.dy + image * p.out_image + row * p.out_row, b.place, positions, b.panels);
        for (ptrdiff_t panel = 0; panel < panels; panel++)
            for (ptrdiff_t at = 0; at < count; at += PN_MR)
                PN_(pn_conv_weight_micro)(pn_least(PN_MR, count - at), p.rows - panel * PN_NR > PN_LANES, positions,
                                          b.source, b.column, b.row + offset + at,
                                          b.panels + panel * positions * PN_NR, b.sums + (panel * count + at) * PN_NR);
    }
    pn_restore_denormals(mode);
    for (ptrdiff_t i = 0; i < p.rows; i++) {
        const PN_REAL *sum = b.sums + i / PN_NR * count * PN_NR + i % PN_NR;
        PN_REAL *to = p.out + i * k + first;
        for (ptrdiff_t j = 0; j < count; j++) to[j] = sum[j * PN_NR] + (p.accumulate ? to[j] : 0);
    }
    pn_workspace_return(b.workspace);
}

/* call->x and call->w are dy and x; call->out is dw. */
static int PN_(pn_conv_backward_weights)(const pn_conv *call) {
    const ptrdiff_t count = call->kernel_height * call->kernel_width, plane = call->height * call->width;
    const ptrdiff_t depth = call->channels / call->groups, rows = call->filters / call->groups;
    const ptrdiff_t out_plane = call->out_height * call->out_width;
    if (call->filters == 0 || depth * count == 0) return 0;
    if (call->n == 0 || out_plane == 0) {
        if (!call->accumulate) memset(call->out, 0, (size_t)(call->filters * depth * count) * sizeof(PN_REAL));
        return 0;
    }
    pn_taps taps;
    PN_REAL *none;
    pn_workspace *workspace = PN_(pn_conv_scratch)(count, 0, &taps, &none);
    if (!workspace) return -1;
    PN_(pn_conv_forward_taps)(call, &taps);
    int failed = 0;
    for (ptrdiff_t g = 0; g < call->groups && !failed; g++) {
        PN_(pn_conv_product) p = PN_(pn_conv_patches)(call, &taps);
        p.source = (const PN_REAL *)call->w + g * depth * plane;
        p.dy = (const PN_REAL *)call->x + g * rows * out_plane;
        p.out = (PN_REAL *)call->out + g * rows * depth * count;
        PN_(pn_conv_plan)(&p, pn_most(2 * PN_NR, PN_CONV_PANELS / (pn_quotient(rows, PN_NR) * PN_NR *
                                                                    (ptrdiff_t)sizeof(PN_REAL))));
        const double work = (double)(p.images * out_plane) * (double)(rows * depth * count);
        p.parts = pn_parts(work, PN_CONV_LEAST);
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

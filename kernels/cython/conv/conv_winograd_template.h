/* Template, included by conv_template.h: 3 x 3 kernels with stride 1 by Winograd's minimal filtering.
 *
 * Tiles of 2 x 2 outputs take 16 products instead of 36 (Lavin and Gray 2015, F(2x2, 3x3)). With d a tile's 4 x 4
 * inputs and g a kernel, Y = A' [(G g G') (B' d B)] A, in one dimension
 *     B'd = (d0 - d2, d1 + d2, d2 - d1, d1 - d3), Gg = (g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2),
 *     A'm = (m0 + m1 + m2, m1 - m2 - m3).
 * Summed over channels, these are 16 matrix products, one per element of the 4 x 4, over tiles instead of pixels.
 * Every term of an output comes from its own window, so a NaN reaches exactly the outputs that it should. */

/* Tiles are grouped into blocks: whole images, tile rows of an image, or parts of a tile row. */
typedef struct {
    const PN_(pn_conv_product) *product;
    const PN_REAL *w;
    ptrdiff_t w_row, w_channel;
    PN_REAL *weights; /* transformed: (tiles of rows, 16, depth, PN_MR) */
    ptrdiff_t across, down; /* tiles per row and per column of an image */
    ptrdiff_t block_images, block_rows, block_columns, row_blocks, column_blocks, blocks;
    int pack_parts, parts, failed;
} PN_(pn_winograd);

/* One block: its position, and its numbers of images, tile rows and tiles per row. */
typedef struct {
    ptrdiff_t image, row, column, images, rows, columns;
} PN_(pn_winograd_block);

static PN_(pn_winograd) PN_(pn_winograd_plan)(const PN_(pn_conv_product) *p, ptrdiff_t max_tiles) {
    PN_(pn_winograd) plan = {.product = p};
    plan.across = pn_ceil_div(p->grid_width, 2), plan.down = pn_ceil_div(p->grid_height, 2);
    plan.block_columns = pn_ceil_div(plan.across, pn_ceil_div(plan.across, max_tiles));
    plan.column_blocks = pn_ceil_div(plan.across, plan.block_columns);
    const ptrdiff_t rows = plan.column_blocks > 1 ? 1 : pn_min(plan.down, max_tiles / plan.block_columns);
    plan.block_rows = pn_ceil_div(plan.down, pn_ceil_div(plan.down, rows));
    plan.row_blocks = pn_ceil_div(plan.down, plan.block_rows);
    plan.block_images = 1;
    if (plan.column_blocks == 1 && plan.row_blocks == 1)
        plan.block_images = pn_min(p->images, max_tiles / (plan.block_rows * plan.block_columns));
    plan.blocks = pn_ceil_div(p->images, plan.block_images) * plan.row_blocks * plan.column_blocks;
    return plan;
}

/* Whether this is a 3 x 3 kernel with stride 1. */
static int PN_(pn_winograd_fits)(const PN_(pn_conv_product) *p) {
    return p->step_y == 1 && p->step_x == 1 && p->out_column == 1 && p->taps.count == 9 && p->taps.height == 3 &&
           p->taps.width == 3;
}

/* Whether it pays: not with few channels or filters, or if much of the tiles lies outside the images, or of the blocks
 * outside the tiles. */
static int PN_(pn_winograd_serves)(const PN_(pn_conv_product) *p) {
    if (!PN_(pn_winograd_fits)(p) || p->depth == 0) return 0;
    const double products = 16.0 * (double)(PN_(pn_winograd_plan)(p, PN_NR).blocks * PN_NR);
    const double transforms = PN_WINOGRAD_TRANSFORMS * (1.0 / (double)p->depth + 1.0 / (double)p->rows);
    return products * (1.0 + transforms) <
           PN_WINOGRAD_GAIN * 9.0 * (double)(p->images * p->grid_height * p->grid_width);
}

static PN_(pn_winograd_block) PN_(pn_winograd_locate)(const PN_(pn_winograd) *plan, ptrdiff_t index) {
    PN_(pn_winograd_block) b;
    b.column = index % plan->column_blocks * plan->block_columns;
    b.row = index / plan->column_blocks % plan->row_blocks * plan->block_rows;
    b.image = index / plan->column_blocks / plan->row_blocks * plan->block_images;
    b.columns = pn_min(plan->block_columns, plan->across - b.column);
    b.rows = pn_min(plan->block_rows, plan->down - b.row);
    b.images = pn_min(plan->block_images, plan->product->images - b.image);
    return b;
}

static void PN_(pn_winograd_pack_part)(void *argument, int index) {
    const PN_(pn_winograd) *plan = (const PN_(pn_winograd) *)argument;
    const PN_(pn_conv_product) *p = plan->product;
    const ptrdiff_t tiles = pn_ceil_div(p->rows, PN_MR), step = p->depth * PN_MR;
    ptrdiff_t element[9];
    for (int t = 0; t < 9; t++)
        element[(p->taps.y[t] - p->taps.top) * 3 + p->taps.x[t] - p->taps.left] = p->taps.element[t];
    const ptrdiff_t stop = pn_part_start(tiles, 1, index + 1, plan->pack_parts);
    for (ptrdiff_t tile = pn_part_start(tiles, 1, index, plan->pack_parts); tile < stop; tile++) {
        const ptrdiff_t start = PN_(pn_conv_tile_start)(p->rows, tile);
        const ptrdiff_t rows = PN_(pn_conv_tile_start)(p->rows, tile + 1) - start;
        PN_REAL g[9][PN_MR] = {{0}}, half[12][PN_MR];
        for (ptrdiff_t c = 0; c < p->depth; c++) {
            const PN_REAL *from = plan->w + start * plan->w_row + c * plan->w_channel;
            for (ptrdiff_t i = 0; i < rows; i++, from += plan->w_row)
                for (int t = 0; t < 9; t++) g[t][i] = from[element[t]];
            PN_REAL *restrict to = plan->weights + tile * 16 * step + c * PN_MR;
            for (int x = 0; x < 3; x++)
                for (int i = 0; i < PN_MR; i++) {
                    const PN_REAL ends = (g[x][i] + g[6 + x][i]) * (PN_REAL)0.5, middle = g[3 + x][i] * (PN_REAL)0.5;
                    half[x][i] = g[x][i];
                    half[3 + x][i] = ends + middle;
                    half[6 + x][i] = ends - middle;
                    half[9 + x][i] = g[6 + x][i];
                }
            for (int y = 0; y < 4; y++, to += 4 * step)
                for (int i = 0; i < PN_MR; i++) {
                    const PN_REAL ends = (half[3 * y][i] + half[3 * y + 2][i]) * (PN_REAL)0.5;
                    const PN_REAL middle = half[3 * y + 1][i] * (PN_REAL)0.5;
                    to[i] = half[3 * y][i];
                    to[step + i] = ends + middle;
                    to[2 * step + i] = ends - middle;
                    to[3 * step + i] = half[3 * y + 2][i];
                }
        }
    }
}

/* B' along a line, for each of its tiles. */
static inline
    __attribute__((always_inline)) void PN_(pn_winograd_line)(const ptrdiff_t columns, const PN_REAL *restrict line,
                                                              PN_REAL *restrict to, ptrdiff_t plane) {
    PN_SAFE_IN_PLACE
    for (ptrdiff_t t = 0; t < columns; t++) {
        const PN_REAL d0 = line[2 * t], d1 = line[2 * t + 1], d2 = line[2 * t + 2], d3 = line[2 * t + 3];
        to[t] = d0 - d2;
        to[plane + t] = d1 + d2;
        to[2 * plane + t] = d2 - d1;
        to[3 * plane + t] = d1 - d3;
    }
}

/* B' down the columns: even and odd lines are in separate planes; a plane's next line is `below` elements further
 * on. */
static inline
    __attribute__((always_inline)) void PN_(pn_winograd_down)(const ptrdiff_t tiles, const PN_REAL *restrict even,
                                                              const PN_REAL *restrict odd, ptrdiff_t below,
                                                              PN_REAL *restrict to, ptrdiff_t step) {
    PN_SAFE_IN_PLACE
    for (ptrdiff_t q = 0; q < tiles; q++) {
        const PN_REAL d0 = even[q], d1 = odd[q], d2 = even[q + below], d3 = odd[q + below];
        to[q] = d0 - d2;
        to[4 * step + q] = d1 + d2;
        to[8 * step + q] = d2 - d1;
        to[12 * step + q] = d1 - d3;
    }
}

/* Interleave the even and odd columns of an output row. */
static inline
    __attribute__((always_inline)) void PN_(pn_winograd_join)(const ptrdiff_t columns, const PN_REAL *restrict even,
                                                              const PN_REAL *restrict odd, PN_REAL *restrict to) {
    for (ptrdiff_t t = 0; t < columns; t++) to[2 * t] = even[t], to[2 * t + 1] = odd[t];
}

/* Call a function above with an element count known at compile time, for the usual counts. */
#define PN_UNROLLED(function, n, ...)          \
    switch (n) {                               \
    case 4: function(4, __VA_ARGS__); break;   \
    case 8: function(8, __VA_ARGS__); break;   \
    case 16: function(16, __VA_ARGS__); break; \
    case 32: function(32, __VA_ARGS__); break; \
    default: function(n, __VA_ARGS__);         \
    }

/* Lines and planes of PN_WINOGRAD_GROUP channels, so that a store is not read back at once: partial vector stores
 * cannot be forwarded to a load of the whole vector. */
typedef struct {
    PN_REAL *lines, *planes;
    ptrdiff_t width, line_step, plane; /* line width, channel stride of lines, and plane size */
} PN_(pn_winograd_room);

static ptrdiff_t PN_(pn_winograd_make_room)(const PN_(pn_winograd) *plan, PN_(pn_winograd_room) *room) {
    room->width = pn_ceil_div(2 * plan->block_columns + 2, PN_LANES) * PN_LANES;
    room->line_step = plan->block_images * (2 * plan->block_rows + 2) * room->width;
    room->plane = pn_ceil_div(plan->block_images * (plan->block_rows + 1) * plan->block_columns, PN_LANES) * PN_LANES;
    return PN_WINOGRAD_GROUP * (room->line_step + 8 * room->plane);
}

static inline void PN_(pn_winograd_copy)(const PN_REAL *restrict from, ptrdiff_t n, PN_REAL *restrict to,
                                         ptrdiff_t ahead) {
    for (; n >= PN_LANES; n -= PN_LANES, from += PN_LANES, to += PN_LANES) {
        __builtin_prefetch(from + ahead);
        *(PN_(pn_unaligned) *)to = *(const PN_(pn_unaligned) *)from;
    }
    if (n) memcpy(to, from, (size_t)n * sizeof(PN_REAL));
}

/* Write B'dB of a block to `to`: (16, depth, PN_NR), the 16 elements `step` apart. */
static void PN_(pn_winograd_inputs)(const PN_(pn_winograd) *plan, const PN_(pn_winograd_block) *b,
                                    const PN_(pn_winograd_room) *room, PN_REAL *to, ptrdiff_t step) {
    const PN_(pn_conv_product) *p = plan->product;
    const ptrdiff_t first_y = 2 * b->row + p->taps.top, first_x = 2 * b->column + p->taps.left;
    const ptrdiff_t height = 2 * b->rows + 2, width = 2 * b->columns + 2;
    const ptrdiff_t lead = pn_min(pn_max(-first_x, 0), width), start = pn_max(first_x, 0);
    const ptrdiff_t copied = pn_max(0, pn_min(width - lead, p->width - start));
    const ptrdiff_t top = pn_max(0, pn_min(-first_y, height));
    const ptrdiff_t stop = pn_max(top, pn_min(height, p->height - first_y));
    const ptrdiff_t tiles = b->rows * b->columns, plane = room->plane;
    memset(room->lines, 0, (size_t)(PN_WINOGRAD_GROUP * room->line_step) * sizeof(PN_REAL));
    for (ptrdiff_t first = 0; first < p->depth; first += PN_WINOGRAD_GROUP) {
        const ptrdiff_t channels = pn_min(PN_WINOGRAD_GROUP, p->depth - first);
        for (ptrdiff_t c = 0; c < channels; c++)
            for (ptrdiff_t i = 0; i < b->images; i++) {
                PN_REAL *line = room->lines + c * room->line_step + (i * height + top) * room->width + lead;
                const PN_REAL *from = p->source + (b->image + i) * p->source_image + (first + c) * p->source_channel +
                                      (first_y + top) * p->width + start;
                for (ptrdiff_t y = top; y < stop; y++, line += room->width, from += p->width)
                    PN_(pn_winograd_copy)(from, copied, line, PN_WINOGRAD_GROUP * p->source_channel);
            }
        for (ptrdiff_t c = 0; c < channels; c++)
            for (ptrdiff_t i = 0; i < b->images; i++)
                for (ptrdiff_t y = 0; y < height; y++) {
                    const PN_REAL *line = room->lines + c * room->line_step + (i * height + y) * room->width;
                    PN_REAL *transposed =
                        room->planes + (c * 8 + y % 2 * 4) * plane + (i * (b->rows + 1) + y / 2) * b->columns;
                    PN_UNROLLED(PN_(pn_winograd_line), b->columns, line, transposed, plane)
                }
        for (ptrdiff_t c = 0; c < channels; c++, to += PN_NR)
            for (ptrdiff_t i = 0; i < b->images; i++)
                for (ptrdiff_t j = 0; j < 4; j++) {
                    const PN_REAL *even = room->planes + (c * 8 + j) * plane + i * (b->rows + 1) * b->columns;
                    PN_UNROLLED(PN_(pn_winograd_down), tiles, even, even + 4 * plane, b->columns,
                                to + j * step + i * tiles, step)
                }
    }
}

/* A'mA + bias of one filter, the 16 elements `step` apart, to y: (2, 2, PN_NR). */
static inline void PN_(pn_winograd_outputs)(const PN_REAL *restrict m, ptrdiff_t step, PN_REAL bias,
                                            PN_REAL *restrict y) {
    for (ptrdiff_t q = 0; q < PN_NR; q += PN_LANES) {
        PN_(pn_vector) s[2][4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            PN_(pn_vector) v[4];
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) v[i] = *(const PN_(pn_vector) *)(m + (4 * i + j) * step + q);
            s[0][j] = v[0] + v[1] + v[2];
            s[1][j] = v[1] - v[2] - v[3];
        }
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++) {
            *(PN_(pn_vector) *)(y + 2 * i * PN_NR + q) = s[i][0] + s[i][1] + s[i][2] + bias;
            *(PN_(pn_vector) *)(y + (2 * i + 1) * PN_NR + q) = s[i][1] - s[i][2] - s[i][3] + bias;
        }
    }
}

/* Write one filter's outputs of a block to `out`. */
static void PN_(pn_winograd_place)(const PN_(pn_winograd) *plan, const PN_(pn_winograd_block) *b, const PN_REAL *y,
                                   PN_REAL *out) {
    const PN_(pn_conv_product) *p = plan->product;
    const ptrdiff_t columns = pn_min(2 * b->columns, p->grid_width - 2 * b->column);
    const ptrdiff_t rows = pn_min(2 * b->rows, p->grid_height - 2 * b->row);
    for (ptrdiff_t i = 0; i < b->images; i++)
        for (ptrdiff_t r = 0; r < rows; r++) {
            const PN_REAL *even = y + r % 2 * 2 * PN_NR + (i * b->rows + r / 2) * b->columns;
            PN_REAL *to = out + (b->image + i) * p->out_image + (2 * b->row + r) * p->out_row + 2 * b->column;
            PN_UNROLLED(PN_(pn_winograd_join), columns / 2, even, even + PN_NR, to)
            if (columns % 2) to[columns - 1] = even[columns / 2];
        }
}

static void PN_(pn_winograd_part)(void *argument, int index) {
    PN_(pn_winograd) *plan = (PN_(pn_winograd) *)argument;
    const PN_(pn_conv_product) *p = plan->product;
    PN_(pn_winograd_room) room;
    /* One extra cache line, so that the 16 matrices do not map to the same cache sets. */
    const ptrdiff_t step = (p->depth + 1) * PN_NR, product_step = PN_MR * PN_NR;
    const ptrdiff_t room_size = PN_(pn_winograd_make_room)(plan, &room);
    pn_workspace *workspace = pn_workspace_take((size_t)(room_size + 16 * (step + product_step)) * sizeof(PN_REAL));
    if (!workspace) {
        __atomic_store_n(&plan->failed, -1, __ATOMIC_RELAXED);
        return;
    }
    PN_REAL *inputs = (PN_REAL *)pn_workspace_data(workspace), *products = inputs + 16 * step;
    room.lines = products + 16 * product_step, room.planes = room.lines + PN_WINOGRAD_GROUP * room.line_step;
    const ptrdiff_t tiles = pn_ceil_div(p->rows, PN_MR);
    memset(inputs, 0, (size_t)(16 * step) * sizeof(PN_REAL)); /* elements beyond a small block's tiles are read */
    const pn_float_mode mode = pn_flush_denormals();
    const ptrdiff_t stop = pn_part_start(plan->blocks, 1, index + 1, plan->parts);
    for (ptrdiff_t at = pn_part_start(plan->blocks, 1, index, plan->parts); at < stop; at++) {
        const PN_(pn_winograd_block) b = PN_(pn_winograd_locate)(plan, at);
        const int wide = b.images * b.rows * b.columns > PN_LANES;
        PN_(pn_winograd_inputs)(plan, &b, &room, inputs, step);
        for (ptrdiff_t tile = 0; tile < tiles; tile++) {
            const ptrdiff_t first = PN_(pn_conv_tile_start)(p->rows, tile);
            const ptrdiff_t rows = PN_(pn_conv_tile_start)(p->rows, tile + 1) - first;
            for (ptrdiff_t e = 0; e < 16; e++)
                PN_(pn_conv_micro)(rows, wide, p->depth, plan->weights + (tile * 16 + e) * p->depth * PN_MR,
                                   inputs + e * step, NULL, products + e * product_step, PN_NR, 0);
            for (ptrdiff_t i = 0; i < rows; i++) {
                PN_REAL y[4 * PN_NR] __attribute__((aligned(PN_VECTOR_BYTES)));
                const ptrdiff_t channel = (first + i) * p->out_channel;
                PN_(pn_winograd_outputs)(products + i * PN_NR, product_step, p->bias ? p->bias[first + i] : 0, y);
                if (p->pre) PN_(pn_winograd_place)(plan, &b, y, p->pre + channel);
                if (p->code != PN_IDENTITY) PN_(pn_activate)(y, y, 4 * PN_NR, p->code, p->alpha);
                PN_(pn_winograd_place)(plan, &b, y, p->out + channel);
            }
        }
    }
    pn_restore_denormals(mode);
    pn_workspace_return(workspace);
}

static inline ptrdiff_t PN_(pn_winograd_packed)(ptrdiff_t rows, ptrdiff_t depth) {
    return pn_ceil_div(rows, PN_MR) * 16 * depth * PN_MR;
}

static int PN_(pn_winograd_run)(const PN_(pn_conv_product) *p, const PN_REAL *w, ptrdiff_t w_row, ptrdiff_t w_channel) {
    PN_(pn_winograd) plan = PN_(pn_winograd_plan)(p, PN_NR);
    pn_workspace *workspace = pn_workspace_take((size_t)PN_(pn_winograd_packed)(p->rows, p->depth) * sizeof(PN_REAL));
    if (!workspace) return -1;
    plan.w = w, plan.w_row = w_row, plan.w_channel = w_channel;
    plan.weights = (PN_REAL *)pn_workspace_data(workspace);
    plan.pack_parts = pn_parts(64.0 * (double)(p->rows * p->depth), PN_CONV_GRAIN);
    pn_parallel(PN_(pn_winograd_pack_part), &plan, plan.pack_parts);
    const double work = 16.0 * (double)(plan.blocks * PN_NR) * (double)(p->rows * p->depth);
    plan.parts = (int)pn_min(pn_parts(work, PN_CONV_GRAIN), plan.blocks);
    pn_parallel(PN_(pn_winograd_part), &plan, plan.parts);
    pn_workspace_return(workspace);
    return plan.failed;
}

#undef PN_UNROLLED

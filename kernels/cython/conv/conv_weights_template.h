/* Template, included by conv_template.h: the gradient of the weights, dy times patches that are read in place. */

/* Transpose dy into panels of NR rows (filters), one position after another, zero-padded after the last row. */
static void PN_(pn_conv_transpose)(const PN_(pn_conv_product) *p, const PN_REAL *dy, const ptrdiff_t *place,
                                   ptrdiff_t positions, PN_REAL *panel) {
    for (ptrdiff_t first = 0; first < p->rows; first += PN_NR, panel += positions * PN_NR) {
        const ptrdiff_t rows = pn_min(PN_NR, p->rows - first);
        if (rows < PN_NR) memset(panel, 0, (size_t)(positions * PN_NR) * sizeof(PN_REAL));
        for (ptrdiff_t q = 0, run; q < positions; q += run) {
            run = pn_min(PN_LANES, positions - q);
            PN_REAL *restrict to = panel + q * PN_NR;
            const PN_REAL *restrict from = dy + first * p->out_channel;
#ifdef PN_TRANSPOSES
            if (run == PN_LANES && place[q + run - 1] == place[q] + run - 1) {
                for (ptrdiff_t i = 0; i < rows; i += PN_LANES) {
                    PN_(pn_vector) v[PN_LANES];
                    PN_(pn_conv_load_transposed)(from + i * p->out_channel + place[q], p->out_channel, rows - i, v);
#pragma GCC unroll 16
                    for (int j = 0; j < PN_LANES; j++) *(PN_(pn_vector) *)(to + j * PN_NR + i) = v[j];
                }
                continue;
            }
#endif
            for (ptrdiff_t j = 0; j < run; j++)
                for (ptrdiff_t i = 0; i < rows; i++) to[j * PN_NR + i] = from[i * p->out_channel + place[q + j]];
        }
    }
}

/* Each part owns elements [first, stop) of the depth, so no sum is split between threads. */
static void PN_(pn_conv_weights_part)(void *argument, int index) {
    PN_(pn_conv_product) *whole = (PN_(pn_conv_product) *)argument, p = *whole;
    const ptrdiff_t taps = p.taps.count, k = p.depth * taps;
    const ptrdiff_t first = pn_part_start(k, PN_MR, index, p.parts), stop = pn_part_start(k, PN_MR, index + 1, p.parts);
    if (first == stop) return;
    const ptrdiff_t channel = first / taps, offset = first % taps, count = stop - first;
    p.source += channel * p.source_channel;
    p.depth = pn_ceil_div(stop, taps) - channel;
    const ptrdiff_t panels = pn_ceil_div(p.rows, PN_NR), max_positions = p.block_images * p.block_rows * p.grid_width;
    const ptrdiff_t sums = panels * count * PN_NR;
    PN_(pn_conv_block) b;
    if (PN_(pn_conv_take)(&p, panels * max_positions * PN_NR, sums, &b)) {
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
        PN_(pn_conv_transpose)(&p, p.dy + image * p.out_image + row * p.out_row, b.place, positions, b.panels);
        for (ptrdiff_t panel = 0; panel < panels; panel++)
            for (ptrdiff_t tile = 0; tile < pn_ceil_div(count, PN_MR); tile++) {
                const ptrdiff_t at = PN_(pn_conv_tile_start)(count, tile);
                PN_(pn_conv_weight_micro)(PN_(pn_conv_tile_start)(count, tile + 1) - at,
                                          p.rows - panel * PN_NR > PN_LANES, positions, b.source, b.column,
                                          b.row + offset + at, b.panels + panel * positions * PN_NR,
                                          b.sums + (panel * count + at) * PN_NR);
            }
    }
    pn_restore_denormals(mode);
    for (ptrdiff_t i = 0; i < p.rows; i++) {
        const PN_REAL *sum = b.sums + i / PN_NR * count * PN_NR + i % PN_NR;
        PN_REAL *to = p.out + i * k + first;
        for (ptrdiff_t j = 0; j < count; j++) to[j] = sum[j * PN_NR];
    }
    pn_workspace_return(b.workspace);
}

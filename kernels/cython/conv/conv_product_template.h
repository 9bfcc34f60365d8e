/* Template, included by conv_template.h: weights times patches that are packed panel by panel. */

static inline ptrdiff_t PN_(pn_conv_packed)(ptrdiff_t rows, ptrdiff_t k) {
    return pn_ceil_div(rows, PN_MR) * PN_MR * k;
}

/* Pack w[row * w_row + channel * w_channel + taps.element] into tiles of rows, within blocks of depth kc. */
static void PN_(pn_conv_pack_weights)(const PN_(pn_conv_product) *p, const PN_REAL *w, ptrdiff_t w_row,
                                      ptrdiff_t w_channel, PN_REAL *packed) {
    const ptrdiff_t tiles = pn_ceil_div(p->rows, PN_MR), taps = p->taps.count, k = p->depth * taps;
    for (ptrdiff_t first = 0; first < k; first += p->kc) {
        const ptrdiff_t stop = pn_min(first + p->kc, k);
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

/* The number of positions from the first on whose offsets are contiguous. */
static inline ptrdiff_t PN_(pn_conv_run_length)(const ptrdiff_t *offsets, ptrdiff_t count) {
    ptrdiff_t run = 1;
    while (run < count && offsets[run] == offsets[0] + run) run++;
    return run;
}

static inline __attribute__((always_inline)) void PN_(pn_conv_copy)(const int copies, const ptrdiff_t *from,
                                                                    const ptrdiff_t *to, const PN_REAL *source,
                                                                    const ptrdiff_t *row, ptrdiff_t k, PN_REAL *panel) {
    for (ptrdiff_t p = 0; p < k; p++, panel += PN_NR)
        for (int i = 0; i < copies; i++)
            *(PN_(pn_unaligned) *)(panel + to[i]) = *(const PN_(pn_unaligned) *)(source + row[p] + from[i]);
}

/* Pack the patches of `columns` positions into a panel, vector by vector of each run of contiguous positions. What a
 * vector holds beyond its run is overwritten by the next one, at last by the first of the next row or panel. */
static void PN_(pn_conv_pack_patches)(const PN_REAL *source, const ptrdiff_t *column, ptrdiff_t columns,
                                      const ptrdiff_t *row, ptrdiff_t k, PN_REAL *panel) {
    ptrdiff_t from[2 * (PN_VECTOR_BYTES / sizeof(PN_REAL))], to[2 * (PN_VECTOR_BYTES / sizeof(PN_REAL))];
    int copies = 0;
    for (ptrdiff_t j = 0, run; j < columns; j += run) {
        run = PN_(pn_conv_run_length)(column + j, columns - j);
        for (ptrdiff_t i = 0; i < run; i += PN_LANES) from[copies] = column[j + i], to[copies++] = j + i;
    }
    switch (copies) { /* of one row of the image, or of a few: unrolled */
    case 2: PN_(pn_conv_copy)(2, from, to, source, row, k, panel); break;
    case 3: PN_(pn_conv_copy)(3, from, to, source, row, k, panel); break;
    case 4: PN_(pn_conv_copy)(4, from, to, source, row, k, panel); break;
    default: PN_(pn_conv_copy)(copies, from, to, source, row, k, panel);
    }
}

/* One tile of rows times one panel, whose columns need not be contiguous in the output. */
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

/* Save the pre-activation unless `pre` is NULL, then apply the activation, for each run of contiguous positions. */
static void PN_(pn_conv_finish)(const PN_(pn_conv_product) *p, ptrdiff_t base, const ptrdiff_t *place,
                                ptrdiff_t columns) {
    for (ptrdiff_t j = 0, run; j < columns; j += run) {
        run = PN_(pn_conv_run_length)(place + j, columns - j);
        for (ptrdiff_t i = 0; i < p->rows; i++) {
            const ptrdiff_t at = base + i * p->out_channel + place[j];
            if (p->pre) memcpy(p->pre + at, p->out + at, (size_t)run * sizeof(PN_REAL));
            PN_(pn_activate)(p->out + at, p->out + at, run, p->code, p->alpha);
        }
    }
}

static void PN_(pn_conv_part)(void *argument, int index) {
    PN_(pn_conv_product) *p = (PN_(pn_conv_product) *)argument;
    const ptrdiff_t k = p->depth * p->taps.count, tiles = pn_ceil_div(p->rows, PN_MR);
    const ptrdiff_t panel = p->kc * PN_NR;
    const ptrdiff_t max_panels = pn_max(1, PN_CONV_PANELS / (panel * (ptrdiff_t)sizeof(PN_REAL)));
    PN_(pn_conv_block) b;
    if (PN_(pn_conv_take)(p, max_panels * panel + PN_LANES, 0, &b)) {
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
        for (ptrdiff_t first = 0; first < columns; first += max_panels * PN_NR) {
            const ptrdiff_t last = pn_min(first + max_panels * PN_NR, columns);
            for (ptrdiff_t from = 0; from < k; from += p->kc) {
                const ptrdiff_t kc = pn_min(p->kc, k - from);
                const PN_REAL *bias = from + kc == k ? p->bias : NULL;
                PN_REAL *patches = b.panels;
                for (ptrdiff_t j = first; j < last; j += PN_NR, patches += kc * PN_NR)
                    PN_(pn_conv_pack_patches)(b.source, b.column + j, pn_min(PN_NR, last - j), b.row + from, kc,
                                              patches);
                for (ptrdiff_t tile = 0; tile < tiles; tile++) {
                    const ptrdiff_t start = PN_(pn_conv_tile_start)(p->rows, tile);
                    const ptrdiff_t count = PN_(pn_conv_tile_start)(p->rows, tile + 1) - start;
                    const PN_REAL *weights = p->weights + PN_(pn_conv_packed)(p->rows, from) + tile * PN_MR * kc;
                    patches = b.panels;
                    for (ptrdiff_t j = first; j < last; j += PN_NR, patches += kc * PN_NR)
                        PN_(pn_conv_place)(count, kc, weights, patches, bias ? bias + start : NULL,
                                           p->out + base + start * p->out_channel, p->out_channel, b.place + j,
                                           pn_min(PN_NR, last - j), from > 0);
                }
            }
            if (p->pre || p->code != PN_IDENTITY) PN_(pn_conv_finish)(p, base, b.place + first, last - first);
        }
    }
    pn_restore_denormals(mode);
    pn_workspace_return(b.workspace);
}

/* Template, included by pooling.h once per floating type. */

#ifndef PN_POOL_AVX512
/* Adjacent 2 x 2 windows, by far the most common: `rows` result rows of `n` each. */
static void PN_(pn_max_2x2)(const PN_REAL *x, ptrdiff_t width, ptrdiff_t rows, ptrdiff_t n, PN_REAL *y,
                            uint16_t *index) {
    for (ptrdiff_t i = 0; i < rows; i++, x += 2 * width, y += n) {
        const PN_REAL *below = x + width;
        for (ptrdiff_t j = PN_(pn_max_2x2_start)(x, below, n, y, index); j < n; j++) {
            const PN_REAL elements[4] = {x[2 * j], x[2 * j + 1], below[2 * j], below[2 * j + 1]};
            int best = 0;
            for (int k = 1; k < 4; k++)
                if (!(elements[k] <= elements[best]) && elements[best] == elements[best]) best = k;
            y[j] = elements[best];
            if (index) index[j] = (uint16_t)best;
        }
        if (index) index += n;
    }
}

static void PN_(pn_max_2x2_backward)(const PN_REAL *dy, const uint16_t *index, ptrdiff_t rows, ptrdiff_t n, PN_REAL *dx,
                                     ptrdiff_t width) {
    for (ptrdiff_t i = 0; i < rows; i++, dy += n, index += n, dx += 2 * width) {
        PN_REAL *below = dx + width;
        for (ptrdiff_t j = PN_(pn_max_2x2_back_start)(dy, index, n, dx, below); j < n; j++) {
            const PN_REAL g = dy[j];
            const int element = index[j];
            dx[2 * j] = element == 0 ? g : 0;
            dx[2 * j + 1] = element == 1 ? g : 0;
            below[2 * j] = element == 2 ? g : 0;
            below[2 * j + 1] = element == 3 ? g : 0;
        }
    }
}
#endif

/* 2 x 2 windows in some planes, which form one tall plane if no row is left over. */
static void PN_(pn_max_2x2_part)(void *argument, int part) {
    const pn_pooling *p = (const pn_pooling *)argument;
    const ptrdiff_t lanes = PN_VECTOR_BYTES / sizeof(PN_REAL);
    const ptrdiff_t first = pn_part_start(p->planes, lanes, part, p->parts);
    const ptrdiff_t planes = pn_part_start(p->planes, lanes, part + 1, p->parts) - first;
    const ptrdiff_t plane = p->height * p->width, out_plane = p->out_height * p->out_width;
    const int whole = 2 * p->out_height == p->height;
    const ptrdiff_t pieces = whole ? 1 : planes, rows = whole ? planes * p->out_height : p->out_height;
    if (p->backward && (!whole || 2 * p->out_width < p->width))
        memset((PN_REAL *)p->y + first * plane, 0, (size_t)(planes * plane) * sizeof(PN_REAL));
    for (ptrdiff_t i = first; i < first + pieces; i++) {
        uint16_t *index = p->index ? p->index + i * out_plane : NULL;
        if (p->backward)
            PN_(pn_max_2x2_backward)((const PN_REAL *)p->x + i * out_plane, index, rows, p->out_width,
                                     (PN_REAL *)p->y + i * plane, p->width);
        else
            PN_(pn_max_2x2)((const PN_REAL *)p->x + i * plane, p->width, rows, p->out_width,
                            (PN_REAL *)p->y + i * out_plane, index);
    }
}

/* Means of whole planes. */
static void PN_(pn_whole_part)(void *argument, int part) {
    const pn_pooling *p = (const pn_pooling *)argument;
    const ptrdiff_t plane = p->height * p->width, stop = pn_part_start(p->planes, 1, part + 1, p->parts);
    const PN_REAL *x = (const PN_REAL *)p->x;
    PN_REAL *y = (PN_REAL *)p->y;
    for (ptrdiff_t i = pn_part_start(p->planes, 1, part, p->parts); i < stop; i++)
        if (p->backward) {
            const PN_REAL share = x[i] / (PN_REAL)plane;
            for (ptrdiff_t j = i * plane; j < (i + 1) * plane; j++) y[j] = share;
        } else {
            y[i] = (PN_REAL)(PN_(pn_row_sum)(x + i * plane, plane) / (double)plane);
        }
}

static void PN_(pn_pool_part)(void *argument, int part) {
    const pn_pooling *p = (const pn_pooling *)argument;
    const ptrdiff_t lanes = PN_VECTOR_BYTES / sizeof(PN_REAL);
    const ptrdiff_t stop = pn_part_start(p->planes, lanes, part + 1, p->parts);
    for (ptrdiff_t i = pn_part_start(p->planes, lanes, part, p->parts); i < stop; i += lanes) {
        const ptrdiff_t planes = pn_min(stop - i, lanes);
        if (p->backward)
            PN_(pn_pool_group_backward)(p, part, i, planes);
        else
            PN_(pn_pool_group)(p, part, i, planes);
    }
}

#undef PN_REAL
#undef PN_INT
#undef PN_

/* Template, included by pooling.h once per floating type: windows of any geometry, over a group of planes that
 * are transposed (common/plane_transpose.h). Some rows at a time, which stay in cache. */

#define PN_LANES ((ptrdiff_t)(PN_VECTOR_BYTES / sizeof(PN_REAL)))

typedef PN_INT PN_(pn_whole) __attribute__((vector_size(PN_VECTOR_BYTES)));
typedef uint16_t PN_(pn_short)
    __attribute__((vector_size(2 * PN_VECTOR_BYTES / sizeof(PN_REAL)), aligned(2), may_alias));

/* Like pn_planes_to_lanes and pn_lanes_to_planes, for indices within windows; in vectors they are as wide as
 * elements. */
static void PN_(pn_places_to_lanes)(const uint16_t *from, ptrdiff_t plane, ptrdiff_t planes, ptrdiff_t n,
                                    PN_(pn_whole) *to) {
    for (ptrdiff_t j = 0; j < n && n < PN_LANES; j++)
        for (ptrdiff_t k = 0; k < PN_LANES; k++)
            ((PN_INT *)(to + j))[k] = from[(k < planes ? k : planes - 1) * plane + j];
    for (ptrdiff_t j = 0; j < n && n >= PN_LANES; j += PN_LANES) {
        PN_(pn_vector) v[PN_LANES];
        if (j > n - PN_LANES) j = n - PN_LANES;
        for (ptrdiff_t k = 0; k < PN_LANES; k++) {
            const uint16_t *place = from + (k < planes ? k : planes - 1) * plane + j;
            v[k] = (PN_(pn_vector))__builtin_convertvector(*(const PN_(pn_short) *)place, PN_(pn_whole));
        }
        PN_(pn_transpose_lanes)(v);
        for (ptrdiff_t k = 0; k < PN_LANES; k++) to[j + k] = (PN_(pn_whole))v[k];
    }
}

static void PN_(pn_lanes_to_places)(const PN_(pn_whole) *from, ptrdiff_t plane, ptrdiff_t planes, ptrdiff_t n,
                                    uint16_t *to) {
    for (ptrdiff_t j = 0; j < n && n < PN_LANES; j++)
        for (ptrdiff_t k = 0; k < planes; k++) to[k * plane + j] = (uint16_t)((const PN_INT *)(from + j))[k];
    for (ptrdiff_t j = 0; j < n && n >= PN_LANES; j += PN_LANES) {
        PN_(pn_vector) v[PN_LANES];
        if (j > n - PN_LANES) j = n - PN_LANES;
        for (ptrdiff_t k = 0; k < PN_LANES; k++) v[k] = (PN_(pn_vector))from[j + k];
        PN_(pn_transpose_lanes)(v);
        for (ptrdiff_t k = 0; k < PN_LANES; k++)
            if (k < planes)
                *(PN_(pn_short) *)(to + k * plane + j) = __builtin_convertvector((PN_(pn_whole))v[k], PN_(pn_short));
    }
}

/* Replace the best so far by v where v is larger or NaN: NaN counts as the largest. */
static inline __attribute__((always_inline)) void PN_(pn_compare)(PN_(pn_vector) v, PN_INT element,
                                                                  PN_(pn_vector) *best, PN_(pn_whole) *which) {
#ifdef PN_POOL_AVX512
    PN_(pn_mask) better;
    *best = (PN_(pn_vector))PN_(pn_larger)(*best, v, &better);
    *which = (PN_(pn_whole))PN_(pn_mark)((__m512i)*which, better, element);
#else
    const PN_(pn_whole) better = ~(PN_(pn_whole))(v <= *best) & (PN_(pn_whole))(*best == *best);
    *best = (PN_(pn_vector))((better & (PN_(pn_whole))v) | (~better & (PN_(pn_whole))*best));
    *which = (better & element) | (~better & *which);
#endif
}

/* The maximum of a window: `rows` x `columns` elements of the image, `down` and `right` apart, the first of which is
 * element `first` of the window. `rows` and `columns` are constants once inlined. */
static inline __attribute__((always_inline)) void PN_(pn_max_window)(const ptrdiff_t rows, const ptrdiff_t columns,
                                                                     const pn_pooling *p, const PN_(pn_vector) *x,
                                                                     ptrdiff_t down, ptrdiff_t right, ptrdiff_t first,
                                                                     PN_(pn_vector) *y, PN_(pn_whole) *index) {
    PN_(pn_vector) best = *x;
    PN_(pn_whole) which = (PN_(pn_whole)){0} + (PN_INT)first;
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t s = 0; s < columns; s++)
            PN_(pn_compare)(x[r * down + s * right], (PN_INT)(first + r * p->kernel_width + s), &best, &which);
    *y = best, *index = which;
}

static inline __attribute__((always_inline)) void PN_(pn_mean_window)(const ptrdiff_t rows, const ptrdiff_t columns,
                                                                      const PN_(pn_vector) *x, ptrdiff_t down,
                                                                      PN_REAL counted, PN_(pn_vector) *y) {
    PN_(pn_vector) total = {0};
    for (ptrdiff_t r = 0; r < rows; r++) {
        PN_(pn_vector) sum = {0};
        for (ptrdiff_t s = 0; s < columns; s++) sum += x[r * down + s];
        total += sum;
    }
    *y = total / counted;
}

static inline __attribute__((always_inline)) void PN_(pn_max_window_backward)(
    const ptrdiff_t rows, const ptrdiff_t columns, const pn_pooling *p, PN_(pn_vector) dy, PN_(pn_whole) index,
    ptrdiff_t down, ptrdiff_t right, ptrdiff_t first, PN_(pn_vector) *dx) {
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t s = 0; s < columns; s++) {
            const PN_(pn_whole) here = index == (PN_INT)(first + r * p->kernel_width + s);
            dx[r * down + s * right] += (PN_(pn_vector))((PN_(pn_whole))dy & here);
        }
}

static inline
    __attribute__((always_inline)) void PN_(pn_mean_window_backward)(const ptrdiff_t rows, const ptrdiff_t columns,
                                                                     PN_(pn_vector) share, ptrdiff_t down,
                                                                     PN_(pn_vector) *dx) {
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t s = 0; s < columns; s++) dx[r * down + s] += share;
}

/* Constants for the usual windows: 3 x 3 maxima take nine tenths of the time, their gradient three quarters. */
#define PN_WINDOW(name, ...)                              \
    do {                                                  \
        if (rows.count == 3 && columns.count == 3)        \
            name(3, 3, __VA_ARGS__);                      \
        else if (rows.count == 2 && columns.count == 2)   \
            name(2, 2, __VA_ARGS__);                      \
        else                                              \
            name(rows.count, columns.count, __VA_ARGS__); \
    } while (0)

/* For each window of a row: `rows` and p->columns select its elements, `x` points to the start of its first image
 * row. */
static void PN_(pn_max_row)(const pn_pooling *p, pn_reach rows, const PN_(pn_vector) *x, PN_(pn_vector) *y,
                            PN_(pn_whole) *index) {
    const ptrdiff_t down = p->dilation_y * p->width, right = p->dilation_x;
    for (ptrdiff_t j = 0; j < p->out_width; j++) {
        const pn_reach columns = p->columns[j];
        const ptrdiff_t first = rows.skipped * p->kernel_width + columns.skipped;
        if (rows.count == 0 || columns.count == 0) { /* entirely in the padding */
            y[j] = (PN_(pn_vector)){0} - (PN_REAL)INFINITY, index[j] = (PN_(pn_whole)){0};
            continue;
        }
        PN_WINDOW(PN_(pn_max_window), p, x + columns.start, down, right, first, y + j, index + j);
    }
}

static void PN_(pn_mean_row)(const pn_pooling *p, pn_reach rows, const PN_(pn_vector) *x, PN_(pn_vector) *y) {
    for (ptrdiff_t j = 0; j < p->out_width; j++) {
        const pn_reach columns = p->columns[j];
        const PN_REAL counted = (PN_REAL)(rows.counted * columns.counted);
        PN_WINDOW(PN_(pn_mean_window), x + columns.start, p->width, counted, y + j);
    }
}

static void PN_(pn_max_row_backward)(const pn_pooling *p, pn_reach rows, const PN_(pn_vector) *dy,
                                     const PN_(pn_whole) *index, PN_(pn_vector) *dx) {
    const ptrdiff_t down = p->dilation_y * p->width, right = p->dilation_x;
    for (ptrdiff_t j = 0; j < p->out_width; j++) {
        const pn_reach columns = p->columns[j];
        const ptrdiff_t first = rows.skipped * p->kernel_width + columns.skipped;
        PN_WINDOW(PN_(pn_max_window_backward), p, dy[j], index[j], down, right, first, dx + columns.start);
    }
}

static void PN_(pn_mean_row_backward)(const pn_pooling *p, pn_reach rows, const PN_(pn_vector) *dy,
                                      PN_(pn_vector) *dx) {
    for (ptrdiff_t j = 0; j < p->out_width; j++) {
        const pn_reach columns = p->columns[j];
        const PN_(pn_vector) share = dy[j] / (PN_REAL)(rows.counted * columns.counted);
        PN_WINDOW(PN_(pn_mean_window_backward), share, p->width, dx + columns.start);
    }
}
#undef PN_WINDOW

/* Buffers of a part: image rows, result rows, and indices within windows. */
typedef struct {
    PN_(pn_vector) *image, *pooled;
    PN_(pn_whole) *places;
} PN_(pn_pool_buffers);

static PN_(pn_pool_buffers) PN_(pn_pool_buffers_of)(const pn_pooling *p, int index) {
    char *begin = (char *)p->scratch + (size_t)index * p->part_bytes;
    PN_(pn_pool_buffers) b;
    b.image = (PN_(pn_vector) *)begin;
    b.pooled = b.image + p->band_rows * p->width;
    b.places = (PN_(pn_whole) *)(b.pooled + p->band_out * p->out_width);
    return b;
}

/* All windows of `planes` planes, at most PN_LANES. */
static void PN_(pn_pool_group)(const pn_pooling *p, int part, ptrdiff_t first, ptrdiff_t planes) {
    const PN_(pn_pool_buffers) b = PN_(pn_pool_buffers_of)(p, part);
    const ptrdiff_t plane = p->height * p->width, out_plane = p->out_height * p->out_width;
    const PN_REAL *x = (const PN_REAL *)p->x + first * plane;
    for (ptrdiff_t i = 0, stop; i < p->out_height; i = stop) {
        const ptrdiff_t low = pn_pool_rows(p, i).from;
        stop = pn_pool_band(p, i, low);
        const ptrdiff_t rows = pn_pool_rows(p, stop - 1).stop - low, n = (stop - i) * p->out_width;
        PN_(pn_planes_to_lanes)(x + low * p->width, plane, planes, rows * p->width, b.image);
        for (ptrdiff_t k = i; k < stop; k++) {
            const pn_reach reach = pn_pool_rows(p, k);
            const PN_(pn_vector) *row = b.image + (reach.start - low) * p->width;
            if (p->mean)
                PN_(pn_mean_row)(p, reach, row, b.pooled + (k - i) * p->out_width);
            else
                PN_(pn_max_row)(p, reach, row, b.pooled + (k - i) * p->out_width, b.places + (k - i) * p->out_width);
        }
        const ptrdiff_t at = first * out_plane + i * p->out_width;
        PN_(pn_lanes_to_planes)(b.pooled, out_plane, planes, n, (PN_REAL *)p->y + at);
        if (p->index) PN_(pn_lanes_to_places)(b.places, out_plane, planes, n, p->index + at);
    }
}

/* Rows that no later window covers are written; the others move to the start of the buffer. */
static void PN_(pn_pool_group_backward)(const pn_pooling *p, int part, ptrdiff_t first, ptrdiff_t planes) {
    const PN_(pn_pool_buffers) b = PN_(pn_pool_buffers_of)(p, part);
    const ptrdiff_t plane = p->height * p->width, out_plane = p->out_height * p->out_width, width = p->width;
    const size_t row_bytes = (size_t)width * sizeof *b.image;
    PN_REAL *dx = (PN_REAL *)p->y + first * plane;
    ptrdiff_t low = 0, filled = 0; /* image row at the start of the buffer, and number of rows in use */
    memset(b.image, 0, (size_t)p->band_rows * row_bytes);
    for (ptrdiff_t i = 0, stop; i < p->out_height; i = stop) {
        stop = pn_pool_band(p, i, low);
        const ptrdiff_t n = (stop - i) * p->out_width, at = first * out_plane + i * p->out_width;
        PN_(pn_planes_to_lanes)((const PN_REAL *)p->x + at, out_plane, planes, n, b.pooled);
        if (!p->mean) PN_(pn_places_to_lanes)(p->index + at, out_plane, planes, n, b.places);
        for (ptrdiff_t k = i; k < stop; k++) {
            const pn_reach reach = pn_pool_rows(p, k);
            PN_(pn_vector) *row = b.image + (reach.start - low) * width;
            if (p->mean)
                PN_(pn_mean_row_backward)(p, reach, b.pooled + (k - i) * p->out_width, row);
            else
                PN_(pn_max_row_backward)(p, reach, b.pooled + (k - i) * p->out_width, b.places + (k - i) * p->out_width,
                                         row);
        }
        filled = pn_pool_rows(p, stop - 1).stop - low;
        const ptrdiff_t next = stop < p->out_height ? pn_pool_rows(p, stop).from : p->height;
        const ptrdiff_t done = pn_min(next - low, filled);
        PN_(pn_lanes_to_planes)(b.image, plane, planes, done * width, dx + low * width);
        for (ptrdiff_t k = 0; k < planes && low + done < next; k++)
            memset(dx + k * plane + (low + done) * width, 0, (size_t)((next - low - done) * width) * sizeof(PN_REAL));
        memmove(b.image, b.image + done * width, (size_t)(filled - done) * row_bytes);
        memset(b.image + (filled - done) * width, 0, (size_t)done * row_bytes);
        low = next;
    }
}

#undef PN_LANES

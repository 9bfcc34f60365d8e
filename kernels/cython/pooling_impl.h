/* Template, included by pooling.h once per floating type. `at` and `out_at` are where the plane begins in the image and
 * in the result of the forward pass. */

/* Compare an element of the windows of a row with the best so far. A NaN is the largest. */
static inline __attribute__((always_inline)) void PN_(pn_max_step)(
    const PN_REAL *restrict x, const ptrdiff_t step, ptrdiff_t n, PN_INT element, PN_REAL *restrict best,
    PN_INT *restrict which) {
    for (ptrdiff_t j = 0; j < n; j++) {
        const PN_REAL v = x[j * step], b = best[j];
        const int better = !(v <= b) & (b == b);
        best[j] = better ? v : b;
        which[j] = better ? element : which[j];
    }
}

#ifndef PN_POOL_AVX512
/* Windows of 2 x 2 side by side, by far the most common: `rows` rows of results of `n` each. */
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

/* `n` windows from position j on of output row i. */
static inline void PN_(pn_max_chunk)(const pn_pooling *p, const PN_REAL *x, ptrdiff_t i, ptrdiff_t j, ptrdiff_t n,
                                     PN_REAL *best, PN_INT *which) {
    for (ptrdiff_t q = 0; q < n; q++) best[q] = (PN_REAL)-INFINITY, which[q] = 0;
    int started = 0;
    for (ptrdiff_t r = 0; r < p->kernel_height; r++) {
        const ptrdiff_t y = i * p->stride_y + r * p->dilation_y - p->top;
        if (y < 0 || y >= p->height) continue;
        const PN_REAL *row = x + y * p->width;
        ptrdiff_t first, stop;
        /* Where every element is -Inf, the first in the image is the largest. */
        for (ptrdiff_t s = p->kernel_width - 1; s >= 0 && !started && p->top + p->left > 0; s--) {
            pn_pool_within(p->width, p->stride_x, j * p->stride_x + s * p->dilation_x - p->left, n, &first, &stop);
            for (ptrdiff_t q = first; q < stop; q++) which[q] = (PN_INT)(r * p->kernel_width + s);
        }
        started = 1;
        for (ptrdiff_t s = 0; s < p->kernel_width; s++) {
            const ptrdiff_t offset = j * p->stride_x + s * p->dilation_x - p->left;
            pn_pool_within(p->width, p->stride_x, offset, n, &first, &stop);
            if (first == stop) continue;
            const PN_REAL *from = row + offset + first * p->stride_x;
            const PN_INT element = (PN_INT)(r * p->kernel_width + s);
            if (p->stride_x == 1)
                PN_(pn_max_step)(from, 1, stop - first, element, best + first, which + first);
            else if (p->stride_x == 2)
                PN_(pn_max_step)(from, 2, stop - first, element, best + first, which + first);
            else
                PN_(pn_max_step)(from, p->stride_x, stop - first, element, best + first, which + first);
        }
    }
}

static void PN_(pn_max_pool)(const pn_pooling *p, ptrdiff_t at, ptrdiff_t out_at) {
    const PN_REAL *x = (const PN_REAL *)p->x + at;
    PN_REAL *y = (PN_REAL *)p->y + out_at;
    uint16_t *index = p->index ? p->index + out_at : NULL;
    PN_INT which[PN_POOL_CHUNK];
    if (pn_pool_is_2x2(p)) {
        PN_(pn_max_2x2)(x, p->width, p->out_height, p->out_width, y, index);
        return;
    }
    for (ptrdiff_t i = 0; i < p->out_height; i++)
        for (ptrdiff_t j = 0; j < p->out_width; j += PN_POOL_CHUNK) {
            const ptrdiff_t n = p->out_width - j < PN_POOL_CHUNK ? p->out_width - j : PN_POOL_CHUNK;
            PN_REAL *best = y + i * p->out_width + j;
            PN_(pn_max_chunk)(p, x, i, j, n, best, which);
            if (!index) continue;
            uint16_t *restrict to = index + i * p->out_width + j;
            for (ptrdiff_t q = 0; q < n; q++) to[q] = (uint16_t)which[q];
        }
}

static void PN_(pn_max_pool_backward)(const pn_pooling *p, ptrdiff_t at, ptrdiff_t out_at) {
    const PN_REAL *dy = (const PN_REAL *)p->x + out_at;
    PN_REAL *dx = (PN_REAL *)p->y + at;
    const uint16_t *index = p->index + out_at;
    const int simple = pn_pool_is_2x2(p);
    if (!simple || 2 * p->out_height < p->height || 2 * p->out_width < p->width)
        memset(dx, 0, (size_t)(p->height * p->width) * sizeof(PN_REAL));
    if (simple) {
        PN_(pn_max_2x2_backward)(dy, index, p->out_height, p->out_width, dx, p->width);
        return;
    }
    for (ptrdiff_t i = 0; i < p->out_height; i++, dy += p->out_width, index += p->out_width)
        for (ptrdiff_t j = 0; j < p->out_width; j++) {
            const ptrdiff_t r = index[j] / p->kernel_width, s = index[j] % p->kernel_width;
            const ptrdiff_t y = i * p->stride_y + r * p->dilation_y - p->top;
            const ptrdiff_t u = j * p->stride_x + s * p->dilation_x - p->left;
            if (y >= 0 && y < p->height && u >= 0 && u < p->width) dx[y * p->width + u] += dy[j];
        }
}

static void PN_(pn_avg_pool)(const pn_pooling *p, ptrdiff_t at, ptrdiff_t out_at) {
    const PN_REAL *x = (const PN_REAL *)p->x + at;
    for (ptrdiff_t i = 0; i < p->out_height; i++) {
        PN_REAL *restrict y = (PN_REAL *)p->y + out_at + i * p->out_width;
        for (ptrdiff_t j = 0; j < p->out_width; j++) y[j] = 0;
        for (ptrdiff_t r = 0; r < p->kernel_height; r++) {
            const ptrdiff_t row = i * p->stride_y + r - p->top;
            if (row < 0 || row >= p->height) continue;
            for (ptrdiff_t s = 0; s < p->kernel_width; s++) {
                ptrdiff_t first, stop;
                pn_pool_within(p->width, p->stride_x, s - p->left, p->out_width, &first, &stop);
                const PN_REAL *from = x + row * p->width + s - p->left;
                for (ptrdiff_t j = first; j < stop; j++) y[j] += from[j * p->stride_x];
            }
        }
        const ptrdiff_t rows = pn_pool_counted(i, p->stride_y, p->top, p->kernel_height, p->height, p->count_padding);
        for (ptrdiff_t j = 0; j < p->out_width; j++)
            y[j] /= (PN_REAL)(rows * pn_pool_counted(j, p->stride_x, p->left, p->kernel_width, p->width, p->count_padding));
    }
}

static void PN_(pn_avg_pool_backward)(const pn_pooling *p, ptrdiff_t at, ptrdiff_t out_at) {
    PN_REAL *dx = (PN_REAL *)p->y + at, share[PN_POOL_CHUNK];
    memset(dx, 0, (size_t)(p->height * p->width) * sizeof(PN_REAL));
    for (ptrdiff_t i = 0; i < p->out_height; i++) {
        const PN_REAL *dy = (const PN_REAL *)p->x + out_at + i * p->out_width;
        const ptrdiff_t rows = pn_pool_counted(i, p->stride_y, p->top, p->kernel_height, p->height, p->count_padding);
        for (ptrdiff_t begin = 0; begin < p->out_width; begin += PN_POOL_CHUNK) {
            const ptrdiff_t n = p->out_width - begin < PN_POOL_CHUNK ? p->out_width - begin : PN_POOL_CHUNK;
            for (ptrdiff_t j = 0; j < n; j++)
                share[j] = dy[begin + j] / (PN_REAL)(rows * pn_pool_counted(begin + j, p->stride_x, p->left,
                                                                           p->kernel_width, p->width, p->count_padding));
            for (ptrdiff_t r = 0; r < p->kernel_height; r++) {
                const ptrdiff_t row = i * p->stride_y + r - p->top;
                if (row < 0 || row >= p->height) continue;
                for (ptrdiff_t s = 0; s < p->kernel_width; s++) {
                    ptrdiff_t first, stop;
                    const ptrdiff_t offset = begin * p->stride_x + s - p->left;
                    pn_pool_within(p->width, p->stride_x, offset, n, &first, &stop);
                    PN_REAL *to = dx + row * p->width + offset;
                    for (ptrdiff_t j = first; j < stop; j++) to[j * p->stride_x] += share[j];
                }
            }
        }
    }
}

#define PN_FIRST(i, size, count) ((i) * (size) / (count))
#define PN_STOP(i, size, count) ((((i) + 1) * (size) + (count)-1) / (count))

static void PN_(pn_adaptive_pool)(const pn_pooling *p, ptrdiff_t at, ptrdiff_t out_at) {
    const PN_REAL *x = (const PN_REAL *)p->x + at;
    PN_REAL *y = (PN_REAL *)p->y + out_at;
    for (ptrdiff_t i = 0; i < p->out_height; i++) {
        const ptrdiff_t top = PN_FIRST(i, p->height, p->out_height), bottom = PN_STOP(i, p->height, p->out_height);
        for (ptrdiff_t j = 0; j < p->out_width; j++) {
            const ptrdiff_t left = PN_FIRST(j, p->width, p->out_width), right = PN_STOP(j, p->width, p->out_width);
            double total = 0;
            if (right - left == p->width)
                total = PN_(pn_row_sum)(x + top * p->width, (bottom - top) * p->width);
            else
                for (ptrdiff_t r = top; r < bottom; r++)
                    for (ptrdiff_t s = left; s < right; s++) total += (double)x[r * p->width + s];
            *y++ = (PN_REAL)(total / (double)((bottom - top) * (right - left)));
        }
    }
}

static void PN_(pn_adaptive_pool_backward)(const pn_pooling *p, ptrdiff_t at, ptrdiff_t out_at) {
    const PN_REAL *dy = (const PN_REAL *)p->x + out_at;
    PN_REAL *dx = (PN_REAL *)p->y + at;
    memset(dx, 0, (size_t)(p->height * p->width) * sizeof(PN_REAL));
    for (ptrdiff_t i = 0; i < p->out_height; i++) {
        const ptrdiff_t top = PN_FIRST(i, p->height, p->out_height), bottom = PN_STOP(i, p->height, p->out_height);
        for (ptrdiff_t j = 0; j < p->out_width; j++) {
            const ptrdiff_t left = PN_FIRST(j, p->width, p->out_width), right = PN_STOP(j, p->width, p->out_width);
            const PN_REAL share = *dy++ / (PN_REAL)((bottom - top) * (right - left));
            for (ptrdiff_t r = top; r < bottom; r++)
                for (ptrdiff_t s = left; s < right; s++) dx[r * p->width + s] += share;
        }
    }
}

#undef PN_FIRST
#undef PN_STOP
#undef PN_REAL
#undef PN_INT
#undef PN_

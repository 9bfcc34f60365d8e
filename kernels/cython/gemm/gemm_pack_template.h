/* Template, included by gemm_template.h: packing of operands into panels. */

#ifdef PN_TRANSPOSES
/* Transpose LANES rows of LANES elements, of which `filled` rows and `depth` elements exist. */
static inline __attribute__((always_inline)) void PN_(pn_pack_square)(const PN_REAL *source, ptrdiff_t row_stride,
                                                                      ptrdiff_t filled, ptrdiff_t depth,
                                                                      const ptrdiff_t width, PN_REAL *panel) {
    PN_(pn_vector) v[PN_LANES];
#pragma GCC unroll 16
    for (int i = 0; i < PN_LANES; i++) {
        const PN_REAL *row = source + i * row_stride;
        v[i] = i >= filled         ? (PN_(pn_vector)){0}
               : depth == PN_LANES ? (PN_(pn_vector))(*(const PN_(pn_unaligned) *)row)
                                   : PN_(pn_load_part)(row, depth);
    }
    PN_(pn_transpose)(v);
#pragma GCC unroll 16
    for (int i = 0; i < PN_LANES; i++)
        if (i < depth) *(PN_(pn_unaligned) *)(panel + i * width) = v[i];
}

/* Pack a panel from contiguous rows; it must have room for LANES extra elements. If the width is not a multiple of
 * LANES, a store overlaps the next element of k: squares of later rows go first, so the overlap is overwritten.
 * Returns how many elements of k are packed: all, if masked loads are available. */
static inline __attribute__((always_inline)) ptrdiff_t PN_(pn_pack_squares)(const PN_REAL *source, ptrdiff_t row_stride,
                                                                            ptrdiff_t filled, ptrdiff_t k,
                                                                            const ptrdiff_t width, PN_REAL *panel) {
    ptrdiff_t p = 0;
    for (; p + PN_LANES <= k; p += PN_LANES)
        for (ptrdiff_t r = (width - 1) / PN_LANES * PN_LANES; r >= 0; r -= PN_LANES) {
            const PN_REAL *corner = source + r * row_stride + p;
            if (filled - r >= PN_LANES)
                PN_(pn_pack_square)(corner, row_stride, PN_LANES, PN_LANES, width, panel + p * width + r);
            else
                PN_(pn_pack_square)(corner, row_stride, filled - r, PN_LANES, width, panel + p * width + r);
        }
#ifdef PN_LOAD_MASKED
    for (ptrdiff_t r = (width - 1) / PN_LANES * PN_LANES; r >= 0 && p < k; r -= PN_LANES)
        PN_(pn_pack_square)(source + r * row_stride + p, row_stride, filled - r, k - p, width, panel + p * width + r);
    p = k;
#endif
    return p;
}
#endif

/* Pack one panel of `width` rows, of which `filled` exist. */
static inline
    __attribute__((always_inline)) void PN_(pn_pack_panel)(const PN_REAL *restrict source, ptrdiff_t row_stride,
                                                           ptrdiff_t k_stride, ptrdiff_t filled, ptrdiff_t k,
                                                           const ptrdiff_t width, PN_REAL *restrict panel) {
    ptrdiff_t p = 0;
#ifdef PN_TRANSPOSES
    if (k_stride == 1) p = PN_(pn_pack_squares)(source, row_stride, filled, k, width, panel);
#endif
    if (filled == width) {
        for (; p < k; p++)
            for (ptrdiff_t i = 0; i < width; i++) panel[p * width + i] = source[i * row_stride + p * k_stride];
        return;
    }
    memset(panel + p * width, 0, (size_t)(width * (k - p)) * sizeof(PN_REAL));
    for (; p < k; p++)
        for (ptrdiff_t i = 0; i < filled; i++) panel[p * width + i] = source[i * row_stride + p * k_stride];
}

/* Copy a (rows x k) block with strides into panels of `width` rows, each stored k-major and padded with zeros. Rows
 * that lie side by side are copied eight panels at a time, so that whole lines are read, and prefetched eight k ahead,
 * because the processor does not foresee the jump to the next (1-5%). */
static inline __attribute__((always_inline)) void PN_(pn_pack)(const PN_REAL *restrict source, ptrdiff_t row_stride,
                                                               ptrdiff_t k_stride, ptrdiff_t rows, ptrdiff_t k,
                                                               const ptrdiff_t width, PN_REAL *restrict panels) {
    const ptrdiff_t together = row_stride == 1 ? rows / width * width : 0;
    for (ptrdiff_t first = 0; first < together; first += 8 * width) {
        const ptrdiff_t stop = pn_min(together, first + 8 * width);
        for (ptrdiff_t p = 0; p < k; p++)
            for (ptrdiff_t r = first; r < stop; r += width) {
                __builtin_prefetch(source + r + (p + 8) * k_stride);
                memcpy(panels + r * k + p * width, source + r + p * k_stride, (size_t)width * sizeof(PN_REAL));
            }
    }
    for (ptrdiff_t r = together; r < rows; r += width)
        PN_(pn_pack_panel)(source + r * row_stride, row_stride, k_stride, pn_min(rows - r, width), k, width,
                           panels + r * k);
}

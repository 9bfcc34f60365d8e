/* Template, included by pooling_avx512.h once per floating type. */

#define PN_LANES ((ptrdiff_t)(64 / sizeof(PN_REAL)))

typedef PN_MASK PN_(pn_mask);

/* Mask of the first `n` lanes; all if n exceeds the vector, none if n is not positive. */
static inline PN_MASK PN_(pn_first_lanes)(ptrdiff_t n) {
    return n >= PN_LANES ? (PN_MASK)-1 : n <= 0 ? 0 : (PN_MASK)((1u << n) - 1);
}

/* Load two vectors: the first `n` contiguous elements, or, with `rows` 2 or 4, one or two rows per vector, `next`
 * elements apart. */
static inline __attribute__((always_inline)) void PN_(pn_pair_load)(const int rows, const PN_REAL *from, ptrdiff_t next,
                                                                    ptrdiff_t n, PN_WHOLE *v) {
    for (int k = 0; k < 2; k++) {
        if (rows == 4)
            v[k] = PN_JOIN(PN_HALF_OP(loadu)(from + 2 * k * next), PN_HALF_OP(loadu)(from + (2 * k + 1) * next));
        else if (rows == 2)
            v[k] = PN_OP(loadu)(from + k * next);
        else
            v[k] = PN_OP(maskz_loadu)(PN_(pn_first_lanes)(n - k * PN_LANES), from + k * PN_LANES);
    }
}

static inline __attribute__((always_inline)) void PN_(pn_pair_store)(const int rows, PN_REAL *to, ptrdiff_t next,
                                                                     ptrdiff_t n, const PN_WHOLE *v) {
    for (int k = 0; k < 2; k++) {
        if (rows == 4) {
            PN_HALF_OP(storeu)(to + 2 * k * next, PN_LOW(v[k]));
            PN_HALF_OP(storeu)(to + (2 * k + 1) * next, PN_HIGH(v[k]));
        } else if (rows == 2)
            PN_OP(storeu)(to + k * next, v[k]);
        else
            PN_OP(mask_storeu)(to + k * PN_LANES, PN_(pn_first_lanes)(n - k * PN_LANES), v[k]);
    }
}

/* x, or y where that is larger or NaN; lanes of *which are set where y is chosen. */
static inline PN_WHOLE PN_(pn_larger)(PN_WHOLE x, PN_WHOLE y, PN_MASK *which) {
    *which = PN_OP_MASK(mask_cmp)(PN_OP_MASK(cmp)(x, x, _CMP_ORD_Q), y, x, _CMP_NLE_UQ);
    return PN_OP(mask_mov)(x, *which, y);
}

static inline __m512i PN_(pn_mark)(__m512i marks, PN_(pn_mask) which, PN_INT mark) {
    return PN_INT_OP(mask_set1)(marks, which, mark);
}

/* `n` windows, at most a vector of them, in each of `rows` result rows. */
static inline
    __attribute__((always_inline)) void PN_(pn_max_2x2_vector)(const int rows, const PN_REAL *x, ptrdiff_t width,
                                                               ptrdiff_t n, PN_REAL *y, uint16_t *index) {
    PN_WHOLE above[2], below[2];
    PN_MASK right, right_below, lower;
    PN_(pn_pair_load)(rows, x, 2 * width, 2 * n, above);
    PN_(pn_pair_load)(rows, x + width, 2 * width, 2 * n, below);
    const PN_WHOLE high = PN_(pn_larger)(PN_OP(permutex2var)(above[0], PN_EVEN, above[1]),
                                         PN_OP(permutex2var)(above[0], PN_ODD, above[1]), &right);
    const PN_WHOLE low = PN_(pn_larger)(PN_OP(permutex2var)(below[0], PN_EVEN, below[1]),
                                        PN_OP(permutex2var)(below[0], PN_ODD, below[1]), &right_below);
    const PN_WHOLE best = PN_(pn_larger)(high, low, &lower);
    const PN_MASK wanted = PN_(pn_first_lanes)(n);
    PN_OP(mask_storeu)(y, wanted, best);
    if (!index) return;
    right = (PN_MASK)((right & ~lower) | (right_below & lower));
    const PN_SHORT element = PN_SHORT_OP(mask_add)(PN_SHORT_OP(maskz_set1)(right, 1), lower,
                                                   PN_SHORT_OP(maskz_set1)(right, 1), PN_SHORT_OP(set1)(2));
    PN_SHORT_OP(mask_storeu)(index, wanted, element);
}

static inline __attribute__((always_inline)) void PN_(pn_max_2x2_back_vector)(const int rows, const PN_REAL *dy,
                                                                              const uint16_t *index, ptrdiff_t n,
                                                                              PN_REAL *dx, ptrdiff_t width) {
    const PN_MASK given = PN_(pn_first_lanes)(n);
    const PN_WHOLE g = PN_OP(maskz_loadu)(given, dy);
    const __m512i twice = _mm512_permutexvar_epi16(PN_TWICE_SHORT, PN_WIDEN(PN_SHORT_OP(maskz_loadu)(given, index)));
    const __m512i left_right = _mm512_set1_epi32(1 << 16);
    const __mmask32 upper = _mm512_cmpeq_epi16_mask(twice, left_right);
    const __mmask32 lower = _mm512_cmpeq_epi16_mask(twice, _mm512_add_epi16(left_right, _mm512_set1_epi16(2)));
    const PN_WHOLE above[2] = {PN_OP(maskz_permutexvar)((PN_MASK)upper, PN_TWICE_LOW, g),
                               PN_OP(maskz_permutexvar)((PN_MASK)(upper >> PN_LANES), PN_TWICE_HIGH, g)};
    const PN_WHOLE below[2] = {PN_OP(maskz_permutexvar)((PN_MASK)lower, PN_TWICE_LOW, g),
                               PN_OP(maskz_permutexvar)((PN_MASK)(lower >> PN_LANES), PN_TWICE_HIGH, g)};
    PN_(pn_pair_store)(rows, dx, 2 * width, 2 * n, above);
    PN_(pn_pair_store)(rows, dx + width, 2 * width, 2 * n, below);
}

/* All windows of `rows` result rows, `n` in each. */
static void PN_(pn_max_2x2)(const PN_REAL *x, ptrdiff_t width, ptrdiff_t rows, ptrdiff_t n, PN_REAL *y,
                            uint16_t *index) {
    const ptrdiff_t step = 4 * n == PN_LANES ? 4 : 2 * n == PN_LANES ? 2 : 1;
    ptrdiff_t i = 0;
    for (; step > 1 && i + step <= rows; i += step) {
        const ptrdiff_t at = i * n;
        uint16_t *to = index ? index + at : NULL;
        if (step == 4)
            PN_(pn_max_2x2_vector)(4, x + 2 * i * width, width, PN_LANES, y + at, to);
        else
            PN_(pn_max_2x2_vector)(2, x + 2 * i * width, width, PN_LANES, y + at, to);
    }
    for (; i < rows; i++) {
        const PN_REAL *row = x + 2 * i * width;
        ptrdiff_t j = 0;
        for (; j + PN_LANES <= n; j += PN_LANES)
            PN_(pn_max_2x2_vector)(1, row + 2 * j, width, PN_LANES, y + i * n + j, index ? index + i * n + j : NULL);
        if (j < n)
            PN_(pn_max_2x2_vector)(1, row + 2 * j, width, n - j, y + i * n + j, index ? index + i * n + j : NULL);
    }
}

static void PN_(pn_max_2x2_backward)(const PN_REAL *dy, const uint16_t *index, ptrdiff_t rows, ptrdiff_t n, PN_REAL *dx,
                                     ptrdiff_t width) {
    const ptrdiff_t step = 4 * n == PN_LANES ? 4 : 2 * n == PN_LANES ? 2 : 1;
    ptrdiff_t i = 0;
    for (; step > 1 && i + step <= rows; i += step) {
        const ptrdiff_t at = i * n;
        if (step == 4)
            PN_(pn_max_2x2_back_vector)(4, dy + at, index + at, PN_LANES, dx + 2 * i * width, width);
        else
            PN_(pn_max_2x2_back_vector)(2, dy + at, index + at, PN_LANES, dx + 2 * i * width, width);
    }
    for (; i < rows; i++) {
        PN_REAL *row = dx + 2 * i * width;
        ptrdiff_t j = 0;
        for (; j + PN_LANES <= n; j += PN_LANES)
            PN_(pn_max_2x2_back_vector)(1, dy + i * n + j, index + i * n + j, PN_LANES, row + 2 * j, width);
        if (j < n) PN_(pn_max_2x2_back_vector)(1, dy + i * n + j, index + i * n + j, n - j, row + 2 * j, width);
    }
}

#undef PN_LANES
#undef PN_REAL
#undef PN_INT
#undef PN_INT_OP
#undef PN_
#undef PN_WHOLE
#undef PN_MASK
#undef PN_SHORT
#undef PN_OP
#undef PN_OP_MASK
#undef PN_HALF_OP
#undef PN_SHORT_OP
#undef PN_JOIN
#undef PN_LOW
#undef PN_HIGH
#undef PN_WIDEN
#undef PN_EVEN
#undef PN_ODD
#undef PN_TWICE_LOW
#undef PN_TWICE_HIGH

/* Template, included by stats.h once per floating type. */

/* Sum of squares in float64, in partial sums so that the compiler can vectorise without reordering a sum. */
static double PN_(pn_square_sum)(const PN_REAL *x, ptrdiff_t n) {
    double part[16] = {0}, total = 0;
    ptrdiff_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int lane = 0; lane < 16; lane++) part[lane] += (double)x[i + lane] * (double)x[i + lane];
    for (; i < n; i++) total += (double)x[i] * (double)x[i];
    for (int lane = 0; lane < 16; lane++) total += part[lane];
    return total;
}

/* A vector with the lane count of a float64 vector. */
typedef PN_REAL PN_(pn_narrow)
    __attribute__((vector_size(PN_WATCH_LANES * sizeof(PN_REAL)), aligned(sizeof(PN_REAL)), may_alias));

/* Horizontal sum in double precision. */
static inline double PN_(pn_sum_of)(PN_(pn_vector) v) {
    PN_(pn_narrow) parts[sizeof(v) / sizeof(PN_(pn_narrow))];
    pn_unaligned_f64 sum = {0};
    memcpy(parts, &v, sizeof v);
    for (size_t i = 0; i < sizeof v / sizeof parts[0]; i++) sum += PN_WIDEN(parts[i]);
    return pn_sum_of(sum);
}

/* The same for a block in the L1 cache, at the speed of single precision (a fifth of the time). If a partial sum
 * overflows or may have underflowed, the block is summed again in double precision. */
static double PN_(pn_block_square_sum)(const PN_REAL *x, ptrdiff_t n) {
    enum { LANES = PN_VECTOR_BYTES / sizeof(PN_REAL) };
    PN_(pn_unaligned) part[4] = {{0}};
    double total = 0, rest = 0;
    ptrdiff_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES)
        for (int k = 0; k < 4; k++) {
            const PN_(pn_unaligned) v = *(const PN_(pn_unaligned) *)(x + i + k * LANES);
            part[k] += v * v;
        }
    for (; i < n; i++) rest += (double)x[i] * (double)x[i];
    total = PN_(pn_sum_of)((part[0] + part[1]) + (part[2] + part[3]));
    return i < 4 * LANES || (total > 1e-24 && total < 1e36) ? total + rest : PN_(pn_square_sum)(x, n);
}

/* Add the statistics of `vectors` vectors of columns, with row stride n, to stats (4, n) and to the totals. A value
 * is saturated if it is further than `limit` from `centre`. Sums are float64, because their difference gives a
 * variance. */
static inline
    __attribute__((always_inline)) void PN_(pn_unit_vectors)(const PN_REAL *y, ptrdiff_t m, ptrdiff_t n,
                                                             const int vectors, const int saturates, PN_REAL centre,
                                                             PN_REAL limit, double *stats, pn_unaligned_f64 *total) {
    enum { LANES = PN_WATCH_LANES, MOST = 2 };
    typedef PN_COUNT counts __attribute__((vector_size(PN_WATCH_LANES * sizeof(PN_COUNT))));
    pn_unaligned_f64 kinds[4][MOST] = {{{0}}};
    counts active[MOST] = {{0}}, saturated[MOST] = {{0}};
    for (ptrdiff_t i = 0; i < m; i++)
        for (int k = 0; k < vectors; k++) {
            const PN_(pn_narrow) v = *(const PN_(pn_narrow) *)(y + i * n + k * LANES);
            const pn_unaligned_f64 wide = PN_WIDEN(v);
            kinds[0][k] += wide;
            kinds[1][k] += wide * wide;
            active[k] -= v > 0; /* true is -1 */
            if (saturates) saturated[k] -= (v - centre > limit) | (v - centre < -limit);
        }
    for (int k = 0; k < vectors; k++) {
        kinds[2][k] = __builtin_convertvector(active[k], pn_unaligned_f64);
        kinds[3][k] = __builtin_convertvector(saturated[k], pn_unaligned_f64);
        for (int kind = 0; kind < 4; kind++) {
            *(pn_unaligned_f64 *)(stats + kind * n + k * LANES) += kinds[kind][k];
            total[kind] += kinds[kind][k];
        }
    }
}

/* The same for a single column. */
static inline __attribute__((always_inline)) void PN_(pn_unit_column)(const PN_REAL *y, ptrdiff_t m, ptrdiff_t n,
                                                                      const int saturates, PN_REAL centre,
                                                                      PN_REAL limit, double *stats, double *total) {
    double kinds[4] = {0};
    for (ptrdiff_t i = 0; i < m; i++) {
        const PN_REAL v = y[i * n];
        kinds[0] += (double)v;
        kinds[1] += (double)v * (double)v;
        kinds[2] += v > 0;
        if (saturates) kinds[3] += PN_FABS(v - centre) > limit;
    }
    for (int kind = 0; kind < 4; kind++) {
        stats[kind * n] += kinds[kind];
        total[kind] += kinds[kind];
    }
}

static inline __attribute__((always_inline)) void PN_(pn_unit_columns)(const PN_REAL *y, ptrdiff_t m, ptrdiff_t n,
                                                                       const int saturates, PN_REAL centre,
                                                                       PN_REAL limit, double *stats, double *total) {
    enum { LANES = PN_WATCH_LANES };
    pn_unaligned_f64 totals[4] = {{0}};
    ptrdiff_t j = 0;
    for (; j + 2 * LANES <= n; j += 2 * LANES)
        PN_(pn_unit_vectors)(y + j, m, n, 2, saturates, centre, limit, stats + j, totals);
    for (; j + LANES <= n; j += LANES)
        PN_(pn_unit_vectors)(y + j, m, n, 1, saturates, centre, limit, stats + j, totals);
    for (; j < n; j++) PN_(pn_unit_column)(y + j, m, n, saturates, centre, limit, stats + j, total);
    for (int kind = 0; kind < 4; kind++) total[kind] += pn_sum_of(totals[kind]);
}

static void PN_(pn_unit_stats)(const PN_REAL *y, ptrdiff_t m, ptrdiff_t n, double centre, double limit, double *stats,
                               double *total) {
    if (limit < INFINITY)
        PN_(pn_unit_columns)(y, m, n, 1, (PN_REAL)centre, (PN_REAL)limit, stats, total);
    else
        PN_(pn_unit_columns)(y, m, n, 0, 0, 0, stats, total);
}

/* For a vector of columns starting at g: which have values above 0, below 0, or both. The first few rows nearly
 * always decide. */
static inline void PN_(pn_column_signs)(const PN_REAL *g, ptrdiff_t m, ptrdiff_t n, double *one, double *any) {
    enum { LANES = PN_VECTOR_BYTES / sizeof(PN_REAL), ROWS = 8 };
    typedef PN_COUNT mask __attribute__((vector_size(PN_VECTOR_BYTES)));
    mask up = {0}, down = {0};
    int64_t both = 0;
    for (ptrdiff_t i = 0; i < m && both != -1; i += ROWS) {
        for (ptrdiff_t row = i; row < m && row < i + ROWS; row++) {
            const PN_(pn_unaligned) v = *(const PN_(pn_unaligned) *)(g + row * n);
            up |= v > 0;
            down |= v < 0;
        }
        const mask mixed = up & down;
        int64_t lanes[PN_VECTOR_BYTES / sizeof(int64_t)]; /* as 64-bit words */
        memcpy(lanes, &mixed, sizeof mixed);
        both = -1;
        for (size_t lane = 0; lane < PN_VECTOR_BYTES / sizeof(int64_t); lane++) both &= lanes[lane];
    }
    for (int lane = 0; lane < LANES; lane++) {
        *one -= (double)(up[lane] ^ down[lane]); /* true is -1 */
        *any -= (double)(up[lane] | down[lane]);
    }
}

/* The share of columns whose nonzero values have one sign, among those that have any; NaN if none have. */
static double PN_(pn_one_signed)(const PN_REAL *g, ptrdiff_t m, ptrdiff_t n) {
    enum { LANES = PN_VECTOR_BYTES / sizeof(PN_REAL) };
    double one = 0, any = 0;
    ptrdiff_t j = 0;
    for (; j + LANES <= n; j += LANES) PN_(pn_column_signs)(g + j, m, n, &one, &any);
    for (; j < n; j++) {
        int up = 0, down = 0;
        for (ptrdiff_t i = 0; i < m && !(up & down); i++) up |= g[i * n + j] > 0, down |= g[i * n + j] < 0;
        one += up ^ down;
        any += up | down;
    }
    return any ? one / any : NAN;
}

/* The sum of squares of an array of any length, block by block. */
static double PN_(pn_square_sum_by_blocks)(const PN_REAL *x, ptrdiff_t n) {
    double total = 0;
    for (ptrdiff_t at = 0; at < n; at += PN_WATCH_BLOCK)
        total += PN_(pn_block_square_sum)(x + at, pn_min(n - at, PN_WATCH_BLOCK));
    return total;
}

#undef PN_REAL
#undef PN_COUNT
#undef PN_WIDEN
#undef PN_
#undef PN_FABS

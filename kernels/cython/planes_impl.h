/* Template, included by planes.h once per floating type. */

#define PN_LANES ((ptrdiff_t)(PN_VECTOR_BYTES / sizeof(PN_REAL)))

typedef PN_REAL PN_(pn_lanes) __attribute__((vector_size(PN_VECTOR_BYTES)));
typedef PN_REAL PN_(pn_anywhere) __attribute__((vector_size(PN_VECTOR_BYTES), aligned(sizeof(PN_REAL)), may_alias));

static inline __attribute__((always_inline)) void PN_(pn_turn)(PN_(pn_lanes) * v) {
#ifdef PN_TRANSPOSES
    PN_(pn_transpose)(v);
#else
    PN_REAL *e = (PN_REAL *)v;
    for (ptrdiff_t i = 0; i < PN_LANES; i++)
        for (ptrdiff_t j = 0; j < i; j++) {
            const PN_REAL other = e[i * PN_LANES + j];
            e[i * PN_LANES + j] = e[j * PN_LANES + i];
            e[j * PN_LANES + i] = other;
        }
#endif
}

/* `n` elements of each of some planes, `plane` elements apart, to vectors; lanes beyond the last plane repeat it. The
 * vectors lie side by side, or where `place` says. */
static inline __attribute__((always_inline)) void PN_(pn_turn_in_at)(const PN_REAL *from, ptrdiff_t plane,
                                                                     ptrdiff_t planes, ptrdiff_t n,
                                                                     const ptrdiff_t *place, PN_(pn_lanes) * to) {
    const PN_REAL *row[PN_LANES];
    for (ptrdiff_t k = 0; k < PN_LANES; k++) row[k] = from + (k < planes ? k : planes - 1) * plane;
    for (ptrdiff_t j = 0; j < n && n < PN_LANES; j++)
        for (ptrdiff_t k = 0; k < PN_LANES; k++) ((PN_REAL *)(to + (place ? place[j] : j)))[k] = row[k][j];
    for (ptrdiff_t j = 0; j < n && n >= PN_LANES; j += PN_LANES) {
        PN_(pn_lanes) v[PN_LANES];
        if (j > n - PN_LANES) j = n - PN_LANES;
        for (ptrdiff_t k = 0; k < PN_LANES; k++) v[k] = *(const PN_(pn_anywhere) *)(row[k] + j);
        PN_(pn_turn)(v);
        for (ptrdiff_t k = 0; k < PN_LANES; k++) to[place ? place[j + k] : j + k] = v[k];
    }
}

static void PN_(pn_turn_in)(const PN_REAL *from, ptrdiff_t plane, ptrdiff_t planes, ptrdiff_t n, PN_(pn_lanes) * to) {
    PN_(pn_turn_in_at)(from, plane, planes, n, NULL, to);
}

static void PN_(pn_turn_out)(const PN_(pn_lanes) * from, ptrdiff_t plane, ptrdiff_t planes, ptrdiff_t n, PN_REAL *to) {
    for (ptrdiff_t j = 0; j < n && n < PN_LANES; j++)
        for (ptrdiff_t k = 0; k < planes; k++) to[k * plane + j] = ((const PN_REAL *)(from + j))[k];
    for (ptrdiff_t j = 0; j < n && n >= PN_LANES; j += PN_LANES) {
        PN_(pn_lanes) v[PN_LANES];
        if (j > n - PN_LANES) j = n - PN_LANES;
        for (ptrdiff_t k = 0; k < PN_LANES; k++) v[k] = from[j + k];
        PN_(pn_turn)(v);
        for (ptrdiff_t k = 0; k < PN_LANES; k++)
            if (k < planes) *(PN_(pn_anywhere) *)(to + k * plane + j) = v[k];
    }
}

#undef PN_LANES
#undef PN_REAL
#undef PN_

/* Template, included by plane_transpose.h once per floating type. */

#define PN_LANES ((ptrdiff_t)(PN_VECTOR_BYTES / sizeof(PN_REAL)))

static inline __attribute__((always_inline)) void PN_(pn_transpose_lanes)(PN_(pn_vector) *v) {
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

/* Transpose `n` elements of each of `planes` planes, `plane` elements apart, into vectors; unused lanes repeat the
 * last plane. The vectors are stored contiguously, or at the indices in `place`. */
static inline
    __attribute__((always_inline)) void PN_(pn_planes_to_lanes_at)(const PN_REAL *from, ptrdiff_t plane,
                                                                   ptrdiff_t planes, ptrdiff_t n,
                                                                   const ptrdiff_t *place, PN_(pn_vector) *to) {
    const PN_REAL *row[PN_LANES];
    for (ptrdiff_t k = 0; k < PN_LANES; k++) row[k] = from + (k < planes ? k : planes - 1) * plane;
    for (ptrdiff_t j = 0; j < n && n < PN_LANES; j++)
        for (ptrdiff_t k = 0; k < PN_LANES; k++) ((PN_REAL *)(to + (place ? place[j] : j)))[k] = row[k][j];
    for (ptrdiff_t j = 0; j < n && n >= PN_LANES; j += PN_LANES) {
        PN_(pn_vector) v[PN_LANES];
        if (j > n - PN_LANES) j = n - PN_LANES;
        for (ptrdiff_t k = 0; k < PN_LANES; k++) v[k] = *(const PN_(pn_unaligned) *)(row[k] + j);
        PN_(pn_transpose_lanes)(v);
        for (ptrdiff_t k = 0; k < PN_LANES; k++) to[place ? place[j + k] : j + k] = v[k];
    }
}

static void PN_(pn_planes_to_lanes)(const PN_REAL *from, ptrdiff_t plane, ptrdiff_t planes, ptrdiff_t n,
                                    PN_(pn_vector) *to) {
    PN_(pn_planes_to_lanes_at)(from, plane, planes, n, NULL, to);
}

static void PN_(pn_lanes_to_planes)(const PN_(pn_vector) *from, ptrdiff_t plane, ptrdiff_t planes, ptrdiff_t n,
                                    PN_REAL *to) {
    for (ptrdiff_t j = 0; j < n && n < PN_LANES; j++)
        for (ptrdiff_t k = 0; k < planes; k++) to[k * plane + j] = ((const PN_REAL *)(from + j))[k];
    for (ptrdiff_t j = 0; j < n && n >= PN_LANES; j += PN_LANES) {
        PN_(pn_vector) v[PN_LANES];
        if (j > n - PN_LANES) j = n - PN_LANES;
        for (ptrdiff_t k = 0; k < PN_LANES; k++) v[k] = from[j + k];
        PN_(pn_transpose_lanes)(v);
        for (ptrdiff_t k = 0; k < PN_LANES; k++)
            if (k < planes) *(PN_(pn_unaligned) *)(to + k * plane + j) = v[k];
    }
}

#undef PN_LANES
#undef PN_REAL
#undef PN_

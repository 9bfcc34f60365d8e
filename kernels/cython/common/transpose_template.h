/* Template, included by transpose.h once per floating type. */

#define PN_LANES ((ptrdiff_t)(PN_VECTOR_BYTES / sizeof(PN_REAL)))

/* Transpose LANES vectors of LANES elements in place: each round is a perfect shuffle of the first and second half.
 * Packing B this way is 3 to 8 times as fast as element by element (AVX2 and AVX-512). */
static inline __attribute__((always_inline)) void PN_(pn_transpose)(PN_(pn_vector) v[PN_LANES]) {
#pragma GCC unroll 4
    for (int round = 1; round < PN_LANES; round *= 2) {
        PN_(pn_vector) dealt[PN_LANES];
#pragma GCC unroll 8
        for (int i = 0; i < PN_LANES / 2; i++) {
            dealt[2 * i] = PN_DEAL_LOW(v[i], v[i + PN_LANES / 2]);
            dealt[2 * i + 1] = PN_DEAL_HIGH(v[i], v[i + PN_LANES / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < PN_LANES; i++) v[i] = dealt[i];
    }
}

#undef PN_LANES
#undef PN_REAL
#undef PN_

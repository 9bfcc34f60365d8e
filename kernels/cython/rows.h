/* Reductions of a row, in 16 partial results each, so that the compiler can use vectors without reordering a sum. */
#ifndef PYNN_ROWS_H
#define PYNN_ROWS_H

#include <math.h>
#include <stddef.h>

#define PN_PARTS 16

/* pn_row_largest: -Inf of an empty row, NaN of one that holds NaN. pn_row_sum: in double precision. */
#define PN_ROWS(real, suffix)                                                              \
    static inline real pn_row_largest_##suffix(const real *x, ptrdiff_t n) {               \
        real part[PN_PARTS], largest = (real)-INFINITY;                                    \
        ptrdiff_t i = 0;                                                                   \
        for (int j = 0; j < PN_PARTS; j++) part[j] = largest;                              \
        for (; i + PN_PARTS <= n; i += PN_PARTS)                                           \
            for (int j = 0; j < PN_PARTS; j++)                                             \
                part[j] = x[i + j] > part[j] || x[i + j] != x[i + j] ? x[i + j] : part[j]; \
        for (; i < n; i++)                                                                 \
            if (x[i] > largest || x[i] != x[i]) largest = x[i];                            \
        for (int j = 0; j < PN_PARTS; j++)                                                 \
            if (part[j] > largest || part[j] != part[j]) largest = part[j];                \
        return largest;                                                                    \
    }                                                                                      \
    static inline double pn_row_sum_##suffix(const real *x, ptrdiff_t n) {                 \
        double part[PN_PARTS] = {0}, total = 0;                                            \
        ptrdiff_t i = 0;                                                                   \
        for (; i + PN_PARTS <= n; i += PN_PARTS)                                           \
            for (int j = 0; j < PN_PARTS; j++) part[j] += (double)x[i + j];                \
        for (; i < n; i++) total += (double)x[i];                                          \
        for (int j = 0; j < PN_PARTS; j++) total += part[j];                               \
        return total;                                                                      \
    }
PN_ROWS(float, f32)
PN_ROWS(double, f64)

#endif

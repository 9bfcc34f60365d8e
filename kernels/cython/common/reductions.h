/* Row reductions with several partial results, so that the compiler can vectorise without reordering a sum. */
#ifndef PYNN_REDUCTIONS_H
#define PYNN_REDUCTIONS_H

#include <math.h>
#include <stddef.h>

#define PN_MAXIMA 32 /* gcc unrolls a loop of 16 completely and then does not vectorise it */
#define PN_SUMS 16

/* pn_row_largest: the maximum of the numbers that are not NaN, -Inf if all are. The comparison is one instruction;
 * an explicit NaN test became branches, ten times slower. pn_row_sum, pn_row_dot: in double precision. */
#define PN_ROWS(real, suffix)                                                                          \
    static inline real pn_row_largest_##suffix(const real *x, ptrdiff_t n) {                           \
        real part[PN_MAXIMA], largest = (real) - INFINITY;                                             \
        ptrdiff_t i = 0;                                                                               \
        if (n >= PN_MAXIMA) {                                                                          \
            for (int j = 0; j < PN_MAXIMA; j++) part[j] = largest;                                     \
            for (; i + PN_MAXIMA <= n; i += PN_MAXIMA)                                                 \
                for (int j = 0; j < PN_MAXIMA; j++) part[j] = x[i + j] > part[j] ? x[i + j] : part[j]; \
            for (int w = PN_MAXIMA / 2; w; w /= 2)                                                     \
                for (int j = 0; j < w; j++) part[j] = part[j + w] > part[j] ? part[j + w] : part[j];   \
            largest = part[0];                                                                         \
        }                                                                                              \
        for (; i < n; i++) largest = x[i] > largest ? x[i] : largest;                                  \
        return largest;                                                                                \
    }                                                                                                  \
    static inline double pn_row_sum_##suffix(const real *x, ptrdiff_t n) {                             \
        double total = 0;                                                                              \
        ptrdiff_t i = 0;                                                                               \
        if (n >= PN_SUMS) {                                                                            \
            double part[PN_SUMS] = {0};                                                                \
            for (; i + PN_SUMS <= n; i += PN_SUMS)                                                     \
                for (int j = 0; j < PN_SUMS; j++) part[j] += (double)x[i + j];                         \
            for (int j = 0; j < PN_SUMS; j++) total += part[j];                                        \
        }                                                                                              \
        for (; i < n; i++) total += (double)x[i];                                                      \
        return total;                                                                                  \
    }                                                                                                  \
    static inline double pn_row_dot_##suffix(const real *a, const real *b, ptrdiff_t n) {              \
        double total = 0;                                                                              \
        ptrdiff_t i = 0;                                                                               \
        if (n >= PN_SUMS) {                                                                            \
            double part[PN_SUMS] = {0};                                                                \
            for (; i + PN_SUMS <= n; i += PN_SUMS)                                                     \
                for (int j = 0; j < PN_SUMS; j++) part[j] += (double)a[i + j] * (double)b[i + j];      \
            for (int j = 0; j < PN_SUMS; j++) total += part[j];                                        \
        }                                                                                              \
        for (; i < n; i++) total += (double)a[i] * (double)b[i];                                       \
        return total;                                                                                  \
    }
PN_ROWS(float, f32)
PN_ROWS(double, f64)
#undef PN_ROWS

#endif

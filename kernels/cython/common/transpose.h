/* Squares of LANES x LANES elements transposed in registers, for float (_f32) and double (_f64). */
#ifndef PYNN_TRANSPOSE_H
#define PYNN_TRANSPOSE_H

#include "vector.h"

/* Interleave the first (low) or second (high) halves of two vectors. */
#if defined(__clang__) || __GNUC__ >= 12
#define PN_TRANSPOSES
#define PN_DEAL_LOW_2(a, b) __builtin_shufflevector(a, b, 0, 2)
#define PN_DEAL_HIGH_2(a, b) __builtin_shufflevector(a, b, 1, 3)
#define PN_DEAL_LOW_4(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define PN_DEAL_HIGH_4(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define PN_DEAL_LOW_8(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define PN_DEAL_HIGH_8(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define PN_DEAL_LOW_16(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define PN_DEAL_HIGH_16(a, b) \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#if PN_VECTOR_BYTES == 64
#define PN_DEAL_LOW PN_DEAL_LOW_16
#define PN_DEAL_HIGH PN_DEAL_HIGH_16
#elif PN_VECTOR_BYTES == 32
#define PN_DEAL_LOW PN_DEAL_LOW_8
#define PN_DEAL_HIGH PN_DEAL_HIGH_8
#else
#define PN_DEAL_LOW PN_DEAL_LOW_4
#define PN_DEAL_HIGH PN_DEAL_HIGH_4
#endif
#endif

#ifdef PN_TRANSPOSES
#define PN_REAL float
#define PN_(name) name##_f32
#include "transpose_template.h"

#undef PN_DEAL_LOW
#undef PN_DEAL_HIGH
#if PN_VECTOR_BYTES == 64
#define PN_DEAL_LOW PN_DEAL_LOW_8
#define PN_DEAL_HIGH PN_DEAL_HIGH_8
#elif PN_VECTOR_BYTES == 32
#define PN_DEAL_LOW PN_DEAL_LOW_4
#define PN_DEAL_HIGH PN_DEAL_HIGH_4
#else
#define PN_DEAL_LOW PN_DEAL_LOW_2
#define PN_DEAL_HIGH PN_DEAL_HIGH_2
#endif

#define PN_REAL double
#define PN_(name) name##_f64
#include "transpose_template.h"
#endif

#endif

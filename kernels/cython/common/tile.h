/* Register tiles, shared by products and convolutions: up to PN_MR rows of two vectors of sums. The number of rows is a
 * constant in each tile, so that the compiler keeps the sums in registers. */
#ifndef PYNN_TILE_H
#define PYNN_TILE_H

#include "vector.h"

#define PN_UNROLL _Pragma("GCC unroll 16")

#define PN_TILE_CLEAR(tile, rows) \
    PN_UNROLL for (int i = 0; i < (rows); i++) tile[i][0] = tile[i][1] = (PN_(pn_vector)){0};

/* Add to row i the product of `value`, an expression in i, and the vectors b0 and b1; only b0 unless `wide`. Never
 * index a lane of a sum: GCC would keep the tile in memory (9 times as slow). */
#define PN_TILE_ADD(tile, rows, wide, value, b0, b1) \
    PN_UNROLL for (int i = 0; i < (rows); i++) {     \
        const PN_REAL factor = (value);              \
        tile[i][0] += factor * (b0);                 \
        if (wide) tile[i][1] += factor * (b1);       \
    }

/* CASE(1) to CASE(PN_MR), the cases of a switch over the number of rows. */
/* clang-format off */
#if PN_MR == 4
#define PN_TILE_CASES(CASE) CASE(1) CASE(2) CASE(3) CASE(4)
#elif PN_MR == 6
#define PN_TILE_CASES(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#elif PN_MR == 8
#define PN_TILE_CASES(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)
#elif PN_MR == 12
#define PN_TILE_CASES(CASE) \
    CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#endif
/* clang-format on */

#endif

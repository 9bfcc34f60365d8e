/* Instructions of Intel's matrix units (AMX). */
#ifndef PYNN_MATRIX_UNITS_H
#define PYNN_MATRIX_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* Not the compiler's intrinsics: those of GCC 12 do not say that they read memory. */
#define PN_AMX_LOAD(tile, from) \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile : : "r"(from), "r"((ptrdiff_t)64) : "memory")
#define PN_AMX_STORE(tile, to) \
    __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" : : "r"(to), "r"((ptrdiff_t)64) : "memory")
#define PN_AMX_ZERO(tile) __asm__ volatile("tilezero %%tmm" #tile : : : "memory")
#define PN_AMX_ADD(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : : : "memory")

/* Tiles 0 to 3 are sums, 4 and 5 of A, 6 and 7 of B: each 16 rows of 64 bytes. */
static const struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} pn_amx_tiles = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
#define PN_AMX_BEGIN __asm__ volatile("ldtilecfg %0" : : "m"(pn_amx_tiles))
/* At the end of each use, else Linux would save the tiles at every switch of threads. */
#define PN_AMX_END __asm__ volatile("tilerelease" : : : "memory")

#endif

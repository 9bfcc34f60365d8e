/* Packed, register-tiled matrix multiply (Goto & van de Geijn 2008; Van Zee & van de Geijn, BLIS, 2015).
 *
 * C (m, n) = or += op(A) (m, k) op(B) (k, n), then bias and activation. Operands are read through row and column
 * strides, so the four transpositions differ only in packing. Blocks of B (KC x NC) and A (MC x KC) are packed into
 * zero-padded panels of NR columns and MR rows, which the micro-kernel reads in order.
 */
#ifndef PYNN_GEMM_H
#define PYNN_GEMM_H

#include <math.h>
#include <stdlib.h>

#include "activations/activate.h"
#include "common/cpu.h"
#include "common/runtime.h"
#include "common/tile.h"
#include "common/transpose.h"
#include "common/workspace.h"

#if defined(__linux__)
#include <unistd.h>
#endif

/* Narrow products bypass the tiles. Maximum number of columns: alone, and next to whole panels, where A is read a
 * second time for them. */
#define PN_NARROW 10
#define PN_NARROW_REST 4
#define PN_PRODUCT_GRAIN (64.0 * 64 * 64) /* minimum per thread */

/* L2 cache size as the system reports it; otherwise 512 KB, which most processors have at least. */
static inline size_t pn_second_level_bytes(void) {
    static size_t known;
    size_t bytes = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (bytes) return bytes;
    bytes = 512 << 10;
#if defined(_SC_LEVEL2_CACHE_SIZE)
    const long told = sysconf(_SC_LEVEL2_CACHE_SIZE);
    if (told > 0) bytes = (size_t)told;
#endif
    __atomic_store_n(&known, bytes, __ATOMIC_RELAXED);
    return bytes;
}

typedef struct {
    const void *a, *b, *bias;
    void *c, *pre; /* row-major, row stride `ldc`; pre, if not NULL, receives the pre-activation */
    ptrdiff_t m, n, k, a_row, a_k, b_k, b_column, ldc;
    int code;
    double alpha;
    int accumulate, single; /* accumulate: 0; pn_narrow_blocks sets it in its copies */
    int row_parts, column_parts, failed; /* set by pn_matmul */
    ptrdiff_t few;                       /* set by pn_matmul: how many of the last columns pn_narrow computes */
    int products, infinite; /* set by pn_matmul: products of parts on matrix units, or 0; whether a sum is not finite */
} pn_product;

#if defined(__AVX512F__)
#include <immintrin.h>
#define PN_LOAD_MASKED _mm512_maskz_loadu_ps
#define PN_STORE_MASKED _mm512_mask_storeu_ps
#endif
#define PN_REAL float
#define PN_(name) name##_f32
#include "gemm_template.h"
#if defined(__AVX512F__)
#undef PN_LOAD_MASKED
#undef PN_STORE_MASKED
#define PN_LOAD_MASKED _mm512_maskz_loadu_pd
#define PN_STORE_MASKED _mm512_mask_storeu_pd
#endif

#define PN_REAL double
#define PN_(name) name##_f64
#include "gemm_template.h"

#if defined(PN_COMPILES_AMX) && defined(__AVX512F__)
#include "amx.h"
#endif

/* The parts form a grid over C that minimises redundant packing: every row of the grid packs B, every column packs
 * A. No sum is split, so results are bitwise independent of the number of threads. */
static int pn_matmul(void *call) {
    pn_product *p = (pn_product *)call;
    const int parts = pn_parts((double)p->m * (double)p->n * (double)p->k, PN_PRODUCT_GRAIN);
    double min_packed = INFINITY;
    for (int rows = 1; rows <= parts; rows++) {
        const double packed = (double)rows * (double)p->n + (double)(parts / rows) * (double)p->m;
        if (parts % rows || packed >= min_packed) continue;
        min_packed = packed;
        p->row_parts = rows;
        p->column_parts = parts / rows;
    }
    p->failed = 0;
#ifdef PYNN_AMX_H
    p->products = p->single ? pn_matrix_products() : 0;
    if (p->products && pn_amx_pays(p, p->products)) {
        p->infinite = 0;
        pn_parallel(pn_amx_part, p, parts);
        if (!p->infinite) return p->failed;
        /* The parts of an infinite number are no sum of it, nor those of some that are almost: start again. */
    }
#endif
    p->few = p->single ? pn_few_f32(p) : pn_few_f64(p);
    pn_parallel(p->single ? pn_product_part_f32 : pn_product_part_f64, p, parts);
    return p->failed;
}

#endif

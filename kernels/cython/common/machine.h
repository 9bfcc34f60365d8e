/* Peak throughput of the machine: multiply-adds in registers or, with PN_MATRIX_UNITS, in tiles; and copies. The
 * benchmark reports shares of it. */
#ifndef PYNN_MACHINE_H
#define PYNN_MACHINE_H

#include <string.h>

#include "cpu.h"
#include "platform.h"
#include "runtime.h"

#define PN_CHAINS 12 /* independent chains hide the latency: 5 cycles at 2 per cycle need 10 */

typedef struct {
    ptrdiff_t rounds;
    double start, factor, term; /* from the caller, so that the compiler cannot fold them */
    double sink;
} pn_machine_sums;

#define PN_MULTIPLY_ADDS(name, real)                                                                          \
    static void name(void *argument, int index) {                                                             \
        typedef real vector __attribute__((vector_size(PN_VECTOR_BYTES)));                                    \
        pn_machine_sums *sums = (pn_machine_sums *)argument;                                                  \
        const vector factor = (vector){0} + (real)sums->factor;                                               \
        const vector term = (vector){0} + (real)sums->term;                                                   \
        vector chain[PN_CHAINS], total = {0};                                                                 \
        for (int i = 0; i < PN_CHAINS; i++) chain[i] = (vector){0} + (real)(sums->start + i);                 \
        for (ptrdiff_t round = 0; round < sums->rounds; round++) {                                            \
            _Pragma("GCC unroll 16") for (int i = 0; i < PN_CHAINS; i++) chain[i] = chain[i] * factor + term; \
        }                                                                                                     \
        for (int i = 0; i < PN_CHAINS; i++) total += chain[i];                                                \
        if (index == 0) sums->sink = (double)total[0];                                                        \
    }
PN_MULTIPLY_ADDS(pn_multiply_adds_f64, double)

#if defined(PN_MATRIX_UNITS) && defined(PN_COMPILES_AMX)
#include "matrix_units.h"

/* Of 4 tiles of 16 x 16 sums over 32 products, with float32 accuracy: six products of bfloat16, see gemm/amx.h. */
#define PN_OPERATIONS_F32 (4 * 2 * 16 * 16 * 32)

static void pn_multiply_adds_f32(void *argument, int index) {
    const pn_machine_sums *sums = (const pn_machine_sums *)argument;
    (void)index;
    PN_AMX_BEGIN;
    for (ptrdiff_t round = 0; round < sums->rounds; round++)
        for (int part = 0; part < 6; part++) {
            PN_AMX_ADD(0, 4, 6);
            PN_AMX_ADD(1, 4, 7);
            PN_AMX_ADD(2, 5, 6);
            PN_AMX_ADD(3, 5, 7);
        }
    PN_AMX_END;
}
#else
#define PN_OPERATIONS_F32 (2 * PN_CHAINS * (PN_VECTOR_BYTES / 4))
PN_MULTIPLY_ADDS(pn_multiply_adds_f32, float)
#endif
#define PN_OPERATIONS_F64 (2 * PN_CHAINS * (PN_VECTOR_BYTES / 8))

typedef struct {
    char *target;
    const char *source;
    ptrdiff_t bytes;
    int parts;
} pn_machine_copy;

static void pn_copy_part(void *argument, int index) {
    const pn_machine_copy *copy = (const pn_machine_copy *)argument;
    const ptrdiff_t first = pn_part_start(copy->bytes, 64, index, copy->parts);
    const ptrdiff_t stop = pn_part_start(copy->bytes, 64, index + 1, copy->parts);
    memcpy(copy->target + first, copy->source + first, (size_t)(stop - first));
}

#endif

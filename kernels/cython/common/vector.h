/* Vectors of PN_VECTOR_BYTES, for float (_f32) and double (_f64). pn_vector is aligned: registers, arguments and
 * packed panels. pn_unaligned is a vector in memory at any address, never an argument (GCC 14 for aarch64 crashes on
 * those). pn_bits holds lanes as integers, the result of vector comparisons. */
#ifndef PYNN_VECTOR_H
#define PYNN_VECTOR_H

#include "platform.h"

#define PN_VECTOR_TYPES(suffix, real, integer)                                           \
    typedef real pn_vector_##suffix __attribute__((vector_size(PN_VECTOR_BYTES)));       \
    typedef real pn_unaligned_##suffix                                                   \
        __attribute__((vector_size(PN_VECTOR_BYTES), aligned(sizeof(real)), may_alias)); \
    typedef integer pn_bits_##suffix __attribute__((vector_size(PN_VECTOR_BYTES)));
PN_VECTOR_TYPES(f32, float, int32_t)
PN_VECTOR_TYPES(f64, double, int64_t)
#undef PN_VECTOR_TYPES

#endif

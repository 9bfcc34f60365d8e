/* Counter-based random numbers: a function of seed and position. */
#ifndef PYNN_SPLITMIX_H
#define PYNN_SPLITMIX_H

#include <stdint.h>

/* SplitMix64 (Steele, Lea & Flood 2014) indexed by position, top 24 bits. */
static inline uint64_t pn_splitmix_24(uint64_t seed, uint64_t position) {
    uint64_t z = seed + (position + 1) * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (z ^ (z >> 31)) >> 40;
}

#endif

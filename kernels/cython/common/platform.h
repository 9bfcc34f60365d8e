/* Processor-specific choices: vector width, register tile, and flushing of denormals. */
#ifndef PYNN_PLATFORM_H
#define PYNN_PLATFORM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline ptrdiff_t pn_min(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t pn_max(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
static inline ptrdiff_t pn_ceil_div(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }

/* Place before a loop whose output may be exactly its input: the compiler would otherwise take the scalar path. */
#if defined(__clang__)
#define PN_SAFE_IN_PLACE _Pragma("clang loop vectorize(assume_safety)")
#else
#define PN_SAFE_IN_PLACE _Pragma("GCC ivdep")
#endif

#if defined(__FMA__) || defined(__aarch64__)
#define PN_HAS_FMA
#endif

/* Rounds the vector here: the compiler cannot contract a later operation with the one that produced it. */
#if defined(__x86_64__) || defined(_M_X64)
#define PN_ROUND(vector) __asm__("" : "+v"(vector))
#elif defined(__aarch64__)
#define PN_ROUND(vector) __asm__("" : "+w"(vector))
#else
#define PN_ROUND(vector) __asm__("" : "+m"(vector))
#endif

/* Register tile of the matrix multiply: MR rows by two vectors. MR * 2 accumulators, two vectors of B and one
 * broadcast of A must fit the registers (32 with AVX-512, 16 with AVX2 and SSE, 32 with NEON). */
#if defined(__AVX512F__)
#define PN_VECTOR_BYTES 64
#define PN_MR 12
#elif defined(__AVX2__)
#define PN_VECTOR_BYTES 32
#define PN_MR 6
#elif defined(__aarch64__)
#define PN_VECTOR_BYTES 16
#define PN_MR 8
#else
#define PN_VECTOR_BYTES 16
#define PN_MR 4
#endif

/* A multiplication by a denormal costs a hundred times a normal one, and denormals arise as weights and moments
 * decay and in exponentials. Products, optimisers, functions with exponentials and the softmax loss flush them to
 * zero and restore the caller's mode. */
#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
typedef unsigned int pn_float_mode;
static inline pn_float_mode pn_flush_denormals(void) {
    pn_float_mode mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040);
    return mode;
}
static inline void pn_restore_denormals(pn_float_mode mode) { _mm_setcsr(mode); }
#elif defined(__aarch64__)
typedef uint64_t pn_float_mode;
static inline pn_float_mode pn_flush_denormals(void) {
    pn_float_mode mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    /* "memory": no load or store, hence no arithmetic on arrays, moves past the change of mode. */
    __asm__ volatile("msr fpcr, %0" : : "r"(mode | (UINT64_C(1) << 24)) : "memory");
    return mode;
}
static inline void pn_restore_denormals(pn_float_mode mode) {
    __asm__ volatile("msr fpcr, %0" : : "r"(mode) : "memory");
}
#else
typedef int pn_float_mode;
static inline pn_float_mode pn_flush_denormals(void) { return 0; }
static inline void pn_restore_denormals(pn_float_mode mode) { (void)mode; }
#endif

/* Of a function that is seldom called: compiled for size, in a fraction of the time. */
#define PN_RARE __attribute__((cold, noinline))

#endif

/* What this processor and its operating system support: the x86-64 level, and matrix units. */
#ifndef PYNN_CPU_H
#define PYNN_CPU_H

/* Whether the compiler knows Intel's matrix units (AMX), from GCC 11 and clang 11 on. Only Linux grants them. */
#if defined(__linux__) && defined(__x86_64__) && defined(__has_include)
#if __has_include(<amxbf16intrin.h>)
#define PN_COMPILES_AMX
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

static inline int pn_x86_level(void) {
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_cpu_init();
    if (!(__builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt")))
        return 1;
    if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))) return 2;
    if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
          __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
          __builtin_cpu_supports("avx512vl")))
        return 3;
    return 4;
#else
    return 0;
#endif
}

/* Whether this process may multiply bfloat16 on matrix units. Linux saves their 8 KB of registers only for a process
 * that asks, once, for all of its threads; a forked child inherits the permission. */
static inline int pn_has_amx(void) {
#ifdef PN_COMPILES_AMX
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18, BF16 = 1u << 22, TILE = 1u << 24 };
    unsigned int a, b, c, d = 0;
    if (pn_x86_level() < 4 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & BF16) || !(d & TILE)) return 0;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return 0;
#endif
}

#endif

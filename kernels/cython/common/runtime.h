/* What runtime.pyx provides to all kernel modules: a thread team, and recording of kernel calls.
 *
 * A kernel call is a function and a struct of its arguments, whose first members are pointers to arrays.
 */
#ifndef PYNN_RUNTIME_H
#define PYNN_RUNTIME_H

#include <stddef.h>

/* Returns 0, or -1 if the call failed (no memory, a label out of range). */
typedef int (*pn_kernel)(void *call);

typedef void (*pn_task)(void *argument, int index);

typedef struct {
    /* Run tasks 0 to count - 1, on several threads if the team is free; return when all are done. Needs no GIL. */
    void (*parallel)(pn_task task, void *argument, int count);
    /* The number of threads that `parallel` would use. */
    int (*threads)(void);
    /* Whether the calling thread is recording. */
    int (*recording)(void);
    /* Append the call to the calling thread's recording. `arrays` is a tuple kept alive with it: first the `reads`
     * arrays that the kernel reads, then those that it overwrites. `result` is NULL or the member of the call that
     * receives its value. Needs the GIL; returns -1 with an exception set if memory is exhausted. */
    int (*record)(pn_kernel kernel, const void *call, size_t bytes, int reads, void *arrays, const double *result);
    /* How many products of bfloat16 parts make a float32 product on the matrix units: 6, 3, 1; 0 without matrix units.
     */
    int (*matrix_products)(void);
} pn_runtime;

/* Per kernel module; NULL in a program without Python, where everything is serial. */
static const pn_runtime *pn_the_runtime;

static inline int pn_threads(void) { return pn_the_runtime ? pn_the_runtime->threads() : 1; }

static inline int pn_matrix_products(void) { return pn_the_runtime ? pn_the_runtime->matrix_products() : 0; }

static inline void pn_parallel(pn_task task, void *argument, int count) {
    if (pn_the_runtime && count > 1)
        pn_the_runtime->parallel(task, argument, count);
    else
        for (int i = 0; i < count; i++) task(argument, i);
}

/* Number of parts to split work of `size` into: at least `grain` work each, at most one per thread. */
static inline int pn_parts(double size, double grain) {
    if (size < 2 * grain) return 1;
    const double parts = size / grain;
    const int threads = pn_threads();
    return parts < threads ? (int)parts : threads;
}

/* The first element of part `part` out of `parts` of n elements, a multiple of `step`. */
static inline ptrdiff_t pn_part_start(ptrdiff_t n, ptrdiff_t step, int part, int parts) {
    const ptrdiff_t start = (n + step - 1) / step * part / parts * step;
    return start < n ? start : n;
}

#endif

/* What one module, runtime.pyx, does for all kernel modules: a team of threads, and the recording of kernel calls.
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
    /* Run tasks 0 to count - 1, on several threads if they are free; return when all are done. Needs no GIL. */
    void (*parallel)(pn_task task, void *argument, int count);
    /* How many threads `parallel` would use. */
    int (*threads)(void);
    /* Whether this thread records. */
    int (*recording)(void);
    /* Append the call to this thread's recording. `arrays`, a tuple, is kept alive with it: those that the kernel reads,
     * `reads` of them, then those that it overwrites. `result` is NULL or the member of the call that receives its
     * value. Needs the GIL; returns -1 with an exception set if memory is exhausted. */
    int (*record)(pn_kernel kernel, const void *call, size_t bytes, int reads, void *arrays, const double *result);
} pn_runtime;

/* Of this module; NULL in a program without Python, where all is serial. */
static const pn_runtime *pn_the_runtime;

static inline int pn_threads(void) { return pn_the_runtime ? pn_the_runtime->threads() : 1; }

static inline void pn_parallel(pn_task task, void *argument, int count) {
    if (pn_the_runtime && count > 1)
        pn_the_runtime->parallel(task, argument, count);
    else
        for (int i = 0; i < count; i++) task(argument, i);
}

/* Into how many parts to cut work of `size`, of which a thread should have `least`, no more than there are threads. */
static inline int pn_parts(double size, double least) {
    if (size < 2 * least) return 1;
    const double most = size / least;
    const int threads = pn_threads();
    return most < threads ? (int)most : threads;
}

/* The first element of part `part` of `parts` of n elements, in multiples of `step`. */
static inline ptrdiff_t pn_part_start(ptrdiff_t n, ptrdiff_t step, int part, int parts) {
    const ptrdiff_t start = (n + step - 1) / step * part / parts * step;
    return start < n ? start : n;
}

#endif

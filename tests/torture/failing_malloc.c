/* A malloc that fails when told to; preloaded, it serves the C library, Python, NumPy and the kernels. */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);

static long seen, first = -1, last;
static size_t least;

/* From now on, of the requests for `size` bytes or more, fail number `from` to number `to` - 1. */
void fail_requests(long from, long to, size_t size) {
    __atomic_store_n(&first, -1, __ATOMIC_SEQ_CST);
    seen = 0;
    last = to;
    least = size;
    __atomic_store_n(&first, from, __ATOMIC_SEQ_CST);
}

/* How many requests there were since; none fails any more. */
long stop_failing(void) {
    __atomic_store_n(&first, -1, __ATOMIC_SEQ_CST);
    return seen;
}

static int fails(size_t size) {
    const long from = __atomic_load_n(&first, __ATOMIC_SEQ_CST);
    if (from < 0 || size < least) return 0;
    const long number = __atomic_fetch_add(&seen, 1, __ATOMIC_SEQ_CST);
    if (number < from || number >= last) return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size) { return fails(size) ? NULL : __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return fails(n * size) ? NULL : __libc_calloc(n, size); }
void *realloc(void *old, size_t size) { return fails(size) ? NULL : __libc_realloc(old, size); }
void *memalign(size_t alignment, size_t size) { return fails(size) ? NULL : __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void **out, size_t alignment, size_t size) {
    *out = memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}

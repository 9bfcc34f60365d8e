/* Buffers kept between calls, for packed panels and sums. A caller takes a buffer out of its slot; another thread
 * finds the slot empty and tries the next. A buffer that finds no empty slot on return is freed. No locks, and
 * nothing to rebuild after a fork. */
#ifndef PYNN_WORKSPACE_H
#define PYNN_WORKSPACE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define PN_CACHE_LINE 64

typedef struct {
    size_t bytes; /* usable, after the header */
} pn_workspace;

#define PN_SLOTS 16
static pn_workspace *pn_workspace_slots[PN_SLOTS];

static inline void *pn_workspace_data(pn_workspace *workspace) {
    return (void *)(((uintptr_t)(workspace + 1) + PN_CACHE_LINE - 1) & ~(uintptr_t)(PN_CACHE_LINE - 1));
}

/* Returns NULL if memory is exhausted. */
static inline pn_workspace *pn_workspace_take(size_t bytes) {
    pn_workspace *workspace = NULL;
    for (int i = 0; i < PN_SLOTS && !workspace; i++)
        workspace = __atomic_exchange_n(&pn_workspace_slots[i], (pn_workspace *)NULL, __ATOMIC_ACQUIRE);
    if (workspace && workspace->bytes >= bytes) return workspace;
    free(workspace);
    workspace = (pn_workspace *)malloc(sizeof(pn_workspace) + PN_CACHE_LINE + bytes);
    if (workspace) workspace->bytes = bytes;
    return workspace;
}

static inline void pn_workspace_return(pn_workspace *workspace) {
    for (int i = 0; i < PN_SLOTS && workspace; i++) {
        pn_workspace *empty = NULL;
        if (__atomic_compare_exchange_n(&pn_workspace_slots[i], &empty, workspace, 0, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
            return;
    }
    free(workspace);
}

#endif

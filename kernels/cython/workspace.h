/* One buffer kept between calls, for packed panels. A caller takes it out of the slot, so that a second thread finds the
 * slot empty and makes its own; whoever returns to a full slot frees. No lock, nothing to rebuild after fork. */
#ifndef PYNN_WORKSPACE_H
#define PYNN_WORKSPACE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define PN_CACHE_LINE 64

typedef struct {
    size_t bytes; /* usable, after the header */
} pn_workspace;

static pn_workspace *pn_workspace_slot;

static inline void *pn_workspace_data(pn_workspace *workspace) {
    return (void *)(((uintptr_t)(workspace + 1) + PN_CACHE_LINE - 1) & ~(uintptr_t)(PN_CACHE_LINE - 1));
}

/* Returns NULL if memory is exhausted. */
static inline pn_workspace *pn_workspace_take(size_t bytes) {
    pn_workspace *workspace = __atomic_exchange_n(&pn_workspace_slot, (pn_workspace *)NULL, __ATOMIC_ACQUIRE);
    if (workspace && workspace->bytes >= bytes) return workspace;
    free(workspace);
    workspace = (pn_workspace *)malloc(sizeof(pn_workspace) + PN_CACHE_LINE + bytes);
    if (workspace) workspace->bytes = bytes;
    return workspace;
}

static inline void pn_workspace_return(pn_workspace *workspace) {
    pn_workspace *other = __atomic_exchange_n(&pn_workspace_slot, workspace, __ATOMIC_RELEASE);
    free(other);
}

#endif

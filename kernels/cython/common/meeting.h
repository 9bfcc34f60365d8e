/* A barrier for processes that share memory. */
#ifndef PYNN_MEETING_H
#define PYNN_MEETING_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "common/threads.h"

enum { PN_ARRIVAL_STEP = 8 }; /* counters: a cache line for each process */

typedef struct {
    int64_t *arrivals; /* how often each process has arrived */
    void *memory;      /* what the processes show each other; unused, but recordings look it up */
    ptrdiff_t count, own;
    int spins; /* pauses before the process sleeps: none if there are more processes than processors */
} pn_meeting;

/* Sleep for a moment, 70 us or so. A process that yields its processor instead gets it back only after all others that
 * want it have used up their time. */
static void pn_nap(void) {
#if defined(_WIN32)
    pn_yield();
#else
    const struct timespec moment = {.tv_nsec = 20000};
    nanosleep(&moment, NULL);
#endif
}

/* Arrive, and wait until all processes have arrived as often; what each wrote before, all see afterwards. If one has
 * died, the others wait until whoever started them ends them. */
static int pn_meet(void *call) {
    const pn_meeting *p = (const pn_meeting *)call;
    const int64_t now = PN_LOAD(p->arrivals[PN_ARRIVAL_STEP * p->own]) + 1;
    PN_STORE(p->arrivals[PN_ARRIVAL_STEP * p->own], now);
    for (ptrdiff_t other = 0; other < p->count; other++)
        for (int spin = 0; PN_LOAD(p->arrivals[PN_ARRIVAL_STEP * other]) < now;) {
            if (spin < p->spins) {
                spin++;
                pn_pause();
            } else {
                pn_nap();
            }
        }
    return 0;
}

#endif

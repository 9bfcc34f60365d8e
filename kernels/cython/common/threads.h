/* A thread team for parallel loops.
 *
 * A job is published as one 64-bit ticket (generation, number of tasks, next task), from which threads claim tasks
 * by compare-and-swap: a thread that wakes up late finds another generation and does nothing. Idle threads spin
 * briefly, because the next job of a training step follows within microseconds, then sleep. A caller that finds the
 * team busy runs its tasks alone, so several Python threads may compute at once. A forked child starts a new team;
 * OpenMP is not used because its team would hang there.
 */
#ifndef PYNN_THREADS_H
#define PYNN_THREADS_H

#include <stdint.h>

#include "runtime.h"

#define PN_MAX_THREADS 256
#define PN_SPIN 2000 /* pauses before a thread sleeps: 30 to 80 us */

#if defined(_WIN32)
#include <windows.h>
typedef SRWLOCK pn_lock;
typedef CONDITION_VARIABLE pn_condition;
#define PN_LOCK_INIT SRWLOCK_INIT
#define PN_CONDITION_INIT CONDITION_VARIABLE_INIT
static void pn_lock_take(pn_lock *lock) { AcquireSRWLockExclusive(lock); }
static void pn_lock_release(pn_lock *lock) { ReleaseSRWLockExclusive(lock); }
static void pn_sleep_on(pn_condition *condition, pn_lock *lock) {
    SleepConditionVariableSRW(condition, lock, INFINITE, 0);
}
static void pn_wake_all(pn_condition *condition) { WakeAllConditionVariable(condition); }
static void pn_yield(void) { SwitchToThread(); }
#else
#include <pthread.h>
#include <sched.h>
#include <signal.h>
typedef pthread_mutex_t pn_lock;
typedef pthread_cond_t pn_condition;
#define PN_LOCK_INIT PTHREAD_MUTEX_INITIALIZER
#define PN_CONDITION_INIT PTHREAD_COND_INITIALIZER
static void pn_lock_take(pn_lock *lock) { pthread_mutex_lock(lock); }
static void pn_lock_release(pn_lock *lock) { pthread_mutex_unlock(lock); }
static void pn_sleep_on(pn_condition *condition, pn_lock *lock) { pthread_cond_wait(condition, lock); }
static void pn_wake_all(pn_condition *condition) { pthread_cond_broadcast(condition); }
static void pn_yield(void) { sched_yield(); }
#endif

#if defined(__x86_64__) || defined(_M_X64)
#define pn_pause() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define pn_pause() __asm__ volatile("yield")
#else
#define pn_pause() ((void)0)
#endif

static struct {
    uint64_t ticket; /* generation << 32 | tasks << 16 | next task */
    pn_task task;
    void *argument;
    int done;     /* tasks of the job that are finished */
    int busy;     /* a job is running */
    int threads;  /* requested, including the caller */
    int started;  /* running workers */
    int sleeping; /* workers that must be woken */
    pn_lock lock;
    pn_condition wake;
} pn_team = {.threads = 1, .lock = PN_LOCK_INIT, .wake = PN_CONDITION_INIT};

#define PN_LOAD(place) __atomic_load_n(&(place), __ATOMIC_SEQ_CST)
#define PN_STORE(place, value) __atomic_store_n(&(place), value, __ATOMIC_SEQ_CST)

/* Run tasks of the current job until none is left. */
static void pn_help(void) {
    uint64_t ticket = PN_LOAD(pn_team.ticket);
    const uint64_t generation = ticket >> 32;
    while (ticket >> 32 == generation && (ticket & 0xffff) < (ticket >> 16 & 0xffff)) {
        const pn_task task = __atomic_load_n(&pn_team.task, __ATOMIC_RELAXED);
        void *argument = __atomic_load_n(&pn_team.argument, __ATOMIC_RELAXED);
        if (__atomic_compare_exchange_n(&pn_team.ticket, &ticket, ticket + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            task(argument, (int)(ticket & 0xffff));
            __atomic_fetch_add(&pn_team.done, 1, __ATOMIC_SEQ_CST);
            ticket = PN_LOAD(pn_team.ticket);
        }
    }
}

static void pn_work(int worker) {
    uint64_t seen = 0;
    for (;;) {
        uint64_t generation;
        for (int spin = 0; (generation = PN_LOAD(pn_team.ticket) >> 32) == seen && spin < PN_SPIN; spin++) pn_pause();
        if (generation == seen) {
            pn_lock_take(&pn_team.lock);
            __atomic_fetch_add(&pn_team.sleeping, 1, __ATOMIC_SEQ_CST);
            while (PN_LOAD(pn_team.ticket) >> 32 == seen) pn_sleep_on(&pn_team.wake, &pn_team.lock);
            __atomic_fetch_sub(&pn_team.sleeping, 1, __ATOMIC_SEQ_CST);
            pn_lock_release(&pn_team.lock);
            generation = PN_LOAD(pn_team.ticket) >> 32;
        }
        seen = generation;
        if (worker < PN_LOAD(pn_team.threads) - 1) pn_help();
    }
}

#if defined(_WIN32)
static DWORD WINAPI pn_worker_main(void *worker) {
    pn_work((int)(intptr_t)worker);
    return 0;
}

static int pn_start_worker(int worker) {
    HANDLE thread = CreateThread(NULL, 0, pn_worker_main, (void *)(intptr_t)worker, 0, NULL);
    if (!thread) return -1;
    CloseHandle(thread);
    return 0;
}
static void pn_prepare_for_fork(void) {}
#else
static void *pn_worker_main(void *worker) {
    pn_work((int)(intptr_t)worker);
    return NULL;
}

/* Workers block all signals, which the Python thread handles. */
static int pn_start_worker(int worker) {
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&thread, NULL, pn_worker_main, (void *)(intptr_t)worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? -1 : pthread_detach(thread);
}

static void pn_after_fork(void) {
    const pn_lock lock = PN_LOCK_INIT;
    const pn_condition wake = PN_CONDITION_INIT;
    pn_team.ticket = 0;
    pn_team.busy = pn_team.started = pn_team.sleeping = 0;
    pn_team.lock = lock;
    pn_team.wake = wake;
}
static void pn_prepare_for_fork(void) { pthread_atfork(NULL, NULL, pn_after_fork); }
#endif

static int pn_team_size(void) { return __atomic_load_n(&pn_team.threads, __ATOMIC_RELAXED); }
static void pn_set_team_size(int threads) { __atomic_store_n(&pn_team.threads, threads, __ATOMIC_RELAXED); }

static void pn_run_parallel(pn_task task, void *argument, int count) {
    const int threads = pn_team_size();
    if (count == 1 || threads == 1 || count > 0xffff || __atomic_exchange_n(&pn_team.busy, 1, __ATOMIC_SEQ_CST)) {
        for (int i = 0; i < count; i++) task(argument, i);
        return;
    }
    /* If a worker cannot be started (thread limit), the others claim its tasks. */
    while (pn_team.started < threads - 1 && pn_start_worker(pn_team.started) == 0) pn_team.started++;
    __atomic_store_n(&pn_team.task, task, __ATOMIC_RELAXED);
    __atomic_store_n(&pn_team.argument, argument, __ATOMIC_RELAXED);
    PN_STORE(pn_team.done, 0);
    const uint64_t generation = (PN_LOAD(pn_team.ticket) >> 32) + 1;
    PN_STORE(pn_team.ticket, (generation & 0xffffffff) << 32 | (uint64_t)count << 16);
    if (PN_LOAD(pn_team.sleeping)) {
        pn_lock_take(&pn_team.lock);
        pn_wake_all(&pn_team.wake);
        pn_lock_release(&pn_team.lock);
    }
    pn_help();
    for (int spin = 0; PN_LOAD(pn_team.done) != count; spin++) {
        if (spin < PN_SPIN)
            pn_pause();
        else
            pn_yield();
    }
    PN_STORE(pn_team.busy, 0);
}

#endif

/* A thread team for parallel loops.
 *
 * A job is published as one 64-bit ticket (generation, number of tasks, next task), from which threads claim tasks
 * by compare-and-swap: a thread that wakes up late finds another generation and does nothing. Idle threads spin
 * briefly, because the next job of a training step follows within microseconds, then sleep. A caller that finds the
 * team busy runs its tasks alone, so several Python threads may compute at once. A forked child starts a new team;
 * OpenMP is not used because its team would hang there.
 *
 * Threads must not cost time, so callers keep accounts: what a job gained by the work of others, minus what waking them
 * and waiting for them took, which is much if another program keeps their processors busy. When the account is
 * overdrawn, callers work alone for PN_RECOVERY times as long as was lost.
 */
#ifndef PYNN_THREADS_H
#define PYNN_THREADS_H

#include <stdint.h>

#include "runtime.h"

#define PN_MAX_THREADS 256
#define PN_SPIN 2000       /* pauses before a thread sleeps: 30 to 80 us */
#define PN_RECOVERY 32     /* so at most a thirty-second of the time is lost */
#define PN_MAX_CREDIT 2e-3 /* seconds: as long as a processor is now and then taken away on a virtual machine */

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
static double pn_now(void) {
    LARGE_INTEGER ticks, frequency;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&ticks);
    return (double)ticks.QuadPart / (double)frequency.QuadPart;
}
#else
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
typedef pthread_mutex_t pn_lock;
typedef pthread_cond_t pn_condition;
#define PN_LOCK_INIT PTHREAD_MUTEX_INITIALIZER
#define PN_CONDITION_INIT PTHREAD_COND_INITIALIZER
static void pn_lock_take(pn_lock *lock) { pthread_mutex_lock(lock); }
static void pn_lock_release(pn_lock *lock) { pthread_mutex_unlock(lock); }
static void pn_sleep_on(pn_condition *condition, pn_lock *lock) { pthread_cond_wait(condition, lock); }
static void pn_wake_all(pn_condition *condition) { pthread_cond_broadcast(condition); }
static void pn_yield(void) { sched_yield(); }
static double pn_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}
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
    int eager;    /* share out all jobs, however late the others are */
    double account; /* seconds that others have saved callers, up to PN_MAX_CREDIT */
    double alone;   /* until when callers work alone */
    pn_lock lock;
    pn_condition wake;
} pn_team = {.threads = 1, .lock = PN_LOCK_INIT, .wake = PN_CONDITION_INIT};

#define PN_LOAD(place) __atomic_load_n(&(place), __ATOMIC_SEQ_CST)
#define PN_STORE(place, value) __atomic_store_n(&(place), value, __ATOMIC_SEQ_CST)

/* Run tasks of the current job until none is left; return how many were run. */
static int pn_help(void) {
    int run = 0;
    uint64_t ticket = PN_LOAD(pn_team.ticket);
    const uint64_t generation = ticket >> 32;
    while (ticket >> 32 == generation && (ticket & 0xffff) < (ticket >> 16 & 0xffff)) {
        const pn_task task = __atomic_load_n(&pn_team.task, __ATOMIC_RELAXED);
        void *argument = __atomic_load_n(&pn_team.argument, __ATOMIC_RELAXED);
        if (__atomic_compare_exchange_n(&pn_team.ticket, &ticket, ticket + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            task(argument, (int)(ticket & 0xffff));
            __atomic_fetch_add(&pn_team.done, 1, __ATOMIC_SEQ_CST);
            ticket = PN_LOAD(pn_team.ticket);
            run++;
        }
    }
    return run;
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
    pn_team.account = pn_team.alone = 0;
    pn_team.lock = lock;
    pn_team.wake = wake;
}
static void pn_prepare_for_fork(void) { pthread_atfork(NULL, NULL, pn_after_fork); }
#endif

static int pn_team_size(void) { return __atomic_load_n(&pn_team.threads, __ATOMIC_RELAXED); }
static void pn_set_team(int threads, int eager) {
    __atomic_store_n(&pn_team.threads, threads, __ATOMIC_RELAXED);
    __atomic_store_n(&pn_team.eager, eager, __ATOMIC_RELAXED);
}

/* Whether the team, which the caller has made busy, costs more than it saves now. */
static int pn_better_alone(void) {
    return pn_team.alone > 0 && !__atomic_load_n(&pn_team.eager, __ATOMIC_RELAXED) && pn_now() < pn_team.alone;
}

/* Book what a job saved its caller, in seconds; negative if it cost time. */
static void pn_book(double saved) {
    const double account = pn_team.account + saved;
    pn_team.account = account < 0 ? 0 : account < PN_MAX_CREDIT ? account : PN_MAX_CREDIT;
    pn_team.alone = account < 0 ? pn_now() - PN_RECOVERY * account : 0;
}

/* Publish a job, and do its tasks together with the workers. */
static void pn_share_out(pn_task task, void *argument, int count, int threads) {
    /* If a worker cannot be started (thread limit), the others claim its tasks. */
    while (pn_team.started < threads - 1 && pn_start_worker(pn_team.started) == 0) pn_team.started++;
    __atomic_store_n(&pn_team.task, task, __ATOMIC_RELAXED);
    __atomic_store_n(&pn_team.argument, argument, __ATOMIC_RELAXED);
    PN_STORE(pn_team.done, 0);
    const double begun = pn_now();
    const uint64_t generation = (PN_LOAD(pn_team.ticket) >> 32) + 1;
    PN_STORE(pn_team.ticket, (generation & 0xffffffff) << 32 | (uint64_t)count << 16);
    if (PN_LOAD(pn_team.sleeping)) {
        pn_lock_take(&pn_team.lock);
        pn_wake_all(&pn_team.wake);
        pn_lock_release(&pn_team.lock);
    }
    const double woken = pn_now();
    const int mine = pn_help();
    const double helped = pn_now();
    for (int spin = 0; PN_LOAD(pn_team.done) != count; spin++) {
        if (spin < PN_SPIN)
            pn_pause();
        else
            pn_yield();
    }
    const double of_others = mine ? (helped - woken) / mine * (count - mine) : 0;
    pn_book(of_others - (woken - begun) - (pn_now() - helped));
}

static void pn_run_parallel(pn_task task, void *argument, int count) {
    const int threads = pn_team_size();
    const int parallel = count > 1 && threads > 1 && count <= 0xffff;
    const int mine = parallel && !__atomic_exchange_n(&pn_team.busy, 1, __ATOMIC_SEQ_CST);
    const int alone = !mine || pn_better_alone();
    if (!alone) pn_share_out(task, argument, count, threads);
    if (mine) PN_STORE(pn_team.busy, 0);
    for (int i = 0; alone && i < count; i++) task(argument, i);
}

#endif

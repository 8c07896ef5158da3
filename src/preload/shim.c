#include "preload/shim.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hints.h"
#include "base/log.h"
#include "base/text.h"
#include "preload/background.h"
#include "preload/environment.h"
#include "preload/errand.h"
#include "preload/process.h"
#include "preload/real.h"
#include "preload/renew.h"
#include "state/bank.h"

enum {
    SEGMENTS_MAX = 8, /* the first, and those that superseded it; track.c has room for 256 */
    RETRY_MS = 10 * 1000,
    SOON_MS = 100, /* until another look costs little and may find more */
    WAIT_MS = 500, /* for a publication */
};

enum shim_state { NEW, STARTING, READY, OFF };

HOT_DATA _Atomic(const struct segment *) shim_current;

/*
 * NEW -> STARTING by CAS; the winner fills in the environment and stores READY or OFF (release;
 * partner: the acquire of whoever sees it). OFF is final. Who meets STARTING passes through.
 */
static _Atomic(int) state;

/* Why an attachment came to nothing decides when it is worth another try. */
enum attempt_end { ATTACHED, FAILED_HERE, NOT_YET };

static struct segment segments[SEGMENTS_MAX];
static unsigned segment_count; /* under `attaching` */

/* The thread that is attaching, known by the address of its errno; 0 = nobody. Taken by CAS. */
static _Atomic(uintptr_t) attaching;
static atomic_u64 next_try_ns; /* CLOCK_MONOTONIC_COARSE */

static char secrets_path[sizeof(((struct place *)0)->secrets)]; /* written under `attaching` */

/* In a forked child: whichever thread was attaching is not there any more. */
static void forget_attaching(void)
{
    atomic_store_explicit(&attaching, 0, memory_order_relaxed);
    errand_forget();
    background_forget();
}

/* False: another thread is at it, or the library stays off. */
static bool start(void)
{
    int seen = NEW;
    struct hush hush;

    process_hush(&hush);
    if (atomic_compare_exchange_strong_explicit(&state, &seen, STARTING, memory_order_acquire,
                                                memory_order_acquire)) {
        real_resolve();
        process_arm(forget_attaching);
        /* AT_SECURE: the environment is the caller's, the rights are not. */
        seen = !getauxval(AT_SECURE) && environment_read() ? READY : OFF;
        atomic_store_explicit(&state, seen, memory_order_release);
    }
    process_unhush(&hush);
    return seen == READY;
}

/* True when the hooks may act. Runs once, from the constructor or from a hook that comes before it.
 */
static bool started(void)
{
    int seen = atomic_load_explicit(&state, memory_order_acquire);

    return seen == READY || (seen == NEW && start());
}

__attribute__((constructor)) static void construct(void)
{
    int saved = errno;

    started();
    errno = saved;
}

/* programs { only skip } */
static bool program_is_wanted(const struct segment *segment)
{
    static struct bank front; /* 4 KiB: not on a stranger's stack; under `attaching` */
    struct bank_view view;

    for (unsigned tries = 0; tries < 3; tries++) {
        if (!bank_open(segment, &view))
            return true;
        bank_front(&view, &front);
        if (bank_valid(&view))
            return (front.only_count == 0 || environment_lists(front.only, front.only_count)) &&
                   !environment_lists(front.skip, front.skip_count);
    }
    return true;
}

/* Fills in the next of `segments`. Under `attaching`. */
static enum attempt_end attach(bool may_spawn)
{
    static struct place place; /* 3 KiB: not on a stranger's stack */
    static char config[PATH_TEXT];
    struct segment *segment = &segments[segment_count];
    const char *why;
    int error;

    if (segment_count == SEGMENTS_MAX || !environment_config(config)) {
        log_debug("off: %s",
                  segment_count == SEGMENTS_MAX ? "superseded too often" : "no configuration file");
        return FAILED_HERE;
    }
    error = environment_place(&place, config, true, &why);
    if (error) {
        log_warn("off: %s (errno %d)", why, -error);
        return FAILED_HERE;
    }
    error = segment_attach(segment, &place, &why);
    if (error) {
        log_info("%s: %s (errno %d)", place.segment, why, -error);
        switch (renew_publish(&place, config, error == -ENOENT, may_spawn, WAIT_MS)) {
        case SPAWN_DONE:
            break;
        case SPAWN_LATER:
            return NOT_YET;
        case SPAWN_IN_VAIN:
            return FAILED_HERE;
        }
        error = segment_attach(segment, &place, &why);
    } else if (may_spawn && renew_lacks(segment, &place)) {
        renew_publish(&place, config, false, true, WAIT_MS);
    }
    if (error) {
        log_warn("off: %s: %s (errno %d)", place.segment, why, -error);
        return FAILED_HERE;
    }
    segment->number = segment_count++;
    text_copy(secrets_path, sizeof(secrets_path), place.secrets);
    if (!program_is_wanted(segment)) {
        log_info("off: programs { only skip } leave out %s", environment_program());
        atomic_store_explicit(&state, OFF, memory_order_release);
        return FAILED_HERE;
    }
    log_info("attached to %s%s", place.segment, segment->writable ? "" : " (read-only)");
    return ATTACHED;
}

/* Waits for the thread that is attaching; a hook within that thread's own call goes on unsteered.
 */
static const struct segment *await_other_thread(uintptr_t self)
{
    const struct timespec pause = {0, NS_PER_MS};
    uintptr_t other = self;

    for (unsigned i = 0; i < WAIT_MS; i++) {
        other = atomic_load_explicit(&attaching, memory_order_acquire);
        if (other == 0 || other == self)
            break;
        nanosleep(&pause, NULL);
    }
    if (other != 0 && other != self) /* nobody waits twice */
        store_relaxed(&next_try_ns, clock_coarse_ns() + RETRY_MS * NS_PER_MS);
    return atomic_load_explicit(&shim_current, memory_order_acquire);
}

static bool may_try(void)
{
    return clock_coarse_ns() >= load_relaxed(&next_try_ns) && process_is_ours();
}

/* Attaches, or waits for the thread that does. `attaching` must not stay taken for ever. */
static const struct segment *attach_undisturbed(enum shim_caller caller)
{
    static const unsigned retry_ms[] = {
        [ATTACHED] = 0, [FAILED_HERE] = RETRY_MS, [NOT_YET] = SOON_MS};
    uintptr_t self = (uintptr_t)&errno, nobody = 0;
    enum attempt_end end;
    struct hush hush;
    bool taken;

    process_hush(&hush);
    taken = atomic_compare_exchange_strong_explicit(&attaching, &nobody, self, memory_order_acquire,
                                                    memory_order_relaxed);
    if (taken) {
        end = attach(process_may_spawn(caller == CALLER_RESOLVER, &hush.before));
        if (end == ATTACHED)
            atomic_store_explicit(&shim_current, &segments[segment_count - 1],
                                  memory_order_release);
        else
            store_relaxed(&next_try_ns, clock_coarse_ns() + retry_ms[end] * NS_PER_MS);
        atomic_store_explicit(&attaching, 0, memory_order_release);
    }
    process_unhush(&hush);
    return taken ? atomic_load_explicit(&shim_current, memory_order_acquire)
                 : await_other_thread(self);
}

const struct segment *shim_attach(enum shim_caller caller)
{
    int saved = errno;
    const struct segment *segment = started() && may_try() ? attach_undisturbed(caller) : NULL;

    errno = saved;
    return segment;
}

RARE const struct segment *shim_move_on(const struct segment *segment, enum shim_caller caller)
{
    int saved = errno;

    /* A superseded segment still steers until there is another. */
    if (may_try())
        segment = attach_undisturbed(caller);
    errno = saved;
    return segment;
}

const struct segment *shim_segments(void)
{
    return segments;
}

const char *shim_secrets_path(void)
{
    return secrets_path;
}

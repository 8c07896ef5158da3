/*
 * background: the threads of a steered process, and when they may be started.
 *
 *     guard      shuts this process's sockets when their endpoint goes down, is drained or left
 *     prober     holds the lease, or waits for it, and checks the endpoints of the whole host
 *     errands    waits for children, which the prober must not
 *
 * Never from the constructor: a second thread would make unshare(CLONE_NEWUSER) fail, for one.
 * Started at the first steered call whose circumstances allow it (see background_needed), never
 * joined, assumed gone after fork(). A program that none of its calls allows it to just steers.
 */
#ifndef PRELOAD_BACKGROUND_H
#define PRELOAD_BACKGROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/shared.h"
#include "preload/shim.h"

/*
 * [hook] Starts the guard, and the prober when the host has none or no deputy, or tells a prober
 * that stands aside. Starts nothing in a signal handler (any blocked signal that has a handler;
 * SIGQUIT apart), in a vfork child, where the last attempt failed less than 10 s ago, or where
 * programs of their own seccomp filter must fear new system calls.
 */
void background_look(const struct segment *segment, enum shim_caller caller, uint64_t now_ns);

extern atomic_u64 background_next_look_ns; /* CLOCK_BOOTTIME; written by background_look() */

/*
 * [hook] A connection was steered, or a look-up answered: background_look(), when the last one that
 * found all well is 100 ms old. One load mostly.
 */
static inline void background_needed(const struct segment *segment, enum shim_caller caller,
                                     uint64_t now_ns)
{
    if (now_ns >= load_relaxed(&background_next_look_ns))
        background_look(segment, caller, now_ns);
}

/*
 * [hook] Who checks the host's endpoints: whoever holds the lease, or else this process's own
 * prober, which is about to. A thread cannot make every check. Some system calls.
 */
enum checks_by { BY_NOBODY, BY_THREAD, BY_PROCESS };
enum checks_by background_checks(const struct segment *segment, uint64_t now_ns);

/*
 * For the prober: the thread for errands is there. False: it is not yet, or cannot be. The next
 * steered call starts it, or after some seconds without one this.
 */
bool background_errands(void);

/* In a forked child: the threads stayed behind. */
void background_forget(void);

/* For the threads: their stack is big enough (static TLS is carved from it), signals are blocked.
 */
typedef void background_thread(void);

/* This thread gets a table of descriptors of its own, /dev/null on 0-2. False: the kernel refuses.
 */
bool background_own_descriptors(void);

#endif

/*
 * process: whose memory is this?
 *
 * A vfork() or clone(CLONE_VM) child runs a hook in its parent's memory: what it wrote there about
 * its own sockets would be believed by the parent. A child of _Fork() or raw clone() has a copy,
 * but no fork handler ran in it. Both only steer; they keep no books.
 */
#ifndef PRELOAD_PROCESS_H
#define PRELOAD_PROCESS_H

#include <signal.h>
#include <stdbool.h>

/*
 * [hook] From process_hush() to process_unhush() all signals are blocked and cancellation is off:
 * neither a handler's siglongjmp nor a cancelled thread leaves half done what is done once.
 */
struct hush {
    sigset_t before;
    int cancellable;
};
void process_hush(struct hush *hush);
void process_unhush(const struct hush *hush);

/* For the constructor: marks this process; `in_child` runs in each fork() child. */
void process_arm(void (*in_child)(void));

/* [hook] One getpid(): true in the process that armed the library and in its fork() children. */
bool process_is_ours(void);

/*
 * [hook] May this call, which came with these signals blocked, start a child? Not from a signal
 * handler (seen by a blocked signal that has a handler; SIGQUIT apart, which the JVM blocks in
 * every thread), and not under a seccomp filter of the program's own, which could kill the child.
 */
bool process_may_spawn(bool resolver_call, const sigset_t *blocked);

#endif

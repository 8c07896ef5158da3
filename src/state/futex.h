/*
 * futex: sleeping on a word of the segment, and waking who sleeps there.
 *
 * Shared futexes: the kernel knows the word by file and offset, so namespaces do not matter, and a
 * read-only mapping will do. Linux keeps the time of a wait on CLOCK_MONOTONIC. [hook]; errno is
 * changed.
 */
#ifndef STATE_FUTEX_H
#define STATE_FUTEX_H

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/shared.h"

/* As in <linux/futex.h>, which not every libc finds. */
enum { WAIT_SHARED = 0, WAKE_SHARED = 1 };

/* What SYS_futex reads, on 32-bit machines too, whatever the libc's struct timespec is. */
struct futex_time {
    long seconds;
    long nanoseconds;
};

/* Sleeps while the word is `seen`; `timeout_ns` 0 = no limit. May return early: look again. */
static inline void futex_wait(atomic_u32 *word, uint32_t seen, uint64_t timeout_ns)
{
    struct futex_time timeout = {
        .seconds = (long)(timeout_ns / NS_PER_S),
        .nanoseconds = (long)(timeout_ns % NS_PER_S),
    };

    syscall(SYS_futex, word, WAIT_SHARED, seen, timeout_ns ? &timeout : NULL, NULL, 0);
}

static inline void futex_wake(atomic_u32 *word, int count)
{
    syscall(SYS_futex, word, WAKE_SHARED, count, NULL, NULL, 0);
}

#endif

/*
 * lease: which one process of the host checks the endpoints.
 *
 * A 64-bit word {epoch:32, class:8, 0:8, slot+1:16} taken by compare-and-swap. The slot, one of a
 * small table of contenders, holds {pid, pid namespace, start time, heartbeat}; the holder beats
 * only its own, so a holder that was stopped and resumed prolongs nobody's lease, and what it
 * writes under the old epoch is refused. Taken over at once when the robust futex word reports the
 * holder's death (exit and exec too), else when its heartbeat is older than LEASE_NS. A dedicated
 * monitor (class PROCESS) takes it from a thread. One deputy, a second such word, waits for the
 * holder's death; everybody else looks when it steers a connection (lease_wanted).
 */
#ifndef STATE_LEASE_H
#define STATE_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "state/robust.h"
#include "state/segment.h"

#define LEASE_NS          UINT64_C(1000000000)
#define DEPUTY_SILENCE_NS (3 * LEASE_NS)

enum lease_class { LEASE_THREAD = 1, LEASE_PROCESS = 2 };

/* One thread's; it must stay where it is from lease_enter() to lease_leave(). */
struct contender {
    const struct segment *segment;
    enum lease_class class;
    uint32_t slot;  /* in the table of contenders */
    uint32_t epoch; /* of the lease, while held */
    /* Private to lease and contender: */
    uint32_t deputy_epoch;  /* of the deputy's post, while held */
    uint64_t claim;         /* as in our slot of the table */
    uint64_t pid_namespace; /* who we are */
    uint64_t start_ticks;
    struct robust robust;
};

/* Claims a slot of the table for this process. 0, -ENOSPC (all taken by the living), -EROFS. */
int lease_enter(struct contender *self, const struct segment *segment, enum lease_class class,
                uint64_t now_ns);
/* Gives up lease, deputyship and slot. */
void lease_leave(struct contender *self);

/*
 * Takes the lease when it is free, its holder is dead or silent, or a thread holds it and self is a
 * PROCESS. On success the calling thread is entered in its robust list (once per thread) and all
 * health words carry the new epoch before this returns.
 */
bool lease_take(struct contender *self, uint64_t now_ns);
bool lease_held(const struct contender *self); /* [hook] */
void lease_beat(const struct contender *self, uint64_t now_ns);

/* The same for the deputy's post. */
bool lease_deputise(struct contender *self, uint64_t now_ns);
bool lease_is_deputy(const struct contender *self);
/*
 * The deputy sleeps until the holder's death is reported, its heartbeat must be called old, or
 * `timeout_ns` has passed; and beats. At most DEPUTY_SILENCE_NS, or it is taken for dead.
 */
void lease_await(const struct contender *self, uint64_t timeout_ns);

/* [hook] No living holder, or no deputy: somebody should step forward. A few loads. */
bool lease_wanted(const struct segment *segment, uint64_t now_ns);

struct lease_holder {
    uint32_t pid;
    enum lease_class class;
    uint32_t epoch;
};
/* For status: false when there is no living holder. */
bool lease_holder(const struct segment *segment, uint64_t now_ns, struct lease_holder *out);

#endif

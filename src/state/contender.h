/*
 * contender: the table of processes that may hold the lease, and who of them is alive. For lease.c.
 *
 * A process is known by pid, pid namespace and start time. In another pid namespace a pid means
 * nothing, and exec() keeps all three: there the heartbeat and the robust word must do. A number
 * of its own that a process finds in a slot that it has not claimed is from before its exec(), or
 * of somebody long gone. [hook]; errno is changed.
 */
#ifndef STATE_CONTENDER_H
#define STATE_CONTENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "state/lease.h"

/* What the words `lease` and `deputy` hold; see lease.h. */
struct post {
    uint32_t epoch;
    uint8_t class;
    uint32_t slot; /* NO_SLOT: nobody */
};

static inline struct post post_unpack(uint64_t word)
{
    return (struct post){
        .epoch = (uint32_t)(word >> 32),
        .class = (uint8_t)(word >> 24),
        .slot = (word & 0xffff) == 0 ? NO_SLOT : (uint32_t)(word & 0xffff) - 1,
    };
}

static inline uint64_t post_pack(struct post post)
{
    return (uint64_t)post.epoch << 32 | (uint64_t)post.class << 24 |
           (post.slot == NO_SLOT ? 0 : post.slot + 1);
}

/* NULL when out of bounds: the number may come from the segment. */
struct contender_slot *contender_at(const struct segment *segment, uint32_t slot);

/* Finds out who we are, for who only looks at others. */
void contender_identify(struct contender *self);

/* Takes a free slot, or one whose owner is dead. 0, or -ENOSPC. */
int contender_claim(struct contender *self, uint64_t now_ns);
void contender_release(struct contender *self);

/* The slot is still ours, and this is the process that claimed it (not its forked child). */
bool contender_owns(const struct contender *self);

/* Writes our heartbeat, and who we are. */
void contender_beat(const struct contender *self, uint64_t now_ns);

/* The slot's process has beaten within `silence_ns`. A few loads. */
bool contender_beats(const struct contender_slot *slot, uint64_t now_ns, uint64_t silence_ns);

/*
 * The slot's process is certainly dead: its pid belongs to nobody, or to another process. Of other
 * pid namespaces nothing is certain. `self` has at least been identified.
 */
bool contender_is_dead(const struct contender_slot *slot, const struct contender *self);

uint32_t contender_pid(const struct contender_slot *slot); /* in its own namespace; 0: none */

#endif

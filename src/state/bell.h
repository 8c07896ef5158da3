/*
 * bell: a futex of the segment that the guards of all processes sleep on. It rings when sockets may
 * have to be shut: health changed, another endpoint became active, an operator drained one.
 *
 * Who rings wakes one sleeper, because waking two hundred takes a millisecond and may happen inside
 * connect(). The first who is no hook announces it to all: the prober at once, else the guard that
 * was woken, else that of the program that rang. [hook]
 */
#ifndef STATE_BELL_H
#define STATE_BELL_H

#include <stdint.h>

#include "state/segment.h"

/* Read it before looking at what may have changed; then wait for the next with what was read. */
uint32_t bell_count(const struct segment *segment);
void bell_ring(const struct segment *segment); /* +1, wakes one sleeper */
/*
 * Wakes everybody, unless somebody has done so since it rang last. One caller wins, and the others
 * may go on; the winner counts on not being stopped between two instructions.
 */
void bell_announce(const struct segment *segment);
/* The futex itself, for who sleeps on more than one. */
const atomic_u32 *bell_word(const struct segment *segment);
/* Sleeps while the count is `seen`; 0 = no limit. May return early. */
void bell_wait(const struct segment *segment, uint32_t seen, uint64_t timeout_ns);

#endif

/*
 * arena: the memory that hiredis's reader has for one connection, and the end of its assertions.
 *
 * A mapping of its own, not the host's malloc. The reader doubles its buffer as it grows, so the
 * mapping is a few times REPLY_MAX; pages that are not used cost nothing. What does not fit is
 * refused: the reader reports it and the reply counts as too long.
 *
 * One thread of a process at a time may use arenas: the one that probes.
 */
#ifndef PROBE_ARENA_H
#define PROBE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "probe/probe.h"

enum { ARENA_SIZE = 4 * REPLY_MAX };

struct arena {
    char *memory; /* NULL: none is held */
    size_t used;
    size_t last; /* where the newest block begins: the only one that can grow in place */
};

/* False: the kernel has no memory. */
bool arena_open(struct arena *arena);
/* All that was taken from it is gone. */
void arena_close(struct arena *arena);

/* Runs `work`, which calls hiredis, on this memory. False: it gave up (abort, assertion). */
bool arena_run(struct arena *arena, void (*work)(void *argument), void *argument);

#endif

/*
 * moved: what became of the slots of superseded segments. A newer segment numbers its slots anew,
 * and a socket that was steered under an older one is tracked by the numbers of that. For the
 * guard.
 */
#ifndef PRELOAD_MOVED_H
#define PRELOAD_MOVED_H

#include "preload/track.h"
#include "state/segment.h"

struct moved_slot;

struct moved {
    unsigned segment;  /* number of the one in force */
    uint64_t sequence; /* of its settings */
    uint32_t count, room;
    struct moved_slot *slots;
};

/*
 * Reads it anew where that segment, or its settings, are others than the last time. `segments`:
 * those that this process has been attached to, of which number `in_force` is the last. An endpoint
 * is the same while its service, name, host and port are. What cannot be read, or held in memory,
 * is left out.
 */
void moved_read(struct moved *moved, const struct segment *segments, unsigned in_force);

/*
 * From now on `tracked` speaks of the segment in force: of endpoint NO_SLOT where its service is
 * there, and the endpoint is not. False: nothing is known of it.
 */
bool moved_translate(const struct moved *moved, struct tracked *tracked);

#endif

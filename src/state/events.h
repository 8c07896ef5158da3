/*
 * events: what happened, in a ring that every process writes and anyone reads.
 *
 * Writers take a sequence number by fetch-and-add, claim the slot by CAS on its stamp, write the
 * record by words and release the stamp; a writer that was lapped gives up. Readers copy and
 * compare the stamp before and after. A writer that dies half way costs one record. [hook]
 */
#ifndef STATE_EVENTS_H
#define STATE_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "state/segment.h"

enum event_type {
    EVENT_HEALTH,
    EVENT_BREAKER,
    EVENT_FAILOVER,
    EVENT_FAILBACK,
    EVENT_SWITCH,
    EVENT_CONNECT,
    EVENT_SHUT,
    EVENT_LOST,
    EVENT_CHECK,
    EVENT_LEADER,
    EVENT_CONFIG,
    EVENT_ADMIN,
    EVENT_DISCOVERY,
};

struct event {
    SHARED64 uint64_t sequence; /* from 1 */
    SHARED64 uint64_t wall_ns;
    uint32_t type;
    uint32_t pid; /* of the writer */
    char service[NAME_TEXT];
    char endpoint[NAME_TEXT];
    char from[NAME_TEXT];
    char to[NAME_TEXT];
    char reason[72];
    char detail[72];
};

/* Fills in sequence and pid (and the time when it is 0). Does nothing on a read-only segment. */
void event_write(const struct segment *segment, struct event *event);

/*
 * Copies event `sequence`. 1: done; 0: not written yet; -1: lost (overwritten, or its writer died).
 */
int event_read(const struct segment *segment, uint64_t sequence, struct event *out);

/* The newest sequence number taken so far; 0 = none. The oldest still there may be that - 511. */
uint64_t event_newest(const struct segment *segment);

/*
 * The next event from `*next` on (0: from now on) that tells of an endpoint's failure (unhealthy,
 * breaker open, or left) or a Sentinel's. False: there is none yet. `*next` moves on.
 */
bool event_next_failure(const struct segment *segment, uint64_t *next, struct event *out);

/* The detail of an EVENT_DISCOVERY of a Sentinel that does not answer. */
extern const char event_sentinel_failed[];

const char *event_type_name(enum event_type type);

_Static_assert(sizeof(struct event) == 360, "fills the words of a slot");

#endif

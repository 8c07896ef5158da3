/*
 * segment: the shared memory of one instance, mapped into this process.
 *
 * A process that attaches reads state and never initialises it. Settings are mapped read-only, live
 * state writable (or read-only where the file's permissions say so: such a process steers and
 * reports nothing). Every index and offset that comes from the segment is checked against its size.
 * The descriptor is closed after mapping. Nothing is ever unmapped while the process lives: a hook
 * may be in there.
 *
 * All functions are [hook].
 */
#ifndef STATE_SEGMENT_H
#define STATE_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state/layout.h"
#include "state/place.h"

struct segment {
    const struct segment_head *head; /* head and banks */
    unsigned char *live;             /* NULL only before attaching */
    size_t size;
    /* Copied from the head when it was verified: the head itself is not trusted again. */
    size_t bank_at[2];
    size_t bank_size;
    size_t live_size;
    size_t services_at, endpoints_at, events_at;
    uint32_t service_slots, endpoint_slots, event_slots;
    uint64_t inode;
    unsigned number; /* for whoever has several, as shim.c */
    bool writable;   /* live state may be written */
};

/*
 * Opens, verifies and maps. 0; -ENOENT: there is none yet; otherwise it is there and not usable:
 * -EPERM (owner or mode), -EBADMSG (not a segment, corrupt, truncated), -EPROTO (other ABI),
 * -ESTALE (other boot, time namespace or network namespace, or superseded), -ENODEV (not on tmpfs),
 * or the errno of open/fstat/mmap. `*why` is a sentence for people.
 */
int segment_attach(struct segment *segment, const struct place *place, const char **why);

/* For the program `redisteer`, and tests: undoes segment_attach(). Not while anything else uses it.
 */
void segment_detach(struct segment *segment);

/* True once a newer segment has taken this one's place; a process then attaches anew. */
bool segment_superseded(const struct segment *segment);

/* The live parts; NULL when the slot is out of bounds. Writes only when segment->writable. */
struct service_live *segment_service(const struct segment *segment, uint32_t slot);
struct endpoint_live *segment_endpoint(const struct segment *segment, uint32_t slot);
struct event_slot *segment_event(const struct segment *segment, uint64_t sequence);
atomic_u64 *segment_event_head(const struct segment *segment);
struct live_head *segment_live_head(const struct segment *segment);

#endif

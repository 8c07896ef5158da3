/*
 * A slot's stamp: {sequence:40, digest of the record:23, being written:1}. The digest catches what
 * the sequence cannot: a writer that was stopped half way, lapped, and then wrote on into the
 * record of another.
 */
#include "state/events.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "state/fence.h"

enum { EVENT_WORDS = sizeof(struct event) / 8, SEQUENCE_SHIFT = 24, WRITING = 1 };

#define SEQUENCE_MASK (UINT64_MAX >> SEQUENCE_SHIFT)

_Static_assert(sizeof(struct event) == sizeof(((struct event_slot *)0)->words), "one slot");

union record {
    struct event event;
    uint64_t words[EVENT_WORDS];
};

static uint64_t claimed_stamp(uint64_t sequence)
{
    return sequence << SEQUENCE_SHIFT | WRITING;
}

static uint64_t done_stamp(uint64_t sequence, const union record *record)
{
    uint64_t digest = hash_bytes(record, sizeof(*record)) & 0x7fffff;

    return sequence << SEQUENCE_SHIFT | digest << 1;
}

/* False when the slot has been taken for a later event, or is taken meanwhile. */
static bool claim(struct event_slot *slot, uint64_t sequence)
{
    uint64_t old = load_relaxed(&slot->stamp);

    if (old >> SEQUENCE_SHIFT >= sequence)
        return false;
    if (!atomic_compare_exchange_strong_explicit(&slot->stamp, &old, claimed_stamp(sequence),
                                                 memory_order_relaxed, memory_order_relaxed))
        return false;
    /* A reader that sees one of our words also sees that the old stamp is gone. */
    fence_before_writing();
    return true;
}

static void fill(struct event_slot *slot, uint64_t sequence, const union record *record)
{
    uint64_t claimed = claimed_stamp(sequence);

    for (unsigned i = 0; i < EVENT_WORDS; i++) {
        if (load_relaxed(&slot->stamp) != claimed)
            return;
        shared_write(&slot->words[i], &record->words[i], sizeof(uint64_t));
    }
    /* Release; partner: the acquire in event_read(). Fails when lapped: the slot is another's. */
    atomic_compare_exchange_strong_explicit(&slot->stamp, &claimed, done_stamp(sequence, record),
                                            memory_order_release, memory_order_relaxed);
}

void event_write(const struct segment *segment, struct event *event)
{
    union record record;
    struct event_slot *slot;
    uint64_t sequence;

    if (!segment->writable)
        return;
    sequence = atomic_fetch_add_explicit(segment_event_head(segment), 1, memory_order_relaxed) + 1;
    sequence &= SEQUENCE_MASK;
    event->sequence = sequence;
    event->pid = (uint32_t)getpid();
    if (event->wall_ns == 0)
        event->wall_ns = clock_wall_ns();
    record.event = *event;
    slot = segment_event(segment, sequence);
    if (claim(slot, sequence))
        fill(slot, sequence, &record);
}

#define END_TEXT(text) ((text)[sizeof(text) - 1] = '\0')

static int copy(const struct event_slot *slot, uint64_t stamp, struct event *out)
{
    union record record;
    uint64_t sequence = stamp >> SEQUENCE_SHIFT;

    shared_read(record.words, slot->words, sizeof(record.words));
    fence_after_copying();
    if (load_relaxed(&slot->stamp) != stamp || done_stamp(sequence, &record) != stamp)
        return -1;
    *out = record.event;
    END_TEXT(out->service);
    END_TEXT(out->endpoint);
    END_TEXT(out->from);
    END_TEXT(out->to);
    END_TEXT(out->reason);
    END_TEXT(out->detail);
    return 1;
}

int event_read(const struct segment *segment, uint64_t sequence, struct event *out)
{
    const struct event_slot *slot = segment_event(segment, sequence);
    uint64_t newest = event_newest(segment);
    uint64_t stamp = atomic_load_explicit(&slot->stamp, memory_order_acquire);
    uint64_t written = stamp >> SEQUENCE_SHIFT;

    if (sequence == 0 || written > sequence)
        return -1;
    if (written == sequence && !(stamp & WRITING))
        return copy(slot, stamp, out);
    return sequence + segment->event_slots <= newest ? -1 : 0;
}

uint64_t event_newest(const struct segment *segment)
{
    return load_relaxed(segment_event_head(segment)) & SEQUENCE_MASK;
}

const char event_sentinel_failed[] = "Sentinel without a voice; what is known stays";

static bool is_failure(const struct event *event)
{
    return event->type == EVENT_FAILOVER ||
           (event->type == EVENT_HEALTH && text_equal(event->to, "unhealthy")) ||
           (event->type == EVENT_BREAKER && text_equal(event->to, "open")) ||
           (event->type == EVENT_DISCOVERY && text_equal(event->detail, event_sentinel_failed));
}

bool event_next_failure(const struct segment *segment, uint64_t *next, struct event *out)
{
    uint64_t newest = event_newest(segment);

    if (*next == 0 || *next > newest + 1)
        *next = newest + 1;
    if (newest - *next + 1 > EVENT_SLOTS)
        *next = newest - EVENT_SLOTS + 1;
    while (*next <= newest)
        if (event_read(segment, (*next)++, out) == 1 && is_failure(out))
            return true;
    return false;
}

const char *event_type_name(enum event_type type)
{
    switch (type) {
    case EVENT_HEALTH:
        return "health";
    case EVENT_BREAKER:
        return "breaker";
    case EVENT_FAILOVER:
        return "failover";
    case EVENT_FAILBACK:
        return "failback";
    case EVENT_SWITCH:
        return "switch";
    case EVENT_CONNECT:
        return "connect";
    case EVENT_SHUT:
        return "shut";
    case EVENT_LOST:
        return "lost";
    case EVENT_CHECK:
        return "check";
    case EVENT_LEADER:
        return "leader";
    case EVENT_CONFIG:
        return "config";
    case EVENT_ADMIN:
        return "admin";
    case EVENT_DISCOVERY:
        return "discovery";
    }
    return "unknown";
}

#include "state/lease.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "policy/verdict.h"
#include "state/bell.h"
#include "state/contender.h"
#include "state/events.h"
#include "state/futex.h"

/* ---- entering and leaving ---- */

int lease_enter(struct contender *self, const struct segment *segment, enum lease_class class,
                uint64_t now_ns)
{
    memset(self, 0, sizeof(*self));
    self->segment = segment;
    self->class = class;
    return segment->writable ? contender_claim(self, now_ns) : -EROFS;
}

static struct live_head *head_of(const struct contender *self)
{
    return segment_live_head(self->segment);
}

static uint64_t own_word(const struct contender *self, uint32_t epoch)
{
    return post_pack((struct post){
        .epoch = epoch,
        .class = (uint8_t)self->class,
        .slot = self->slot,
    });
}

static bool holds(const struct contender *self, const atomic_u64 *post, uint32_t epoch)
{
    /* Acquire: a holder that has been replaced sees what its successor did first. */
    return epoch != 0 && self->segment->writable &&
           atomic_load_explicit(post, memory_order_acquire) == own_word(self, epoch) &&
           contender_owns(self);
}

bool lease_held(const struct contender *self)
{
    return holds(self, &head_of(self)->lease, self->epoch);
}

bool lease_is_deputy(const struct contender *self)
{
    return holds(self, &head_of(self)->deputy, self->deputy_epoch);
}

void lease_beat(const struct contender *self, uint64_t now_ns)
{
    if (self->segment->writable)
        contender_beat(self, now_ns);
}

/* Leaves the epoch behind: the next holder's is higher. */
static void vacate(const struct contender *self, atomic_u64 *post, uint32_t epoch)
{
    uint64_t word = own_word(self, epoch);
    uint64_t nobody = post_pack((struct post){.epoch = epoch, .slot = NO_SLOT});

    /* Release; partner: the acquire of whoever takes the post. */
    atomic_compare_exchange_strong_explicit(post, &word, nobody, memory_order_release,
                                            memory_order_relaxed);
}

static void resign(const struct contender *self)
{
    struct live_head *head = head_of(self);
    uint32_t ours = robust_value(&self->robust);

    vacate(self, &head->lease, self->epoch);
    atomic_compare_exchange_strong_explicit(&head->holder_thread, &ours, ROBUST_SOMEBODY_WAITS,
                                            memory_order_relaxed, memory_order_relaxed);
    futex_wake(&head->holder_thread, 1);
}

void lease_leave(struct contender *self)
{
    /* In a forked child nothing of all this is ours. */
    if (!self->segment->writable || !contender_owns(self))
        return;
    if (lease_is_deputy(self))
        vacate(self, &head_of(self)->deputy, self->deputy_epoch);
    if (lease_held(self))
        resign(self);
    robust_end(&self->robust);
    contender_release(self);
    self->epoch = 0;
    self->deputy_epoch = 0;
}

/* ---- who is there ---- */

static bool holder_reported_dead(const struct live_head *head)
{
    return robust_died(atomic_load_explicit(&head->holder_thread, memory_order_acquire));
}

/* Why the lease may be taken, or NULL: a living process has it. */
static const char *why_free(const struct contender *self, struct post post, uint64_t now_ns)
{
    const struct contender_slot *slot = contender_at(self->segment, post.slot);

    if (!slot)
        return "free";
    if (holder_reported_dead(head_of(self)) || contender_is_dead(slot, self))
        return "holder died";
    if (!contender_beats(slot, now_ns, LEASE_NS))
        return "holder silent";
    if (post.class != LEASE_PROCESS && self->class == LEASE_PROCESS)
        return "monitor started";
    return NULL;
}

static bool has_deputy(const struct segment *segment, uint64_t now_ns)
{
    struct post post = post_unpack(load_relaxed(&segment_live_head(segment)->deputy));
    const struct contender_slot *slot = contender_at(segment, post.slot);

    return slot && contender_beats(slot, now_ns, DEPUTY_SILENCE_NS);
}

static bool has_holder(const struct segment *segment, uint64_t now_ns)
{
    const struct live_head *head = segment_live_head(segment);
    struct post post = post_unpack(atomic_load_explicit(&head->lease, memory_order_acquire));
    const struct contender_slot *slot = contender_at(segment, post.slot);

    return slot && !holder_reported_dead(head) && contender_beats(slot, now_ns, LEASE_NS);
}

bool lease_wanted(const struct segment *segment, uint64_t now_ns)
{
    return segment->writable && (!has_holder(segment, now_ns) || !has_deputy(segment, now_ns));
}

bool lease_holder(const struct segment *segment, uint64_t now_ns, struct lease_holder *out)
{
    struct post post = post_unpack(load_relaxed(&segment_live_head(segment)->lease));
    const struct contender_slot *slot = contender_at(segment, post.slot);
    struct contender observer = {.segment = segment};

    if (!slot || !has_holder(segment, now_ns))
        return false;
    *out = (struct lease_holder){
        .pid = contender_pid(slot),
        .class = post.class == LEASE_PROCESS ? LEASE_PROCESS : LEASE_THREAD,
        .epoch = post.epoch,
    };
    if (out->pid == (uint32_t)getpid())
        return true;
    contender_identify(&observer);
    return !contender_is_dead(slot, &observer);
}

/* ---- taking it ---- */

/* 0 is never in force: it means "holds nothing". */
static uint32_t next_epoch(uint32_t epoch)
{
    return epoch + 1 != 0 ? epoch + 1 : 1;
}

/* Epochs are compared by distance: 16 bits of them wrap. */
static bool is_older(uint16_t epoch, uint16_t than)
{
    return (int16_t)(uint16_t)(epoch - than) < 0;
}

/*
 * From here on a compare-and-swap of the last holder, however late, fails. False: a still later
 * holder was here.
 */
static bool stamp(struct endpoint_live *live, uint16_t epoch)
{
    uint64_t word = load_relaxed(&live->health);
    struct verdict verdict;

    do {
        verdict = verdict_unpack(word);
        if (verdict.epoch == epoch)
            return true;
        if (!is_older(verdict.epoch, epoch))
            return false;
        verdict.epoch = epoch;
    } while (!atomic_compare_exchange_weak_explicit(&live->health, &word, verdict_pack(verdict),
                                                    memory_order_acq_rel, memory_order_relaxed));
    return true;
}

/* Slots that no endpoint has, too: the next one that gets it starts with our epoch. */
static void stamp_all(const struct contender *self)
{
    for (uint32_t i = 0; i < self->segment->endpoint_slots; i++)
        if (!stamp(segment_endpoint(self->segment, i), (uint16_t)self->epoch))
            return;
}

/* The kernel's report of the death that makes us step forward; a later one is another's. */
static void clear_report(struct live_head *head)
{
    uint32_t word = atomic_load_explicit(&head->holder_thread, memory_order_relaxed);

    if (robust_died(word))
        atomic_compare_exchange_strong_explicit(&head->holder_thread, &word, ROBUST_SOMEBODY_WAITS,
                                                memory_order_relaxed, memory_order_relaxed);
}

/* Swaps, and does not store: who was stopped here for long must not overwrite its successor. */
static void sign(const struct contender *self)
{
    struct live_head *head = head_of(self);
    uint32_t word = atomic_load_explicit(&head->holder_thread, memory_order_relaxed);

    while (lease_held(self))
        if (atomic_compare_exchange_strong_explicit(&head->holder_thread, &word,
                                                    robust_value(&self->robust),
                                                    memory_order_acq_rel, memory_order_relaxed))
            return;
}

static void tell(const struct contender *self, const char *reason)
{
    struct event event = {.type = EVENT_LEADER};

    text_copy(event.to, sizeof(event.to), self->class == LEASE_PROCESS ? "process" : "thread");
    text_copy(event.reason, sizeof(event.reason), reason);
    text_format(event.detail, sizeof(event.detail), "process %d, epoch %u", (int)getpid(),
                (unsigned)self->epoch);
    event_write(self->segment, &event);
}

/* Stopped for long, or forked, we have no slot any more: then another. */
static bool is_entered(struct contender *self, uint64_t now_ns)
{
    if (!self->segment->writable)
        return false;
    if (contender_owns(self))
        return true;
    self->epoch = 0;
    self->deputy_epoch = 0;
    return contender_claim(self, now_ns) == 0;
}

bool lease_take(struct contender *self, uint64_t now_ns)
{
    struct live_head *head = head_of(self);
    const char *reason;
    struct post post;
    uint64_t word;

    if (lease_held(self))
        return true;
    if (!is_entered(self, now_ns))
        return false;
    word = atomic_load_explicit(&head->lease, memory_order_acquire);
    post = post_unpack(word);
    reason = why_free(self, post, now_ns);
    if (!reason)
        return false;
    /* All before the swap: from then on others judge the lease by our heartbeat and our word. */
    contender_beat(self, now_ns);
    robust_begin(&self->robust, &head->holder_thread);
    clear_report(head);
    self->epoch = next_epoch(post.epoch);
    if (!atomic_compare_exchange_strong_explicit(&head->lease, &word, own_word(self, self->epoch),
                                                 memory_order_acq_rel, memory_order_relaxed)) {
        self->epoch = 0;
        return false;
    }
    sign(self);
    stamp_all(self);
    if (lease_is_deputy(self))
        vacate(self, &head->deputy, self->deputy_epoch);
    self->deputy_epoch = 0;
    tell(self, reason);
    /* The deputy's post is vacant now, and those who could take it may all be asleep. */
    bell_ring(self->segment);
    return lease_held(self);
}

bool lease_deputise(struct contender *self, uint64_t now_ns)
{
    struct live_head *head = head_of(self);
    const struct contender_slot *slot;
    struct post post;
    uint64_t word;

    if (lease_is_deputy(self))
        return true;
    if (lease_held(self) || !is_entered(self, now_ns))
        return false;
    word = atomic_load_explicit(&head->deputy, memory_order_acquire);
    post = post_unpack(word);
    slot = contender_at(self->segment, post.slot);
    if (slot && contender_beats(slot, now_ns, DEPUTY_SILENCE_NS) && !contender_is_dead(slot, self))
        return false;
    contender_beat(self, now_ns);
    self->deputy_epoch = next_epoch(post.epoch);
    if (atomic_compare_exchange_strong_explicit(&head->deputy, &word,
                                                own_word(self, self->deputy_epoch),
                                                memory_order_acq_rel, memory_order_relaxed))
        return true;
    self->deputy_epoch = 0;
    return false;
}

/* Until the holder's heartbeat must be called old; 0: it is, or there is none. */
static uint64_t patience_ns(const struct contender *self, uint64_t now_ns)
{
    const struct live_head *head = head_of(self);
    struct post post = post_unpack(load_relaxed(&head->lease));
    const struct contender_slot *slot = contender_at(self->segment, post.slot);
    uint64_t beat_ns;

    if (!slot || !contender_beats(slot, now_ns, LEASE_NS))
        return 0;
    beat_ns = load_relaxed(&slot->heartbeat_ns);
    return beat_ns + LEASE_NS + NS_PER_MS - now_ns;
}

void lease_await(const struct contender *self, uint64_t timeout_ns)
{
    struct live_head *head = head_of(self);
    uint32_t seen = atomic_load_explicit(&head->holder_thread, memory_order_acquire);
    uint64_t now_ns = clock_boot_ns();
    uint64_t patience = patience_ns(self, now_ns);

    lease_beat(self, now_ns);
    if (patience && timeout_ns && !robust_died(seen))
        futex_wait(&head->holder_thread, seen, patience < timeout_ns ? patience : timeout_ns);
    lease_beat(self, clock_boot_ns());
}

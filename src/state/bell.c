#include "state/bell.h"

#include <limits.h>

#include "state/futex.h"

static atomic_u32 *bell(const struct segment *segment)
{
    return &segment_live_head(segment)->bell;
}

/* Acquire; partner: bell_ring(). Who hears the bell also sees why it rang. */
uint32_t bell_count(const struct segment *segment)
{
    return atomic_load_explicit(bell(segment), memory_order_acquire);
}

void bell_ring(const struct segment *segment)
{
    if (!segment->writable)
        return;
    atomic_fetch_add_explicit(bell(segment), 1, memory_order_release);
    futex_wake(bell(segment), 1);
}

void bell_announce(const struct segment *segment)
{
    atomic_u32 *announced = &segment_live_head(segment)->bell_announced;
    uint32_t rung = bell_count(segment);
    uint32_t before = atomic_load_explicit(announced, memory_order_relaxed);

    /* Relaxed: what a sleeper wakes up for is the bell's own word. */
    if (segment->writable && before != rung &&
        atomic_compare_exchange_strong_explicit(announced, &before, rung, memory_order_relaxed,
                                                memory_order_relaxed))
        futex_wake(bell(segment), INT_MAX);
}

const atomic_u32 *bell_word(const struct segment *segment)
{
    return bell(segment);
}

void bell_wait(const struct segment *segment, uint32_t seen, uint64_t timeout_ns)
{
    futex_wait(bell(segment), seen, timeout_ns);
}

#include "state/bell.h"

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
    bell_wake(segment, 1);
}

void bell_wake(const struct segment *segment, int n)
{
    futex_wake(bell(segment), n);
}

const atomic_u32 *bell_word(const struct segment *segment)
{
    return bell(segment);
}

void bell_wait(const struct segment *segment, uint32_t seen, uint64_t timeout_ns)
{
    futex_wait(bell(segment), seen, timeout_ns);
}

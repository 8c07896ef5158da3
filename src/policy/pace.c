#include "policy/pace.h"

#include "base/clock.h"

#define BURST_NS   (100 * NS_PER_MS)
#define QUEUE_MOST (600 * NS_PER_S) /* beyond it a place was reserved by a clock not the host's */

uint64_t pace_reserve(atomic_u64 *next_ns, uint32_t rate, bool queue, uint64_t now_ns)
{
    uint64_t gap_ns = NS_PER_S / rate, seen = load_relaxed(next_ns), place;

    /* Relaxed: the word stands for itself, and whoever wins the swap owns the place. */
    do {
        place = seen;
        if (place + BURST_NS < now_ns || place > now_ns + QUEUE_MOST)
            place = now_ns > BURST_NS ? now_ns - BURST_NS : 0;
        if (place > now_ns && !queue)
            return 0;
    } while (!atomic_compare_exchange_weak_explicit(next_ns, &seen, place + gap_ns,
                                                    memory_order_relaxed, memory_order_relaxed));
    return place > now_ns ? place - now_ns : 0;
}

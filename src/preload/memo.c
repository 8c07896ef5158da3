#include "preload/memo.h"

#include <stddef.h>

#include "preload/learned.h"

enum { PLACES = 32, WRITTEN = 1 << 30 /* a flag beside the number of readers */ };

struct memo {
    /*
     * Readers, +1 each, or WRITTEN. Acquire by whoever comes, release by whoever leaves: a reader
     * sees what the last writer wrote, a writer overwrites nothing that a reader still reads.
     */
    _Alignas(64) atomic_u32 users;
    uint32_t learned;
    struct address destination; /* port 0 and an IP of zeros: empty */
    struct service_view service;
    struct address only[ENDPOINTS_MAX]; /* service.only */
};

static struct memo places[PLACES];

static struct memo *place_of(const struct address *destination)
{
    return &places[(address_hash_ip(destination) + destination->port) % PLACES];
}

void memo_release(struct memo *memo)
{
    if (memo)
        atomic_fetch_sub_explicit(&memo->users, 1, memory_order_release);
}

struct memo *memo_find(const struct segment *segment, const struct address *destination)
{
    struct memo *memo = place_of(destination);

    if (!(atomic_fetch_add_explicit(&memo->users, 1, memory_order_acquire) & WRITTEN) &&
        memo->service.segment == segment && address_equal(&memo->destination, destination) &&
        memo->learned == learned_count() && bank_valid(&memo->service.bank))
        return memo;
    memo_release(memo);
    return NULL;
}

const struct service_view *memo_service(const struct memo *memo)
{
    return &memo->service;
}

static void keep_addresses(struct memo *memo)
{
    SHARED64 struct address known[ADDRESSES_MAX];

    for (uint32_t i = 0; i < memo->service.count; i++) {
        memo->only[i] = (struct address){0};
        if (service_addresses(&memo->service, i, known) == 1)
            memo->only[i] = known[0];
    }
    memo->service.only = memo->only;
}

void memo_keep(const struct address *destination, const struct service_view *service,
               uint32_t learned)
{
    struct memo *memo = place_of(destination);
    uint32_t nobody = 0;

    if (!atomic_compare_exchange_strong_explicit(&memo->users, &nobody, WRITTEN,
                                                 memory_order_acquire, memory_order_relaxed))
        return;
    memo->destination = *destination;
    memo->service = *service;
    memo->learned = learned;
    keep_addresses(memo);
    /* Not a store: readers may have come and be about to leave. */
    atomic_fetch_sub_explicit(&memo->users, WRITTEN, memory_order_release);
}

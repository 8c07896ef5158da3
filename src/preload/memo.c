#include "preload/memo.h"

#include <stddef.h>
#include <string.h>

#include "base/address.h"
#include "base/hints.h"
#include "preload/learned.h"

enum { PLACES = 32, WRITTEN = 1 << 30 /* a flag beside the number of readers */ };

struct memo {
    /*
     * Readers, +1 each, or WRITTEN. Acquire by whoever comes, release by whoever leaves: a reader
     * sees what the last writer wrote, a writer overwrites nothing that a reader still reads.
     */
    _Alignas(64) atomic_u32 users;
    uint32_t learned;
    uint64_t ip_hash;
    union socket_address destination; /* as the program writes it; all zero: empty */
    struct service_view service;
    struct address only[ENDPOINTS_MAX]; /* service.only */
};

static struct memo places[PLACES];

/* Fields as they are, one by one: the program has mostly just written them so. It may have put them
 * where no struct may lie. */
static in_port_t port_of(const struct attempt *attempt)
{
    in_port_t port;

    memcpy(&port, (const char *)attempt->address + offsetof(struct sockaddr_in, sin_port),
           sizeof(port));
    return port;
}

static bool is_destination(const struct memo *memo, const struct attempt *attempt)
{
    const char *bytes = (const char *)attempt->address;
    sa_family_t family;
    in_addr_t ip;

    memcpy(&family, bytes + offsetof(struct sockaddr, sa_family), sizeof(family));
    if (family != memo->destination.any.sa_family ||
        port_of(attempt) != memo->destination.v4.sin_port)
        return false;
    if (LIKELY(family == AF_INET)) {
        memcpy(&ip, bytes + offsetof(struct sockaddr_in, sin_addr), sizeof(ip));
        return ip == memo->destination.v4.sin_addr.s_addr;
    }
    /* The scope is in the hash, where it means anything. */
    return family == AF_INET6 && attempt->ip_hash == memo->ip_hash &&
           memcmp(bytes + offsetof(struct sockaddr_in6, sin6_addr), &memo->destination.v6.sin6_addr,
                  sizeof(struct in6_addr)) == 0;
}

static struct memo *place_of(const struct attempt *attempt)
{
    return &places[(attempt->ip_hash + ntohs(port_of(attempt))) % PLACES];
}

void memo_release(struct memo *memo)
{
    if (memo)
        atomic_fetch_sub_explicit(&memo->users, 1, memory_order_release);
}

struct memo *memo_find(const struct segment *segment, const struct attempt *attempt)
{
    struct memo *memo = place_of(attempt);

    if (!(atomic_fetch_add_explicit(&memo->users, 1, memory_order_acquire) & WRITTEN) &&
        memo->service.segment == segment && is_destination(memo, attempt) &&
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

void memo_keep(const struct attempt *attempt, const struct service_view *service, uint32_t learned)
{
    struct memo *memo = place_of(attempt);
    uint32_t nobody = 0;

    if (!atomic_compare_exchange_strong_explicit(&memo->users, &nobody, WRITTEN,
                                                 memory_order_acquire, memory_order_relaxed))
        return;
    memo->destination = (union socket_address){.v6 = {0}};
    memcpy(&memo->destination, attempt->address,
           attempt->length < sizeof(memo->destination) ? attempt->length
                                                       : sizeof(memo->destination));
    memo->service = *service;
    memo->ip_hash = attempt->ip_hash;
    memo->learned = learned;
    keep_addresses(memo);
    /* Not a store: readers may have come and be about to leave. */
    atomic_fetch_sub_explicit(&memo->users, WRITTEN, memory_order_release);
}

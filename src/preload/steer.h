/*
 * steer: the life of one connection attempt, from the program's call to its answer.
 */
#ifndef PRELOAD_STEER_H
#define PRELOAD_STEER_H

#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

#include "base/address.h"
#include "preload/attempt.h"
#include "preload/readable.h"
#include "preload/shim.h"
#include "state/bank.h"

static inline bool is_unspecified(const struct sockaddr *address)
{
    sa_family_t family;

    memcpy(&family, &address->sa_family, sizeof(family)); /* the program's may be unaligned */
    return family == AF_UNSPEC;
}

static inline bool steer_length_fits(socklen_t length)
{
    return length >= sizeof(struct sockaddr_in) && length <= sizeof(struct sockaddr_storage);
}

enum first_sight { DECLINED, WANTED, UNCLEAR };

/*
 * [hook] Could this destination be ours? DECLINED: certainly not, and the hook makes the real call
 * and nothing else. So nearly every connect() of a program ends; this is all inline and calls
 * nothing, so that it costs no stack frame. UNCLEAR: steer_wanted() finds out.
 */
static inline enum first_sight steer_first_sight(const struct sockaddr *address, socklen_t length,
                                                 uint64_t *ip_hash)
{
    const struct segment *segment = atomic_load_explicit(&shim_current, memory_order_acquire);

    if (UNLIKELY(!segment) || !steer_length_fits(length) || !readable_known(address, length) ||
        !address_hash_sockaddr(address, length, ip_hash))
        return UNCLEAR;
    return bank_may_have_ip(segment, *ip_hash) ? WANTED : DECLINED;
}

/* [hook] The same, certain. Never faults on a wild pointer; errno untouched. */
static inline bool steer_wanted(const struct sockaddr *address, socklen_t length, uint64_t *ip_hash)
{
    const struct segment *segment;

    *ip_hash = 0;
    if (!steer_length_fits(length) || !readable(address, length))
        return false;
    if (!address_hash_sockaddr(address, length, ip_hash))
        return is_unspecified(address); /* the socket is taken out of its connection */
    segment = shim_segment(CALLER_SOCKET);
    return segment && bank_may_have_ip(segment, *ip_hash);
}

/*
 * [hook] Makes the call, steered when the destination turns out to be ours and as it was otherwise.
 * Result and errno are the kernel's own, of the last attempt.
 */
ssize_t steer(int fd, const struct attempt *attempt);

#endif

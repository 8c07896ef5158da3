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

/*
 * [hook] The first, cheap question: could this destination be ours? False for nearly every call:
 * then the hook makes the real call and nothing else. Inline, because every connect() of the
 * program pays for it. Never faults on a wild pointer; errno untouched.
 */
static inline bool steer_wanted(const struct sockaddr *address, socklen_t length)
{
    const struct segment *segment;
    uint64_t hash;

    if (length < sizeof(struct sockaddr_in) || length > sizeof(struct sockaddr_storage) ||
        !readable(address, length))
        return false;
    if (!address_hash_sockaddr(address, length, &hash))
        return is_unspecified(address); /* the socket is taken out of its connection */
    segment = shim_segment(CALLER_SOCKET);
    return segment && bank_may_have_ip(segment, hash);
}

/*
 * [hook] Makes the call, steered when the destination turns out to be ours and as it was otherwise.
 * Result and errno are the kernel's own, of the last attempt.
 */
ssize_t steer(int fd, const struct attempt *attempt);

#endif

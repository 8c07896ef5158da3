/*
 * attempt: one way of opening a connection (connect, or sendto and sendmsg with MSG_FASTOPEN).
 */
#ifndef PRELOAD_ATTEMPT_H
#define PRELOAD_ATTEMPT_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/hints.h"
#include "preload/real.h"

struct attempt {
    /* Makes the real call towards `address` and sets errno as it does. NULL: connect(). */
    ssize_t (*call)(const struct attempt *attempt, int fd, const struct sockaddr *address,
                    socklen_t length);
    /* What the program asked for. */
    const struct sockaddr *address;
    socklen_t length;
    uint64_t ip_hash; /* of it; 0 for AF_UNSPEC */
    /* sendto and sendmsg */
    const void *data;
    size_t size;
    const struct msghdr *message;
    int flags;
};

static inline ssize_t attempt_make(const struct attempt *attempt, int fd,
                                   const struct sockaddr *address, socklen_t length)
{
    return LIKELY(!attempt->call) ? real_connect(fd, address, length)
                                  : attempt->call(attempt, fd, address, length);
}

/* The program's call as it was. */
static inline ssize_t attempt_pass(const struct attempt *attempt, int fd)
{
    return attempt_make(attempt, fd, attempt->address, attempt->length);
}

#endif

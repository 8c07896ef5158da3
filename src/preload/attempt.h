/*
 * attempt: one way of opening a connection (connect, or sendto and sendmsg with MSG_FASTOPEN).
 */
#ifndef PRELOAD_ATTEMPT_H
#define PRELOAD_ATTEMPT_H

#include <sys/socket.h>
#include <sys/types.h>

/* `call` makes the real call towards `address` and sets errno as it does. */
struct attempt {
    ssize_t (*call)(const struct attempt *attempt, int fd, const struct sockaddr *address,
                    socklen_t length);
    /* What the program asked for. */
    const struct sockaddr *address;
    socklen_t length;
    /* sendto and sendmsg */
    const void *data;
    size_t size;
    const struct msghdr *message;
    int flags;
};

/* The program's call as it was. */
static inline ssize_t attempt_pass(const struct attempt *attempt, int fd)
{
    return attempt->call(attempt, fd, attempt->address, attempt->length);
}

#endif

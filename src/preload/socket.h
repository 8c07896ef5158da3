/*
 * socket: what steering asks of, and sets on, a socket of the program. Few system calls, each
 * named. All [hook]; errno is changed.
 */
#ifndef PRELOAD_SOCKET_H
#define PRELOAD_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/rules.h"

struct socket_options {
    bool is_tcp;        /* TCP or MPTCP: everything else is none of our business */
    bool connects_late; /* TCP_FASTOPEN_CONNECT: connect() may answer 0 and connect at a write */
    bool user_timeout;  /* TCP_USER_TIMEOUT is ours to set: the program has not */
};

/*
 * What kind of socket it is, before an attempt. One call for a TCP socket, whose answer to
 * TCP_FASTOPEN_CONNECT says both; two where that is not known (older MPTCP, Linux before 4.11) or
 * it is something else. An SMC socket answers as the TCP socket in it, and is steered as one.
 */
struct socket_options socket_examine(int fd);

/* Asks for user timeout and keepalive (two calls), and sets keepalive (three, four at most) unless
 * the program has. */
void socket_prepare(int fd, const struct connect_rules *rules, struct socket_options *options);

/* TCP_USER_TIMEOUT, for how long SYNs (before) or data (after) may go unanswered. 0: the kernel's.
 */
void socket_bound(int fd, struct socket_options options, uint64_t ns);

/* The same as it is now, in ns; 0: the kernel's own. */
uint64_t socket_bound_now(int fd);

/* TCP_INFO's state (TCP_CLOSE, TCP_SYN_SENT, TCP_ESTABLISHED…), -1: not a TCP socket. */
int socket_state(int fd);

/* connect(AF_UNSPEC): back to a fresh socket, options and epoll registration kept. */
void socket_reset(int fd);

/* An AF_INET6 socket that takes no IPv4. */
bool socket_v6_only(int fd);

/* F_GETFL; true also when the kernel does not say. */
bool socket_nonblocking(int fd);

/* SO_SNDTIMEO in ns; 0: none. */
uint64_t socket_send_timeout(int fd);

/* SO_ERROR, which it clears. */
int socket_take_error(int fd);

#endif

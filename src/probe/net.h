/*
 * net: the system calls of a probe's socket, made directly: libc's connect(), getsockopt() and
 * sendto() are the hooks of this very library, and would look our descriptors, which live in a
 * table of their own, up among the program's. All return what they say or -errno; errno is changed.
 */
#ifndef PROBE_NET_H
#define PROBE_NET_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/address.h"

/* A TCP socket for this address: non-blocking, CLOEXEC, TCP_NODELAY. */
int net_open(const struct address *address);
int net_connect(int fd, const struct address *address);
void net_close(int fd);

/* How a pending connect ended: 0 or -errno; -EINPROGRESS: it has not. */
int net_outcome(int fd, const struct address *address);

ssize_t net_send(int fd, const void *bytes, size_t length); /* raises no SIGPIPE */
ssize_t net_receive(int fd, void *bytes, size_t length);    /* 0: the end */

#endif

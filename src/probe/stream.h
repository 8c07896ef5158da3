/*
 * stream: what lies between a connection's socket and its bytes: nothing, or TLS. Only the program
 * `redisteer` has TLS; it puts its functions here before it probes, and the library never does.
 */
#ifndef PROBE_STREAM_H
#define PROBE_STREAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "policy/verdict.h"
#include "state/layout.h"

struct stream; /* one connection's */

struct stream_driver {
    /* On a connected, non-blocking socket. NULL: this host's own trouble, which `*why` says. */
    struct stream *(*open)(int fd, const struct tls_settings *settings, enum check_cause *why);
    void (*close)(struct stream *stream);
    /* 0: done; -EAGAIN: poll for events(); -EPROTO: in vain, see cause(). */
    int (*handshake)(struct stream *stream);
    short (*events)(const struct stream *stream);
    /* As net_send() and net_receive(); -EPROTO: see cause(). */
    ssize_t (*send)(struct stream *stream, const void *bytes, size_t length);
    ssize_t (*receive)(struct stream *stream, void *bytes, size_t length);
    bool (*has_more)(const struct stream *stream); /* received, and not read yet */
    enum check_cause (*cause)(const struct stream *stream);
};

/* NULL: there is no TLS here. */
extern const struct stream_driver *stream_tls;

#endif

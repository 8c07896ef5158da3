/*
 * connection: one connection of a probe, TCP or TLS: being made, made, or none; what waits to be
 * sent; the replies that came. Knows nothing of checks. Never blocks.
 */
#ifndef PROBE_CONNECTION_H
#define PROBE_CONNECTION_H

#include "probe/command.h"
#include "probe/reader.h"
#include "probe/stream.h"

/* AUTH, a question of each of PROBES_IN_FLIGHT checks, and one beside them. */
enum { CONNECTION_OUT = (2 + PROBES_IN_FLIGHT) * COMMAND_MAX };

struct connection {
    int fd;                   /* -1: none */
    bool joined;              /* TCP's part is done; */
    bool made;                /* TLS's, too */
    struct stream *stream;    /* NULL: plain, or not joined yet */
    enum check_cause trouble; /* what -EPROTO means */
    uint32_t address;         /* of the target's: the one in use */
    struct reader reader;
    size_t out_from, out_to;  /* bytes of `out` still to be sent */
    char out[CONNECTION_OUT]; /* last: nothing else of it is touched before it is used */
};

void connection_init(struct connection *connection);
void connection_close(struct connection *connection);

/*
 * Tries the addresses in order. 0: made; -EINPROGRESS; -EPROTO: TLS came to nothing, see `trouble`;
 * -errno: of the last, all failed at once.
 */
int connection_open(struct connection *connection, const struct probe_target *target);
/* After poll() has something to say on one that is being made: as connection_open(). */
int connection_finish(struct connection *connection, const struct probe_target *target);

/* False: no room. */
bool connection_queue(struct connection *connection, const char *bytes, size_t length);
/* Sends what the kernel takes; an error shows in what is received afterwards. */
void connection_flush(struct connection *connection);
bool connection_is_sending(const struct connection *connection);

/* What to poll() for. */
short connection_events(const struct connection *connection);

/* Something has been received that poll() does not see. */
bool connection_has_more(const struct connection *connection);

/* Reads once, into the reader. Bytes read; -EAGAIN: none now; -EPIPE: the end; -EPROTO: see
 * `trouble`; -errno. */
ssize_t connection_receive(struct connection *connection);

#endif

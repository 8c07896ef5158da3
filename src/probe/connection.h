/*
 * connection: one TCP connection of a probe: being made, made, or none; what waits to be sent; the
 * replies that came. Knows nothing of checks. Never blocks.
 */
#ifndef PROBE_CONNECTION_H
#define PROBE_CONNECTION_H

#include "probe/command.h"
#include "probe/reader.h"

/* AUTH, and a question of each of PROBES_IN_FLIGHT checks. */
enum { CONNECTION_OUT = (1 + PROBES_IN_FLIGHT) * COMMAND_MAX };

struct connection {
    int fd; /* -1: none */
    bool made;
    uint32_t address; /* of the target's: the one in use */
    struct reader reader;
    size_t out_from, out_to;  /* bytes of `out` still to be sent */
    char out[CONNECTION_OUT]; /* last: nothing else of it is touched before it is used */
};

void connection_init(struct connection *connection);
void connection_close(struct connection *connection);

/* Tries the addresses in order. 0: made; -EINPROGRESS; -errno: of the last, all failed at once. */
int connection_open(struct connection *connection, const struct probe_target *target);
/* After poll() has something to say on one that is being made: as connection_open(). */
int connection_finish(struct connection *connection, const struct probe_target *target);

/* False: no room. */
bool connection_queue(struct connection *connection, const char *bytes, size_t length);
/* Sends what the kernel takes; an error shows in what is received afterwards. */
void connection_flush(struct connection *connection);
bool connection_is_sending(const struct connection *connection);

/* Reads once, into the reader. Bytes read; -EAGAIN: none now; -EPIPE: the end; -errno. */
ssize_t connection_receive(struct connection *connection);

#endif

/*
 * connections: the established TCP connections of this network namespace, counted by where they go.
 * Only the client's end is counted: the one whose remote address is asked for.
 */
#ifndef CLI_CONNECTIONS_H
#define CLI_CONNECTIONS_H

#include <stdint.h>

#include "base/address.h"

struct connections {
    size_t count;
    struct address *remotes;
};

/* 0, -ENOMEM or the errno of opening /proc/net/tcp. Ends with connections_free(). */
int connections_read(struct connections *connections);
uint64_t connections_to(const struct connections *connections, const struct address *remote);
void connections_free(struct connections *connections);

#endif

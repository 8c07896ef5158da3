/*
 * agree: what Sentinels say together. Each has a voice of its own; what fewer than `quorum` of them
 * say changes nothing. Pure and [hook].
 *
 * A Sentinel that is silent has no voice: what was agreed on before stays in force.
 */
#ifndef POLICY_AGREE_H
#define POLICY_AGREE_H

#include <stdbool.h>

#include "base/address.h"
#include "policy/rules.h"

struct voice {
    bool heard;            /* it answered when it was asked last */
    struct address master; /* port 0: it names none */
    unsigned count;        /* the master, and its replicas */
    struct address servers[ENDPOINTS_MAX];
};

/*
 * The master that `quorum` of them name; the one that most of them do, should that leave two. How
 * many name it; 0: none is named by so many, and `*out` stays as it is.
 */
unsigned agree_master(const struct voice voices[], unsigned count, unsigned quorum,
                      struct address *out);

/*
 * Brings `servers` up to date: adds what `quorum` of them name, takes away what `quorum` of them
 * were heard not to name (but never the last). Those that stay keep their order. True when it has
 * changed.
 */
bool agree_servers(const struct voice voices[], unsigned count, unsigned quorum,
                   struct address servers[static ENDPOINTS_MAX], unsigned *server_count);

#endif

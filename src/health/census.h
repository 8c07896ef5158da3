/*
 * census: how many connections this host has to each endpoint, counted by the kernel (sock_diag).
 * For the strategy least-connections: no program needs to tell when it closes one, and one that is
 * killed leaves nothing behind. The host is the network namespace; connections that were not
 * steered count as well. [hook], save that it opens a socket in the caller's table of descriptors.
 */
#ifndef HEALTH_CENSUS_H
#define HEALTH_CENSUS_H

#include "state/bank.h"

/* Counts for every endpoint of a service with that strategy. Costs nothing when there is none; and
 * changes nothing when the kernel does not answer. */
void census_take(const struct segment *segment);

#endif

/*
 * launch: starts `redisteer monitor` where the settings need what only the program has, and nobody
 * does it. For the one thread of the host that holds the lease, which so is the one that starts it.
 */
#ifndef PRELOAD_LAUNCH_H
#define PRELOAD_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "state/segment.h"

/* [hook] The settings need the program. */
bool launch_is_wanted(const struct segment *segment);

/*
 * For the prober, about once a second, and when the lease is taken: an errand. The monitor takes
 * the lease away as soon as it runs, so whoever is here finds none. Never as process 1, as a child
 * subreaper or in a pid namespace of its own: there the monitor would become a child of the
 * program, or of one like it.
 */
void launch_where_needed(const struct segment *segment, uint64_t now_ns);

#endif

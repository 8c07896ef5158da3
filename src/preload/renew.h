/*
 * renew: what is published is published again when it is due. Only a child of ours, `redisteer
 * publish`, can do that; somebody has to wait for it.
 */
#ifndef PRELOAD_RENEW_H
#define PRELOAD_RENEW_H

#include <stdbool.h>

#include "preload/spawn.h"
#include "state/place.h"
#include "state/segment.h"

/*
 * For who attaches, one thread at a time: an endpoint or a Sentinel has no address, or a service no
 * endpoint, and no program has had that published again for 10 s.
 */
bool renew_lacks(const struct segment *segment, const struct place *place);

/*
 * Has the file published by a child, or waits for whoever is at it, `wait_ms` at most. `missing`: a
 * segment that is there by now will do. SPAWN_LATER also where this call may not. `may_spawn`:
 * process_may_spawn() said yes. Changes errno.
 */
enum spawn_end renew_publish(const struct place *place, const char *config, bool missing,
                             bool may_spawn, unsigned wait_ms);

/*
 * For the prober, about once a second: when the file has changed, a password is refused, Sentinels
 * name other servers or names are to be looked up, that is an errand. Waits for nothing: while one
 * is under way, a later call looks again.
 */
void renew_where_due(const struct segment *segment);

#endif

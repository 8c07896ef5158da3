/*
 * standing: who may be taken for the master of a service with role = master: kept in the live state
 * of its endpoints by the holder of the lease, and part of every decision (policy/standing.h).
 */
#ifndef STATE_STANDING_H
#define STATE_STANDING_H

#include "policy/standing.h"
#include "state/decision.h"
#include "state/discovery.h"

/* A check told what the endpoint is, or that it is gone. */
void standing_saw(const struct service_view *service, uint32_t index, enum seen seen,
                  uint64_t now_ns);

/* A quorum of Sentinels names another master than before. */
void standing_new_master(const struct service_view *service);

/* One of them is a master that has come back and is not trusted yet. */
bool standing_doubts(const struct service_view *service);

/*
 * Judges the service's endpoints anew, and forgets what is known of those that need not be master.
 * `found`: what Sentinels say, or NULL where there are none; `calm_ns`: since when all of them find
 * the master well (CLOCK_BOOTTIME), 0 when not. True when a decision may now be another one.
 */
bool standing_judge(const struct service_view *service, const struct found *found, uint64_t calm_ns,
                    uint64_t now_ns);

#endif

/*
 * checked: what a check found, put where everybody sees it, and what follows from it: a verdict,
 * grace, a decision, and the bell when sockets may have to be shut. All [hook].
 */
#ifndef STATE_CHECKED_H
#define STATE_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/verdict.h"
#include "state/bell.h"
#include "state/decision.h"
#include "state/history.h"

/*
 * Under lease `epoch`: the health word (CAS; an older epoch changes nothing), then counters,
 * history, RTT, last error; a passed check is a half-open success of the breaker; on a change of
 * health the event, grace and the bell. Then decides. False: the epoch is no longer in force.
 */
bool checked_record(const struct service_view *service, uint32_t index, uint16_t epoch,
                    const struct check *check, uint64_t now_ns);

/*
 * The same for one check of several that together make the verdict: `health` is what they come to
 * with this one. The counts in the health word are then of all of them.
 */
bool checked_record_part(const struct service_view *service, uint32_t index, uint16_t epoch,
                         const struct check *check, enum health health, uint64_t now_ns);

/* What failback.probe has found; then decides. */
void checked_gate(const struct service_view *service, uint32_t index, bool holds,
                  enum check_cause cause, uint64_t now_ns);

/* A check that came to no verdict, and why: the last error. */
void checked_void(const struct service_view *service, uint32_t index, enum check_cause cause);

/* What ROLE said. */
void checked_role(const struct service_view *service, uint32_t index, enum role_wanted role);
/* New connections go to it, and it said that it is a replica; and an event that says so. */
bool checked_is_active_replica(const struct service_view *service, uint32_t index);
void checked_warn_of_replica(const struct service_view *service, uint32_t index);

/*
 * An endpoint whose password or rights are wrong is alive, and its operator should know: an event.
 * Each call writes one; the caller says it once per trouble.
 */
void checked_complain(const struct service_view *service, uint32_t index, enum check_cause cause);

/* Something hints at trouble: have the endpoint checked at once (at most every 40 ms). */
void checked_hint(const struct service_view *service, uint32_t index, uint64_t now_ns);
/* For the prober: the last hint, CLOCK_BOOTTIME ns; 0 = never. */
uint64_t checked_last_hint(const struct endpoint_live *live);
/* For the prober: a futex, +1 per hint, that wakes one sleeper. */
atomic_u32 *checked_hint_word(const struct segment *segment);

/*
 * Must the host's connections to endpoint `index` be shut? Unhealthy, or drained or in maintenance;
 * close_connections not switched off; and another endpoint eligible. Never in mode observe or off.
 */
bool checked_must_shut(const struct service_view *service, uint32_t index, uint64_t now_ns);

#endif

/*
 * checked: what a check found, put where everybody sees it; and the bell that rings when sockets may
 * have to be shut. All [hook] unless said otherwise.
 */
#ifndef STATE_CHECKED_H
#define STATE_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/verdict.h"
#include "state/decision.h"

enum { CHECKS_KEPT = 64 }; /* per endpoint */

struct check {
    bool passed;
    enum check_cause cause;
    uint64_t started_ns; /* CLOCK_BOOTTIME */
    uint64_t rtt_ns;     /* 0 when there was no answer */
};

/*
 * Under lease `epoch`: counters, history, RTT, the health word (CAS; an older epoch changes nothing);
 * a passed check is a half-open success of the breaker; on a change of health the event, grace, the
 * decision and the bell. Returns false when the epoch is no longer in force.
 */
bool checked_record(const struct service_view *service, uint32_t index, uint16_t epoch,
                    const struct check *check, uint64_t now_ns);

/* An endpoint whose password or rights are wrong is alive, and its operator should know: an event. */
void checked_complain(const struct service_view *service, uint32_t index, enum check_cause cause);

/* Something hints at trouble: have the endpoint checked at once (at most every 100 ms). */
void checked_hint(const struct service_view *service, uint32_t index, uint64_t now_ns);
/* For the prober: the last hint, CLOCK_BOOTTIME ns; 0 = never. */
uint64_t checked_last_hint(const struct endpoint_live *live);
/* For the prober: sleeps no longer than until a hint comes; see checked_hint_word(). */
atomic_u32 *checked_hint_word(const struct segment *segment); /* a futex, +1 per hint */

/* Newest first; returns how many. */
unsigned checked_history(const struct endpoint_live *live, struct check out[static CHECKS_KEPT]);
/* Of the answered checks in the history; 0 when there is none. percent 1..99. */
uint64_t checked_percentile_us(const struct endpoint_live *live, unsigned percent);

/*
 * Must the host's connections to endpoint `index` be shut? Unhealthy, or drained or in maintenance;
 * close_connections not switched off; and another endpoint eligible.
 */
bool checked_must_shut(const struct service_view *service, uint32_t index, uint64_t now_ns);

/* The bell: a futex that guards sleep on. */
uint32_t bell_count(const struct segment *segment);
void bell_ring(const struct segment *segment);       /* +1, wakes one sleeper */
void bell_wake(const struct segment *segment, int n); /* passes the word on */
/* Sleeps while the count is `seen`; 0 = no limit. */
void bell_wait(const struct segment *segment, uint32_t seen, uint64_t timeout_ns);

#endif

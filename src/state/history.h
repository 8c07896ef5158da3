/*
 * history: the last checks of an endpoint, and what their answers took. [hook]
 */
#ifndef STATE_HISTORY_H
#define STATE_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/verdict.h"
#include "state/layout.h"

enum { CHECKS_KEPT = 64 }; /* per endpoint */

struct check {
    bool passed;
    enum check_cause cause;
    uint64_t started_ns; /* CLOCK_BOOTTIME; kept to the microsecond */
    uint64_t rtt_ns;     /* 0 when there was no answer; kept to the microsecond */
};

/* Into the ring, the counters and, when it was answered, the moving average of round trips. */
void history_add(struct endpoint_live *live, const struct check *check);

/* Peak EWMA of the passed checks' round trips, for the strategy latency; 0: not known. */
uint32_t history_latency_us(const struct endpoint_live *live);

/* Newest first; returns how many. A record that is being written is left out. */
unsigned checked_history(const struct endpoint_live *live, struct check out[static CHECKS_KEPT]);

/* Of the answered checks in the history; 0 when there is none. percent 1..99. */
uint64_t checked_percentile_us(const struct endpoint_live *live, unsigned percent);

#endif

/*
 * breaker: a circuit breaker that a whole host shares.
 *
 *     CLOSED --- trips ---> OPEN --- its time is up ---> HALF-OPEN --- enough successes ---> CLOSED
 *                            ^                               |
 *                            +------- a trial failed --------+      (open time x backoff, jittered)
 *
 * Trips: `refused` consecutive refusals, `timeouts` consecutive timeouts, or, once the window holds
 * `min_calls` calls, a share of counted failures >= failure_rate or of slow calls >= slow_rate.
 * The window is the last `window_ns` (in tenths: a call leaves it up to a tenth early) or the last
 * `window_calls` calls. A call is slow from `slow_call_ns` on, failed or not. Only the closed
 * breaker records calls, and each closed time starts with an empty window and no streak. Disabled
 * rules admit everything and record nothing.
 *
 * Open: a failure changes nothing; a success (somebody tried all the same) is the first half-open
 * one. Half-open: `half_open_successes` in a row close it, a counted failure opens it for longer.
 * An open time ends on a whole millisecond, rounded up.
 *
 * The struct lies in shared memory and is all atomics: any thread of any process may call any
 * function at any time, a process may die inside one, and no state is lost. Memory order: every
 * word stands for itself, so relaxed suffices; `state` alone is changed by CAS, and who wins the
 * CAS owns the transition and reports it. No clock, no I/O, no globals; all functions are [hook].
 */
#ifndef POLICY_BREAKER_H
#define POLICY_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/shared.h"
#include "policy/outcome.h"
#include "policy/rules.h"

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN, BREAKER_DISABLED };

enum {
    BREAKER_TOKENS = 8,
    BREAKER_WINDOW_WORDS = 34,
    BREAKER_WINDOW_CALLS = 512,
};

struct breaker {
    SHARED64 atomic_u64 state;  /* see breaker.c; changed by CAS only */
    SHARED64 atomic_u64 streak; /* consecutive outcomes of one kind; see breaker.c */
    SHARED64 atomic_u64 calls;  /* count window: its size and use; see window.c */
    SHARED64 atomic_u64
        tokens[BREAKER_TOKENS]; /* a trial's deadline in ns; free when it has passed */
    SHARED64 atomic_u64 window[BREAKER_WINDOW_WORDS]; /* see window.c */
};

/* The state at `now`: OPEN whose time is up reads as HALF_OPEN. */
enum breaker_state breaker_state(const struct breaker *breaker, const struct breaker_rules *rules,
                                 uint64_t now_ns);

/* How long OPEN lasts from `now`; 0 in any other state. */
uint64_t breaker_remaining_ns(const struct breaker *breaker, const struct breaker_rules *rules,
                              uint64_t now_ns);

/*
 * Half-open: takes one of the host's `half_open_calls` trial tokens until `now + hold_ns`; a token
 * whose holder dies comes back by itself then. False when none is free, or the breaker is not
 * half-open. On success `*token` names it for breaker_trial_end().
 */
bool breaker_trial_begin(struct breaker *breaker, const struct breaker_rules *rules,
                         uint64_t now_ns, uint64_t hold_ns, unsigned *token);
void breaker_trial_end(struct breaker *breaker, unsigned token);

/* What a recorded outcome changed; NONE mostly. */
enum breaker_change { BREAKER_UNCHANGED, BREAKER_OPENED, BREAKER_REOPENED, BREAKER_RECOVERED };
enum breaker_cause {
    CAUSE_NONE,
    CAUSE_REFUSED,
    CAUSE_TIMEOUTS,
    CAUSE_FAILURE_RATE,
    CAUSE_SLOW_RATE,
    CAUSE_TRIAL
};

struct breaker_event {
    enum breaker_change change;
    enum breaker_cause cause;
    uint64_t open_ns; /* how long it will stay open, when it opened */
};

/*
 * What nearly every call is: a success of a closed breaker, not slow, and no trouble in its window.
 * True: it is recorded, and changes nothing. False: nothing is, and breaker_record() is to do it.
 */
bool breaker_record_calm(struct breaker *breaker, const struct breaker_rules *rules,
                         uint64_t took_ns, uint64_t now_ns);

/*
 * Records an outcome. OUTCOME_LOCAL is ignored; failures that `rules->count` leaves out count as
 * calls without failure and break no streak. `took_ns` is the length of the attempt, `random` any
 * 32 random bits (jitter: the open time is within +-10 %).
 */
struct breaker_event breaker_record(struct breaker *breaker, const struct breaker_rules *rules,
                                    enum outcome outcome, uint64_t took_ns, uint64_t now_ns,
                                    uint32_t random);

/* Back to CLOSED with an empty window, as for a new endpoint. */
void breaker_reset(struct breaker *breaker);

const char *breaker_state_name(enum breaker_state state); /* closed | open | half-open | disabled */
const char *breaker_cause_name(enum breaker_cause cause); /* in words, for events */

#endif

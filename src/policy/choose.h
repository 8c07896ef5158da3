/*
 * choose: which endpoint of a service a new connection goes to. One pure function of the settings,
 * the endpoints' states and the time; whoever has new evidence may run it. [hook]
 *
 * Eligible: not drained or in maintenance, HEALTHY (UNKNOWN only while no endpoint that is
 * otherwise eligible is HEALTHY), breaker closed or disabled. The current endpoint is not left for
 * want of knowledge: UNKNOWN, it stays (at the start of checks another one may be heard of first).
 * An endpoint whose breaker is half-open is no choice but a possible *trial*. `count` is at most
 * ENDPOINTS_MAX everywhere.
 */
#ifndef POLICY_CHOOSE_H
#define POLICY_CHOOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/breaker.h"
#include "policy/rules.h"

enum health { HEALTH_UNKNOWN, HEALTH_HEALTHY, HEALTH_UNHEALTHY };
enum admin { ADMIN_READY, ADMIN_DRAIN, ADMIN_MAINT };

/* What keeps a server from being used as a master: standing.h. */
enum bar {
    BAR_NONE,
    BAR_FAILBACK,     /* it has just come back: no failback to it */
    BAR_RETURNED,     /* it has just come back, and Sentinels may have made another the master */
    BAR_REPLICA,      /* it is none */
    BAR_OTHER_MASTER, /* Sentinels name another */
    BAR_GONE,         /* it does not answer, and might do so again as what it was */
};

enum { RAMP_WHOLE = 1000 };

/* Small: sixteen of them lie on the stack of whoever connects. */
struct candidate {
    uint64_t grace_until_ns;  /* 0 = not in grace; holds back failback only */
    uint32_t weight_milli;    /* 0..1000000 */
    union {                   /* what one strategy measures by */
        uint32_t rank;        /* command: 1 is the program's first choice; 0 = it names another */
        uint32_t latency_us;  /* latency: peak EWMA of the checks; 0 = not known */
        uint32_t connections; /* least-connections: of this host, about */
    };
    uint16_t ramp; /* spreading strategies: the part it gets while it has just recovered, up to
                      RAMP_WHOLE */
    enum health health : 8;
    enum breaker_state breaker : 8; /* as breaker_state() gives it: half-open: a trial is due */
    enum admin admin : 8;
    enum bar bar : 8; /* from BAR_RETURNED on no connection goes there, come what may */
    bool same_zone;
    uint8_t tier; /* SRV's order of priorities: 0 is the best; of all others too */
    bool gated;   /* failback.probe does not hold: no failback to it, unless it is held */
    bool held;    /* the operator has switched to it: before all others while it is well */
};

/* Why an endpoint gets no ordinary connection, for status and explain; NULL when it is eligible. */
const char *candidate_why_not(const struct candidate candidates[], unsigned count, unsigned index);

enum choice_reason {
    CHOICE_KEPT,     /* the current one stays */
    CHOICE_FIRST,    /* there was none */
    CHOICE_HEALTH,   /* the current one is unhealthy */
    CHOICE_BREAKER,  /* the current one's breaker is open */
    CHOICE_FAILBACK, /* a better one is well again */
    CHOICE_ADMIN,    /* the current one is drained or in maintenance */
    CHOICE_REMOVED,  /* the current one is gone from the settings */
    CHOICE_MANUAL,   /* the operator has switched to another one */
    CHOICE_SENTINEL, /* Sentinels name another master */
};

struct choice_rules {
    enum strategy strategy;
    bool failback;
    int challenger; /* latency: index of who has been faster for long enough, or -1 */
    uint64_t turn;  /* spreading strategies: the number of this connection */
};

struct choice {
    int endpoint; /* index, or -1: none is eligible */
    int trial;    /* index of a half-open endpoint that a trial connection may go to, or -1 */
    enum choice_reason reason;
};

/*
 * The one that the operator holds, then same zone first, then the best tier, then by the strategy:
 * the highest weight (priority), file order (first), the best rank (command), or nothing (latency);
 * ties keep `current`, then the faster one (latency), then file order. A better endpoint replaces
 * an eligible `current` only by failback: rules allow it and it is not gated (of a held one they
 * need not, and it may be), and its grace is over. `current` is an index or -1; one past the end is
 * an endpoint that was removed. Without an eligible `current`, those in grace are chosen only when
 * there is no other. `trial`: the best half-open endpoint that would, once closed, take over from
 * the choice by failback (or the best half-open one when nothing is eligible); never one in grace
 * while something is eligible. Spreading strategies: spread.h, among those of the same zone and the
 * best tier first; no endpoint is `current` then.
 */
struct choice choose(const struct choice_rules *rules, const struct candidate candidates[],
                     unsigned count, int current, uint64_t now_ns);

/*
 * No other endpoint is preferred to `index`, whatever their states, as long as the operator holds
 * none: by zone, tier, and weight or file order. False for strategies that also go by what changes.
 */
bool choose_unrivalled(enum strategy strategy, const struct candidate candidates[], unsigned count,
                       unsigned index);

/*
 * latency: who is 25 % and 2 ms faster than `current`, and eligible, in no lesser zone or tier and
 * out of grace; the fastest of these, or -1. Who stays that for LATENCY_PROOF_NS is the challenger.
 */
int choose_faster(const struct candidate candidates[], unsigned count, int current,
                  uint64_t now_ns);
#define LATENCY_PROOF_NS UINT64_C(5000000000)

/* No connection goes there, not even for want of another. */
bool candidate_is_barred(const struct candidate *candidate);

/*
 * True: choose() would keep `current` and send no trial, and that without a look at the others,
 * because `current` is unrivalled. The state of nearly every host at nearly every time.
 */
bool choose_keeps(const struct candidate *current);

/*
 * The next endpoint to try inside one call, `tried` being the bit set of those that failed already:
 * eligible ones in order of preference, then half-open, then the rest by file order when
 * `desperate` (when_all_down = try), save what the operator has drained or put in maintenance, and
 * who is barred. -1 when none is left.
 */
int choose_next(const struct choice_rules *rules, const struct candidate candidates[],
                unsigned count, uint32_t tried, bool desperate, uint64_t now_ns);

const char *choice_reason_name(
    enum choice_reason reason); /* "health-check", "breaker", "failback",
                                   "drained", "removed", "manual", "sentinel", "start" */

#endif

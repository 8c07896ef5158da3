/*
 * decision: the pure choice applied to the shared state. Whoever has new evidence runs it; the
 * result is put in place by compare-and-swap on the service's `active` word, and the winner writes
 * the event. All functions are [hook].
 */
#ifndef STATE_DECISION_H
#define STATE_DECISION_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/choose.h"
#include "policy/outcome.h"
#include "state/bank.h"

/*
 * A service with its endpoints, copied out of the settings: good for one call. Small, because it
 * lies on the stack of whoever connects, which may be a signal handler's.
 */
struct service_view {
    const struct segment *segment;
    const struct address *only; /* of each endpoint with one address, as of `bank`; port 0: ask */
    struct bank_view bank;      /* where it was read from, as long as that is in force */
    struct service_live *live;
    uint32_t index; /* in the bank it came from */
    uint32_t first_endpoint;
    uint32_t count;
    struct service_settings settings;
    struct endpoint_brief endpoints[ENDPOINTS_MAX];
    struct endpoint_live *endpoint_live[ENDPOINTS_MAX];
};

/* False: the settings are changing under us or corrupt. The caller validates `view` itself. */
bool service_read(const struct bank_view *view, uint32_t index, struct service_view *out);

/* All of endpoint `index`. False: it is not in the settings any more. */
bool service_endpoint(const struct service_view *service, uint32_t index,
                      struct endpoint_settings *out);

/*
 * Only its addresses; how many, 0 also when it is not in the settings any more. `out` is aligned
 * to 8 (SHARED64).
 */
uint32_t service_addresses(const struct service_view *service, uint32_t index,
                           struct address out[static ADDRESSES_MAX]);

/* The mode in force (steer, observe or off). */
enum service_mode service_mode(const struct service_view *service, uint64_t now_ns);

/*
 * The last verdict on endpoint `index`, while it lasts: UNKNOWN when nobody has checked for 3
 * intervals and a timeout (at least two leases: a silent prober is replaced by then), or checks are
 * disabled.
 */
enum health service_health(const struct service_view *service, uint32_t index, uint64_t now_ns);

/* The endpoints' states at `now`, as choose() wants them, and the active one's index or -1. */
int service_candidates(const struct service_view *service, struct candidate out[ENDPOINTS_MAX],
                       uint64_t now_ns);

/* How to choose for the connection with this number. */
struct choice_rules service_choice_rules(const struct service_view *service, uint64_t turn,
                                         uint64_t now_ns);

/* What would be chosen now; changes nothing. */
struct choice service_choice(const struct service_view *service, uint64_t now_ns);

/*
 * Chooses and puts the choice in place: `active`, grace of the endpoint left behind, last_switch,
 * the event and the bell. Returns the choice now in force. On a read-only segment the same as
 * service_choice().
 */
struct choice service_decide(const struct service_view *service, uint64_t now_ns);

/*
 * The active endpoint's index when there is nothing to decide: it is well, and no other is
 * preferred to it. The state of nearly every host at nearly every time. -1: service_target() finds
 * out.
 */
int service_kept(const struct service_view *service, uint64_t now_ns);

/*
 * Where a new connection goes: service_kept(), else what service_decide() says; where connections
 * are spread, to the next in turn. Not for whoever has just given evidence: it orders nothing.
 */
struct choice service_target(const struct service_view *service, uint64_t now_ns);

/*
 * Records what became of an attempt on endpoint `index`: counters, last error, breaker, grace, the
 * breaker's event; then decides again when the breaker changed. `error` is the errno, 0 for
 * success.
 */
void service_report(const struct service_view *service, uint32_t index, int error, uint64_t took_ns,
                    uint64_t now_ns);

/* ---- for other evidence: checked.c ---- */

/* False: the slot went to another endpoint since the settings were read. */
bool service_still_has(const struct service_view *service, uint32_t index);

/* Holds back failback to the endpoint, from now on. */
void service_start_grace(const struct service_view *service, uint32_t index, uint64_t now_ns);

/*
 * A check that passed is no connection, but one success for a half-open breaker, and for a closed
 * one a slow call when it took that long: a server that thinks slowly still connects fast, because
 * its kernel does. True when the breaker changed.
 */
bool service_passed_check(const struct service_view *service, uint32_t index, uint64_t took_ns,
                          uint64_t now_ns);

#endif

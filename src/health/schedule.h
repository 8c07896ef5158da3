/*
 * schedule: when the checks of one target start, and what their probes add up to. Pure: the time
 * and the random bits are arguments.
 *
 *     schedule_due_ns()      when the next probe is to be started
 *     schedule_started()     it was: call it for each
 *     schedule_finished()    it has a result: true when that decides a check
 *     schedule_settled()     the last check passed, and nothing it stands for is in doubt
 *
 * Checks are timed from start to start, with jitter: `interval` after a settled one, otherwise (it
 * failed, is unanswered, or passed and its target is still on the way up) min(fast_interval,
 * interval). So checks overlap while nothing answers, and a change of state takes as short as the
 * rules allow.
 *
 * A check is `probes` probes, started `gap` apart until they decide it. The next check never starts
 * before the last probe of this one: results come in the order of starts, so each belongs to the
 * oldest check that still waits for one. A void probe makes its check void: as if it had not been.
 */
#ifndef HEALTH_SCHEDULE_H
#define HEALTH_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/rules.h"
#include "probe/probe.h"
#include "state/history.h"

struct check_run {
    uint64_t started_ns;
    uint64_t rtt_ns; /* of the slowest answer so far */
    uint8_t started; /* probes, of rules.probes */
    uint8_t finished;
    uint8_t passed;
    uint8_t failed;
    uint8_t cause; /* of the last failed probe, else of the last passed one */
    bool over;     /* decided or void: what its other probes find does not matter */
};

struct schedule {
    struct health_rules rules;
    uint64_t due_ns;
    uint64_t last_ns; /* start of the last check; 0 = none yet */
    uint32_t random;  /* of the last check: one jitter for all times reckoned from its start */
    unsigned first;   /* ring of the checks that have probes under way, or still to be started */
    unsigned count;
    struct check_run runs[PROBES_IN_FLIGHT];
};

/* The first check is due at `first_ns`. */
void schedule_init(struct schedule *schedule, const struct health_rules *rules, uint64_t first_ns);

uint64_t schedule_due_ns(const struct schedule *schedule);
void schedule_started(struct schedule *schedule, uint64_t now_ns, uint32_t random);
bool schedule_finished(struct schedule *schedule, const struct probe_result *result,
                       struct check *check);
void schedule_settled(struct schedule *schedule);

/* Something else asks for a check: one is due now. */
void schedule_hurry(struct schedule *schedule, uint64_t now_ns);

/*
 * At `hinted_ns` something hinted at trouble: a check is due now, unless one has started since or
 * `fall` are unanswered, which will tell. So while hints go on the checks that a verdict needs
 * follow each other by the hints, sooner than fast_interval would have it: a program's request has
 * waited for an answer since before the first of them, which is what the pause between two checks
 * is there to find out. Each still has the whole of `timeout` to be answered, so a server that is
 * silent for less never fails.
 */
void schedule_hint(struct schedule *schedule, uint64_t hinted_ns, uint64_t now_ns);

/*
 * The end of an idle connection: a check is due now, but not sooner than a fast interval after the
 * last: a server may accept and hang up for ever.
 */
void schedule_disconnected(struct schedule *schedule, uint64_t now_ns);

#endif

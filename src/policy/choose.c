#include "policy/choose.h"

#include <stddef.h>

#include "policy/spread.h"

bool candidate_is_barred(const struct candidate *candidate)
{
    return candidate->bar >= BAR_RETURNED;
}

/* The operator's word and the health checks' admit it; the breaker is another matter. */
static bool is_fit(const struct candidate *candidate, bool any_healthy)
{
    if (candidate->admin != ADMIN_READY || candidate_is_barred(candidate))
        return false;
    return candidate->health == HEALTH_HEALTHY ||
           (candidate->health == HEALTH_UNKNOWN && !any_healthy);
}

static bool breaker_admits(const struct candidate *candidate)
{
    return candidate->breaker == BREAKER_CLOSED || candidate->breaker == BREAKER_DISABLED;
}

static bool is_eligible(const struct candidate *candidate, bool any_healthy)
{
    return is_fit(candidate, any_healthy) && breaker_admits(candidate);
}

/* No evidence against it: one that is in use may stay so. */
static bool may_stay(const struct candidate *candidate)
{
    return is_fit(candidate, false) && breaker_admits(candidate);
}

/* A trial may go there: only its breaker stands between it and being eligible. */
static bool wants_trial(const struct candidate *candidate, bool any_healthy)
{
    return is_fit(candidate, any_healthy) && candidate->breaker == BREAKER_HALF_OPEN;
}

/* A HEALTHY endpoint that cannot be used takes nothing from one whose health is UNKNOWN. */
static bool any_usable_healthy(const struct candidate candidates[], unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (candidates[i].health == HEALTH_HEALTHY && is_eligible(&candidates[i], true))
            return true;
    return false;
}

static bool in_grace(const struct candidate *candidate, uint64_t now_ns)
{
    return now_ns < candidate->grace_until_ns;
}

/* What the program says of those it does not name: after all others. */
static uint32_t rank_of(const struct candidate *candidate)
{
    return candidate->rank ? candidate->rank : UINT32_MAX;
}

/* The operator's preference, of two in one array: false for equals. */
static bool is_better(enum strategy strategy, const struct candidate *a, const struct candidate *b)
{
    if (a->held != b->held)
        return a->held;
    if (a->same_zone != b->same_zone)
        return a->same_zone;
    if (a->tier != b->tier)
        return a->tier < b->tier;
    switch (strategy) {
    case STRATEGY_PRIORITY:
        return a->weight_milli > b->weight_milli;
    case STRATEGY_FIRST:
        return a < b;
    case STRATEGY_COMMAND:
        return rank_of(a) < rank_of(b);
    case STRATEGY_LATENCY:
    case STRATEGY_ROUND_ROBIN:
    case STRATEGY_RANDOM:
    case STRATEGY_WEIGHTED:
    case STRATEGY_LEAST_CONNECTIONS:
        break;
    }
    return false;
}

static bool is_faster(const struct candidate *a, const struct candidate *b)
{
    return a->latency_us != 0 && (b->latency_us == 0 || a->latency_us < b->latency_us);
}

/* What a new choice is made by: those in grace are taken only when there is no other. */
static bool ranks_before(enum strategy strategy, const struct candidate *a,
                         const struct candidate *b, uint64_t now_ns)
{
    if (in_grace(a, now_ns) != in_grace(b, now_ns))
        return in_grace(b, now_ns);
    if (is_better(strategy, a, b) || is_better(strategy, b, a))
        return is_better(strategy, a, b);
    return strategy == STRATEGY_LATENCY && is_faster(a, b);
}

/* The best of those in `set`; among equals the first of the file. -1 when it is empty. */
static int best_of(enum strategy strategy, const struct candidate candidates[], unsigned count,
                   uint32_t set, uint64_t now_ns)
{
    int best = -1;

    for (unsigned i = 0; i < count; i++)
        if (set & 1u << i &&
            (best < 0 || ranks_before(strategy, &candidates[i], &candidates[best], now_ns)))
            best = (int)i;
    return best;
}

typedef bool (*predicate)(const struct candidate *candidate, bool any_healthy);

static uint32_t set_of(const struct candidate candidates[], unsigned count, predicate holds)
{
    bool any_healthy = any_usable_healthy(candidates, count);
    uint32_t set = 0;

    for (unsigned i = 0; i < count; i++)
        if (holds(&candidates[i], any_healthy))
            set |= 1u << i;
    return set;
}

/* Those of `set` that would take over from `from` by failback. */
static uint32_t failback_set(const struct choice_rules *rules, const struct candidate candidates[],
                             unsigned count, uint32_t set, int from, uint64_t now_ns)
{
    for (unsigned i = 0; i < count; i++)
        if (((!rules->failback || candidates[i].gated) && !candidates[i].held) ||
            in_grace(&candidates[i], now_ns) ||
            !is_better(rules->strategy, &candidates[i], &candidates[from]))
            set &= ~(1u << i);
    return set;
}

static enum choice_reason why_lost(const struct candidate *candidate)
{
    if (candidate->admin != ADMIN_READY)
        return CHOICE_ADMIN;
    if (candidate->bar == BAR_GONE)
        return CHOICE_HEALTH;
    if (candidate_is_barred(candidate) && candidate->health != HEALTH_UNHEALTHY)
        return CHOICE_SENTINEL;
    return breaker_admits(candidate) || candidate->health == HEALTH_UNHEALTHY ? CHOICE_HEALTH
                                                                              : CHOICE_BREAKER;
}

static const char *bar_text(enum bar bar)
{
    switch (bar) {
    case BAR_RETURNED:
        return "a master that has just come back";
    case BAR_REPLICA:
        return "not the master";
    case BAR_OTHER_MASTER:
        return "Sentinels name another master";
    case BAR_GONE:
        return "does not answer";
    case BAR_NONE:
    case BAR_FAILBACK:
        break;
    }
    return NULL;
}

const char *candidate_why_not(const struct candidate candidates[], unsigned count, unsigned index)
{
    const struct candidate *candidate = &candidates[index];

    if (candidate->admin == ADMIN_DRAIN)
        return "drained";
    if (candidate->admin == ADMIN_MAINT)
        return "in maintenance";
    if (candidate->health == HEALTH_UNHEALTHY)
        return "unhealthy";
    if (candidate_is_barred(candidate))
        return bar_text(candidate->bar);
    if (candidate->breaker == BREAKER_OPEN)
        return "breaker open";
    if (candidate->breaker == BREAKER_HALF_OPEN)
        return "breaker half-open";
    if (!is_eligible(candidate, any_usable_healthy(candidates, count)))
        return "health unknown while another endpoint is healthy";
    return NULL;
}

/* Those of the best tier. */
static uint32_t best_tier(const struct candidate candidates[], unsigned count, uint32_t set)
{
    uint32_t best = 0;
    unsigned tier = UINT8_MAX + 1;

    for (unsigned i = 0; i < count; i++) {
        if (!(set & 1u << i) || candidates[i].tier > tier)
            continue;
        if (candidates[i].tier < tier)
            best = 0;
        tier = candidates[i].tier;
        best |= 1u << i;
    }
    return best;
}

/* The operator's own, else the best tier of the same zone, else of all. */
static uint32_t preferred(const struct candidate candidates[], unsigned count, uint32_t set)
{
    uint32_t held = 0, near = 0;

    for (unsigned i = 0; i < count; i++) {
        if (candidates[i].held)
            held |= 1u << i;
        if (candidates[i].same_zone)
            near |= 1u << i;
    }
    held &= set;
    near &= set;
    if (held)
        return held;
    return best_tier(candidates, count, near ? near : set);
}

/* No endpoint is left and none comes back: each connection goes where its turn says. */
static struct choice spread(const struct choice_rules *rules, const struct candidate candidates[],
                            unsigned count, uint32_t eligible, uint32_t trials, uint64_t now_ns)
{
    return (struct choice){
        .endpoint = spread_pick(rules->strategy, candidates, count,
                                preferred(candidates, count, eligible), rules->turn),
        .trial = best_of(rules->strategy, candidates, count, trials, now_ns),
        .reason = CHOICE_KEPT,
    };
}

static bool is_eligible_now(uint32_t eligible, int index)
{
    return index >= 0 && eligible & 1u << index;
}

struct choice choose(const struct choice_rules *rules, const struct candidate candidates[],
                     unsigned count, int current, uint64_t now_ns)
{
    enum strategy strategy = rules->strategy;
    uint32_t eligible = set_of(candidates, count, is_eligible);
    uint32_t trials = set_of(candidates, count, wants_trial);
    struct choice choice = {.endpoint = current, .trial = -1, .reason = CHOICE_KEPT};

    if (strategy_spreads(strategy))
        return spread(rules, candidates, count, eligible, trials, now_ns);
    if (current >= 0 && (unsigned)current < count && may_stay(&candidates[current])) {
        int better =
            best_of(strategy, candidates, count,
                    failback_set(rules, candidates, count, eligible, current, now_ns), now_ns);

        if (better < 0 && strategy == STRATEGY_LATENCY && !candidates[current].held &&
            is_eligible_now(eligible, rules->challenger) && rules->failback)
            better = rules->challenger;
        if (better >= 0)
            choice = (struct choice){
                .endpoint = better,
                .reason = candidates[better].held ? CHOICE_MANUAL : CHOICE_FAILBACK,
            };
    } else {
        choice.endpoint = best_of(strategy, candidates, count, eligible, now_ns);
        if (current < 0)
            choice.reason = CHOICE_FIRST;
        else if ((unsigned)current >= count)
            choice.reason = CHOICE_REMOVED;
        else
            choice.reason = why_lost(&candidates[current]);
    }
    if (choice.endpoint >= 0)
        trials = failback_set(rules, candidates, count, trials, choice.endpoint, now_ns);
    choice.trial = best_of(strategy, candidates, count, trials, now_ns);
    return choice;
}

int choose_faster(const struct candidate candidates[], unsigned count, int current, uint64_t now_ns)
{
    enum { LEAST_US = 2000 };
    uint32_t eligible = set_of(candidates, count, is_eligible);
    const struct candidate *slow;
    int fastest = -1;

    if (current < 0 || (unsigned)current >= count)
        return -1;
    slow = &candidates[current];
    for (unsigned i = 0; i < count; i++) {
        const struct candidate *one = &candidates[i];

        if (!(eligible & 1u << i) || in_grace(one, now_ns) || one->latency_us == 0 ||
            (slow->same_zone && !one->same_zone) ||
            (slow->same_zone == one->same_zone && slow->tier < one->tier))
            continue;
        if ((uint64_t)one->latency_us * 4 <= (uint64_t)slow->latency_us * 3 &&
            (uint64_t)one->latency_us + LEAST_US <= slow->latency_us &&
            (fastest < 0 || is_faster(one, &candidates[fastest])))
            fastest = (int)i;
    }
    return fastest;
}

bool choose_unrivalled(enum strategy strategy, const struct candidate candidates[], unsigned count,
                       unsigned index)
{
    if (strategy != STRATEGY_PRIORITY && strategy != STRATEGY_FIRST)
        return false;
    for (unsigned i = 0; i < count; i++)
        if (is_better(strategy, &candidates[i], &candidates[index]))
            return false;
    return true;
}

bool choose_keeps(const struct candidate *current)
{
    return may_stay(current);
}

int choose_next(const struct choice_rules *rules, const struct candidate candidates[],
                unsigned count, uint32_t tried, bool desperate, uint64_t now_ns)
{
    enum strategy strategy = rules->strategy;
    uint32_t eligible = set_of(candidates, count, is_eligible) & ~tried;
    uint32_t trials = set_of(candidates, count, wants_trial) & ~tried;

    if (eligible && strategy_spreads(strategy))
        return spread_pick(strategy, candidates, count, preferred(candidates, count, eligible),
                           rules->turn);
    if (eligible)
        return best_of(strategy, candidates, count, eligible, now_ns);
    if (trials)
        return best_of(strategy, candidates, count, trials, now_ns);
    for (unsigned i = 0; desperate && i < count; i++)
        if (!(tried & 1u << i) && candidates[i].admin == ADMIN_READY &&
            !candidate_is_barred(&candidates[i]))
            return (int)i;
    return -1;
}

const char *choice_reason_name(enum choice_reason reason)
{
    switch (reason) {
    case CHOICE_KEPT:
        return "kept";
    case CHOICE_FIRST:
        return "start";
    case CHOICE_HEALTH:
        return "health-check";
    case CHOICE_BREAKER:
        return "breaker";
    case CHOICE_FAILBACK:
        return "failback";
    case CHOICE_ADMIN:
        return "drained";
    case CHOICE_MANUAL:
        return "manual";
    case CHOICE_SENTINEL:
        return "sentinel";
    case CHOICE_REMOVED:
        break;
    }
    return "removed";
}

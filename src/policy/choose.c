/*
 * One strategy, `priority`: the settings' parser admits no other, so `rules->strategy` is not read.
 */
#include "policy/choose.h"

#include <stddef.h>

/* The operator's word and the health checks' admit it; the breaker is another matter. */
static bool is_fit(const struct candidate *candidate, bool any_healthy)
{
    if (candidate->admin != ADMIN_READY)
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

/* The operator's preference: false for equals. */
static bool is_better(const struct candidate *a, const struct candidate *b)
{
    if (a->held != b->held)
        return a->held;
    if (a->same_zone != b->same_zone)
        return a->same_zone;
    return a->weight_milli > b->weight_milli;
}

/* What a new choice is made by: those in grace are taken only when there is no other. */
static bool ranks_before(const struct candidate *a, const struct candidate *b, uint64_t now_ns)
{
    if (in_grace(a, now_ns) != in_grace(b, now_ns))
        return in_grace(b, now_ns);
    return is_better(a, b);
}

/* The best of those in `set`; among equals the first of the file. -1 when it is empty. */
static int best_of(const struct candidate candidates[], unsigned count, uint32_t set,
                   uint64_t now_ns)
{
    int best = -1;

    for (unsigned i = 0; i < count; i++)
        if (set & 1u << i && (best < 0 || ranks_before(&candidates[i], &candidates[best], now_ns)))
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
            in_grace(&candidates[i], now_ns) || !is_better(&candidates[i], &candidates[from]))
            set &= ~(1u << i);
    return set;
}

static enum choice_reason why_lost(const struct candidate *candidate)
{
    if (candidate->admin != ADMIN_READY)
        return CHOICE_ADMIN;
    return breaker_admits(candidate) || candidate->health == HEALTH_UNHEALTHY ? CHOICE_HEALTH
                                                                              : CHOICE_BREAKER;
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
    if (candidate->breaker == BREAKER_OPEN)
        return "breaker open";
    if (candidate->breaker == BREAKER_HALF_OPEN)
        return "breaker half-open";
    if (!is_eligible(candidate, any_usable_healthy(candidates, count)))
        return "health unknown while another endpoint is healthy";
    return NULL;
}

struct choice choose(const struct choice_rules *rules, const struct candidate candidates[],
                     unsigned count, int current, uint64_t now_ns)
{
    uint32_t eligible = set_of(candidates, count, is_eligible);
    uint32_t trials = set_of(candidates, count, wants_trial);
    struct choice choice = {.endpoint = current, .trial = -1, .reason = CHOICE_KEPT};

    if (current >= 0 && (unsigned)current < count && may_stay(&candidates[current])) {
        int better =
            best_of(candidates, count,
                    failback_set(rules, candidates, count, eligible, current, now_ns), now_ns);

        if (better >= 0)
            choice = (struct choice){
                .endpoint = better,
                .reason = candidates[better].held ? CHOICE_MANUAL : CHOICE_FAILBACK,
            };
    } else {
        choice.endpoint = best_of(candidates, count, eligible, now_ns);
        if (current < 0)
            choice.reason = CHOICE_FIRST;
        else if ((unsigned)current >= count)
            choice.reason = CHOICE_REMOVED;
        else
            choice.reason = why_lost(&candidates[current]);
    }
    if (choice.endpoint >= 0)
        trials = failback_set(rules, candidates, count, trials, choice.endpoint, now_ns);
    choice.trial = best_of(candidates, count, trials, now_ns);
    return choice;
}

int choose_next(const struct choice_rules *rules, const struct candidate candidates[],
                unsigned count, uint32_t tried, bool desperate, uint64_t now_ns)
{
    uint32_t eligible = set_of(candidates, count, is_eligible) & ~tried;
    uint32_t trials = set_of(candidates, count, wants_trial) & ~tried;

    (void)rules; /* the strategy, see above */
    if (eligible)
        return best_of(candidates, count, eligible, now_ns);
    if (trials)
        return best_of(candidates, count, trials, now_ns);
    for (unsigned i = 0; desperate && i < count; i++)
        if (!(tried & 1u << i) && candidates[i].admin == ADMIN_READY)
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
    case CHOICE_REMOVED:
        break;
    }
    return "removed";
}

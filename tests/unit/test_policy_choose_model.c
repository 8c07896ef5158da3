/*
 * choose() and choose_next() against a model that is the rules' prose, sentence by sentence: each
 * candidate gets a score, and the highest score wins. Over random candidates; the seed is in the
 * message of a failure.
 */
#include "policy/choose.h"

#include <string.h>

#include "unit.h"

enum { CASES = 60000 };

struct group {
    struct candidate candidates[ENDPOINTS_MAX];
    unsigned count;
    uint64_t now;
};

static bool closed(const struct candidate *candidate)
{
    return candidate->breaker != BREAKER_OPEN && candidate->breaker != BREAKER_HALF_OPEN;
}

/* "HEALTHY (UNKNOWN only while no endpoint that is otherwise eligible is HEALTHY)" */
static bool well(const struct group *group, unsigned index)
{
    if (group->candidates[index].health == HEALTH_UNHEALTHY)
        return false;
    if (group->candidates[index].health == HEALTH_HEALTHY)
        return true;
    for (unsigned i = 0; i < group->count; i++)
        if (group->candidates[i].health == HEALTH_HEALTHY && closed(&group->candidates[i]) &&
            group->candidates[i].admin == ADMIN_READY)
            return false;
    return true;
}

/* "not drained or in maintenance", well, "breaker closed or disabled" */
static bool eligible(const struct group *group, unsigned index)
{
    return group->candidates[index].admin == ADMIN_READY && well(group, index) &&
           closed(&group->candidates[index]);
}

/* "UNKNOWN, it stays" */
static bool stays(const struct group *group, unsigned index)
{
    return group->candidates[index].admin == ADMIN_READY && closed(&group->candidates[index]) &&
           group->candidates[index].health != HEALTH_UNHEALTHY;
}

static bool half_open(const struct group *group, unsigned index)
{
    return group->candidates[index].admin == ADMIN_READY && well(group, index) &&
           group->candidates[index].breaker == BREAKER_HALF_OPEN;
}

static bool grace(const struct group *group, unsigned index)
{
    return group->candidates[index].grace_until_ns > group->now;
}

/* "the one that the operator holds, then same zone first, then the best tier, then the highest
 * weight" */
static int64_t preference(const struct group *group, int index)
{
    return (group->candidates[index].held ? 1000000000 : 0) +
           (group->candidates[index].same_zone ? 100000000 : 0) +
           10000000 * (4 - group->candidates[index].tier) + group->candidates[index].weight_milli;
}

/* "then file order", and "those in grace only when there is no other" */
static int64_t score(const struct group *group, int index)
{
    return preference(group, index) * 100 - index -
           (grace(group, (unsigned)index) ? INT64_C(1000000000000) : 0);
}

/* "rules allow it (of a held one they need not) and its grace is over" */
static bool may_take_over(const struct group *group, unsigned index, bool may_fail_back, int from)
{
    return (may_fail_back || group->candidates[index].held) && !grace(group, index) &&
           preference(group, (int)index) > preference(group, from);
}

static int highest(const struct group *group, const bool in[])
{
    int best = -1;

    for (int i = 0; i < (int)group->count; i++)
        if (in[i] && (best < 0 || score(group, i) > score(group, best)))
            best = i;
    return best;
}

static struct choice model_choose(const struct group *group, bool may_fail_back, int current)
{
    struct choice choice = {.endpoint = -1, .trial = -1};
    bool set[ENDPOINTS_MAX] = {false};
    bool known = current >= 0 && current < (int)group->count;

    if (known && stays(group, (unsigned)current)) {
        for (unsigned i = 0; i < group->count; i++)
            set[i] = eligible(group, i) && may_take_over(group, i, may_fail_back, current);
        choice.endpoint = highest(group, set);
        choice.reason = choice.endpoint < 0                       ? CHOICE_KEPT
                        : group->candidates[choice.endpoint].held ? CHOICE_MANUAL
                                                                  : CHOICE_FAILBACK;
        if (choice.endpoint < 0)
            choice.endpoint = current;
    } else {
        for (unsigned i = 0; i < group->count; i++)
            set[i] = eligible(group, i);
        choice.endpoint = highest(group, set);
        if (!known)
            choice.reason = current < 0 ? CHOICE_FIRST : CHOICE_REMOVED;
        else if (group->candidates[current].admin != ADMIN_READY)
            choice.reason = CHOICE_ADMIN;
        else if (group->candidates[current].health == HEALTH_UNHEALTHY)
            choice.reason = CHOICE_HEALTH;
        else
            choice.reason = closed(&group->candidates[current]) ? CHOICE_HEALTH : CHOICE_BREAKER;
    }
    for (unsigned i = 0; i < group->count; i++)
        set[i] = half_open(group, i) &&
                 (choice.endpoint < 0 || may_take_over(group, i, may_fail_back, choice.endpoint));
    choice.trial = highest(group, set);
    return choice;
}

static int model_next(const struct group *group, uint32_t tried, bool desperate)
{
    bool set[ENDPOINTS_MAX] = {false};
    int next;

    for (unsigned i = 0; i < group->count; i++)
        set[i] = eligible(group, i) && !(tried >> i & 1);
    next = highest(group, set);
    if (next >= 0)
        return next;
    for (unsigned i = 0; i < group->count; i++)
        set[i] = half_open(group, i) && !(tried >> i & 1);
    next = highest(group, set);
    if (next >= 0 || !desperate)
        return next;
    for (unsigned i = 0; i < group->count; i++)
        if (group->candidates[i].admin == ADMIN_READY && !(tried >> i & 1))
            return (int)i;
    return -1;
}

/* Few weights and zones, so that ties are common; most endpoints well, so that choices are. */
static void random_group(struct group *group, uint64_t *seed)
{
    unsigned trouble = 1 + unit_below(seed, 10);

    memset(group, 0, sizeof(*group));
    group->now = 1000;
    group->count = 1 + unit_below(seed, ENDPOINTS_MAX);
    for (unsigned i = 0; i < group->count; i++)
        group->candidates[i] = (struct candidate){
            .grace_until_ns = unit_below(seed, 3) ? 0 : 999 + unit_below(seed, 3),
            .weight_milli = unit_below(seed, 4) * 500,
            .health = unit_below(seed, trouble) ? HEALTH_HEALTHY : (enum health)unit_below(seed, 3),
            .breaker = unit_below(seed, trouble) ? BREAKER_CLOSED
                                                 : (enum breaker_state)unit_below(seed, 4),
            .admin = unit_below(seed, trouble + 1) ? ADMIN_READY : (enum admin)unit_below(seed, 3),
            .same_zone = unit_below(seed, 3) == 0,
            .tier = unit_below(seed, 2) ? 0 : (uint8_t)unit_below(seed, 4),
        };
    if (unit_below(seed, 4) == 0)
        group->candidates[unit_below(seed, group->count)].held = true;
}

START_TEST(choices_are_the_models)
{
    unsigned seen[CHOICE_MANUAL + 1] = {0}, trials = 0;

    for (uint64_t number = 1; number <= CASES; number++) {
        uint64_t seed = number;
        struct choice_rules rules = {STRATEGY_PRIORITY, unit_below(&seed, 4) > 0};
        struct group group;
        struct choice real, expected;
        int current;

        random_group(&group, &seed);
        current = (int)unit_below(&seed, group.count + 2) - 1;
        real = choose(&rules, group.candidates, group.count, current, group.now);
        expected = model_choose(&group, rules.failback, current);
        ck_assert_msg(real.endpoint == expected.endpoint && real.trial == expected.trial &&
                          real.reason == expected.reason,
                      "seed %llu: %d/%d/%s, expected %d/%d/%s", (unsigned long long)number,
                      real.endpoint, real.trial, choice_reason_name(real.reason), expected.endpoint,
                      expected.trial, choice_reason_name(expected.reason));
        for (unsigned i = 0; i < group.count; i++)
            ck_assert_msg(!candidate_why_not(group.candidates, group.count, i) ==
                              eligible(&group, i),
                          "seed %llu: endpoint %u", (unsigned long long)number, i);
        seen[real.reason]++;
        trials += real.trial >= 0;
    }
    for (int i = 0; i <= CHOICE_MANUAL; i++)
        ck_assert_uint_gt(seen[i], CASES / 200);
    ck_assert_uint_gt(trials, CASES / 200);
}
END_TEST

/* What spares nearly every connection a look at all endpoints must not change where it goes. */
START_TEST(unrivalled_endpoint_that_is_well_is_the_choice)
{
    unsigned kept = 0;

    for (uint64_t number = 1; number <= CASES; number++) {
        uint64_t seed = number;
        struct choice_rules rules = {STRATEGY_PRIORITY, unit_below(&seed, 4) > 0};
        struct group group;
        struct choice real;
        unsigned current;

        random_group(&group, &seed);
        if (group.count == 0)
            continue;
        current = unit_below(&seed, group.count);
        for (unsigned i = 0; i < group.count; i++)
            group.candidates[i].held = false;
        if (!choose_unrivalled(rules.strategy, group.candidates, group.count, current) ||
            !choose_keeps(&group.candidates[current]))
            continue;
        real = choose(&rules, group.candidates, group.count, (int)current, group.now);
        ck_assert_msg(real.endpoint == (int)current && real.trial == -1 &&
                          real.reason == CHOICE_KEPT,
                      "seed %llu: %d/%d/%s", (unsigned long long)number, real.endpoint, real.trial,
                      choice_reason_name(real.reason));
        kept++;
    }
    ck_assert_uint_gt(kept, CASES / 50);
}
END_TEST

START_TEST(next_ones_are_the_models_until_none_is_left)
{
    const struct choice_rules rules = {STRATEGY_PRIORITY, true};

    for (uint64_t number = 1; number <= CASES / 3; number++) {
        uint64_t seed = number;
        struct group group;
        uint32_t tried;
        bool desperate = unit_below(&seed, 2);
        int next;

        random_group(&group, &seed);
        tried = unit_below(&seed, 2) ? 0 : (uint32_t)unit_random(&seed);
        do {
            next = choose_next(&rules, group.candidates, group.count, tried, desperate, group.now);
            ck_assert_msg(next == model_next(&group, tried, desperate), "seed %llu: %d",
                          (unsigned long long)number, next);
            if (next >= 0) {
                ck_assert(!(tried >> next & 1));
                tried |= 1u << next;
            }
        } while (next >= 0);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {choices_are_the_models,
                                  unrivalled_endpoint_that_is_well_is_the_choice,
                                  next_ones_are_the_models_until_none_is_left};

    return unit_run("policy_choose_model", tests, COUNT_OF(tests));
}

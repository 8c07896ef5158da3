/*
 * The breaker against a slow and obvious model that keeps every call in an array, over random
 * rules, outcomes and times. The seed is in the message of a failure.
 */
#include "policy/breaker.h"

#include <string.h>

#include "base/clock.h"
#include "unit.h"

enum { RUNS = 400, STEPS = 600 };

struct call {
    uint64_t at_ns;
    enum outcome outcome;
    bool failed, slow;
};

struct model {
    const struct breaker_rules *rules;
    enum breaker_state kind;
    uint64_t until_ns;
    unsigned opened; /* times since it was last closed */
    unsigned successes;
    struct call calls[STEPS]; /* of this closed time */
    unsigned count;
    uint64_t tokens[BREAKER_TOKENS];
};

static void model_close(struct model *model)
{
    model->kind = BREAKER_CLOSED;
    model->opened = model->successes = model->count = 0;
}

static enum breaker_state model_state(const struct model *model, uint64_t now)
{
    if (!model->rules->enabled)
        return BREAKER_DISABLED;
    if (model->kind == BREAKER_OPEN && now >= model->until_ns)
        return BREAKER_HALF_OPEN;
    return model->kind;
}

/* How many of the latest counted calls were `outcome`, one after the other. */
static unsigned model_streak(const struct model *model, enum outcome outcome)
{
    unsigned streak = 0;

    for (unsigned i = model->count; i-- > 0;) {
        const struct call *call = &model->calls[i];

        if (call->outcome != OUTCOME_OK && !call->failed)
            continue;
        if (call->outcome != outcome)
            break;
        streak++;
    }
    return streak;
}

static bool model_in_window(const struct model *model, unsigned index, uint64_t now)
{
    uint64_t tenth = model->rules->window_ns / 10;

    if (model->rules->window_ns == 0)
        return model->count - index <= model->rules->window_calls;
    return model->calls[index].at_ns / tenth + 10 > now / tenth;
}

static enum breaker_cause model_cause(const struct model *model, uint64_t now)
{
    const struct breaker_rules *rules = model->rules;
    const struct call *last = &model->calls[model->count - 1];
    double calls = 0, failures = 0, slow = 0;

    if (last->failed && last->outcome == OUTCOME_REFUSED && rules->refused &&
        model_streak(model, OUTCOME_REFUSED) >= rules->refused)
        return CAUSE_REFUSED;
    if (last->failed && last->outcome == OUTCOME_TIMEOUT && rules->timeouts &&
        model_streak(model, OUTCOME_TIMEOUT) >= rules->timeouts)
        return CAUSE_TIMEOUTS;
    for (unsigned i = 0; i < model->count; i++)
        if (model_in_window(model, i, now)) {
            calls++;
            failures += model->calls[i].failed;
            slow += model->calls[i].slow;
        }
    if (calls < rules->min_calls)
        return CAUSE_NONE;
    if (rules->failure_rate && failures * 10000 >= calls * rules->failure_rate)
        return CAUSE_FAILURE_RATE;
    if (rules->slow_rate && slow * 10000 >= calls * rules->slow_rate)
        return CAUSE_SLOW_RATE;
    return CAUSE_NONE;
}

/* Without jitter. */
static double model_open_ns(const struct model *model)
{
    double open_ns = (double)model->rules->open_ns;

    for (unsigned i = 0; i < model->opened; i++)
        open_ns *= model->rules->open_backoff_milli / 1000.0;
    return open_ns < (double)model->rules->open_max_ns ? open_ns
                                                       : (double)model->rules->open_max_ns;
}

/* What is expected; `open_ns` is left to the caller, who knows only its bounds. */
static struct breaker_event model_record(struct model *model, enum outcome outcome,
                                         uint64_t took_ns, uint64_t now)
{
    const struct breaker_rules *rules = model->rules;
    enum breaker_state state = model_state(model, now);
    struct breaker_event event = {BREAKER_UNCHANGED, CAUSE_NONE, 0};
    bool ok = outcome == OUTCOME_OK;
    bool failed = !ok && rules->count & OUTCOME_BIT(outcome);

    if (state == BREAKER_DISABLED || outcome == OUTCOME_LOCAL)
        return event;
    if (state == BREAKER_CLOSED) {
        model->calls[model->count++] =
            (struct call){now, outcome, failed, took_ns >= rules->slow_call_ns};
        event.cause = model_cause(model, now);
        if (event.cause != CAUSE_NONE)
            event.change = BREAKER_OPENED;
    } else if (ok) {
        model->successes = model->kind == BREAKER_HALF_OPEN ? model->successes + 1 : 1;
        model->kind = BREAKER_HALF_OPEN;
        if (model->successes >= rules->half_open_successes) {
            model_close(model);
            event.change = BREAKER_RECOVERED;
        }
    } else if (failed && state == BREAKER_HALF_OPEN) {
        event.change = BREAKER_REOPENED;
        event.cause = CAUSE_TRIAL;
    }
    if (event.change == BREAKER_OPENED || event.change == BREAKER_REOPENED)
        model->kind = BREAKER_OPEN;
    return event;
}

static struct breaker_rules random_rules(uint64_t *seed)
{
    bool by_time = unit_below(seed, 2);

    return (struct breaker_rules){
        .window_ns = by_time ? (1 + unit_below(seed, 100)) * 100 * NS_PER_MS : 0,
        .window_calls = by_time ? 0 : 1 + unit_below(seed, unit_below(seed, 2) ? 20 : 512),
        .slow_call_ns = (1 + unit_below(seed, 10)) * NS_PER_MS,
        .open_ns = (1 + unit_below(seed, 3000)) * NS_PER_MS,
        .open_max_ns = (3000 + unit_below(seed, 30000)) * NS_PER_MS,
        .min_calls = 1 + unit_below(seed, 20),
        .failure_rate = unit_below(seed, 10001),
        .slow_rate = unit_below(seed, 10001),
        .refused = unit_below(seed, 6),
        .timeouts = unit_below(seed, 6),
        .open_backoff_milli = 1000 + unit_below(seed, 9001),
        .half_open_calls = 1 + unit_below(seed, BREAKER_TOKENS),
        .half_open_successes = 1 + unit_below(seed, 5),
        .count = unit_below(seed, 4) ? 0x1e : unit_below(seed, 32),
        .enabled = unit_below(seed, 50) > 0,
    };
}

static void step_record(struct breaker *breaker, struct model *model, unsigned share_ok,
                        uint64_t now, uint64_t run, uint64_t *seed)
{
    bool ok = unit_below(seed, 100) < share_ok;
    enum outcome outcome = ok ? OUTCOME_OK : (enum outcome)(1 + unit_below(seed, OUTCOME_LOCAL));
    uint64_t took = unit_below(seed, 12) * NS_PER_MS;
    double open_ns = model_open_ns(model);
    uint32_t random = (uint32_t)unit_random(seed);
    struct breaker_event real = {BREAKER_UNCHANGED, CAUSE_NONE, 0};
    struct breaker_event expected = model_record(model, outcome, took, now);

    /* As a connection does, or without a look at how common it is. */
    if (!ok || random % 2 || !breaker_record_calm(breaker, model->rules, took, now))
        real = breaker_record(breaker, model->rules, outcome, took, now, random);

    ck_assert_msg(real.change == expected.change && real.cause == expected.cause,
                  "seed %llu: %s gave %d/%d, expected %d/%d", (unsigned long long)run,
                  outcome_name(outcome), real.change, real.cause, expected.change, expected.cause);
    if (model->kind == BREAKER_OPEN && expected.change != BREAKER_UNCHANGED) {
        ck_assert_msg((double)real.open_ns > open_ns * 0.8999 - 1 &&
                          (double)real.open_ns < open_ns * 1.1001 + NS_PER_MS,
                      "seed %llu: open for %llu, expected about %.0f", (unsigned long long)run,
                      (unsigned long long)real.open_ns, open_ns);
        model->until_ns = now + real.open_ns;
        model->opened++;
        model->successes = 0;
    }
}

static unsigned tokens_taken(const struct model *model, uint64_t now)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < BREAKER_TOKENS; i++)
        taken += model->tokens[i] > now;
    return taken;
}

/* Takes a token, and gives it back in one of two cases; else it dies with its time. */
static void step_trial(struct breaker *breaker, struct model *model, uint64_t now, uint64_t run,
                       uint64_t *seed)
{
    uint64_t hold = (1 + unit_below(seed, 2000)) * NS_PER_MS;
    bool expected = model_state(model, now) == BREAKER_HALF_OPEN &&
                    tokens_taken(model, now) < model->rules->half_open_calls;
    unsigned token;
    bool taken = breaker_trial_begin(breaker, model->rules, now, hold, &token);

    ck_assert_msg(taken == expected, "seed %llu: token %d, expected %d", (unsigned long long)run,
                  taken, expected);
    if (taken && unit_below(seed, 2)) {
        breaker_trial_end(breaker, token);
    } else if (taken) {
        unsigned i = 0;

        while (model->tokens[i] > now)
            i++;
        model->tokens[i] = now + hold;
    }
}

static unsigned run_once(uint64_t run)
{
    static struct model model;
    struct breaker breaker;
    uint64_t seed = run;
    struct breaker_rules rules = random_rules(&seed);
    uint64_t now = unit_random(&seed) >> 14; /* up to 13 days of uptime */
    unsigned share_ok = unit_below(&seed, 101);
    uint64_t pause = (uint64_t)1 << (10 + unit_below(&seed, 21)); /* 1 us to 1 s */
    unsigned transitions = 0;

    memset(&breaker, 0, sizeof(breaker));
    memset(&model, 0, sizeof(model));
    model.rules = &rules;
    for (unsigned step = 0; step < STEPS; step++) {
        enum breaker_state before = model_state(&model, now);
        uint64_t remaining;

        now += unit_random(&seed) % pause;
        if (unit_below(&seed, 100) == 0)
            share_ok = unit_below(&seed, 101);
        if (unit_below(&seed, 50) == 0)
            now += unit_below(&seed, 20000) * NS_PER_MS;
        if (unit_below(&seed, 300) == 0) {
            breaker_reset(&breaker);
            model_close(&model);
            memset(model.tokens, 0, sizeof(model.tokens));
        } else if (unit_below(&seed, 8) == 0) {
            step_trial(&breaker, &model, now, run, &seed);
        } else {
            step_record(&breaker, &model, share_ok, now, run, &seed);
        }
        ck_assert_msg(breaker_state(&breaker, &rules, now) == model_state(&model, now),
                      "seed %llu step %u: %s, expected %s", (unsigned long long)run, step,
                      breaker_state_name(breaker_state(&breaker, &rules, now)),
                      breaker_state_name(model_state(&model, now)));
        remaining = model_state(&model, now) == BREAKER_OPEN ? model.until_ns - now : 0;
        ck_assert_uint_eq(breaker_remaining_ns(&breaker, &rules, now), remaining);
        transitions += before != model_state(&model, now);
    }
    return transitions;
}

START_TEST(the_breaker_does_as_the_model)
{
    unsigned transitions = 0;

    for (uint64_t run = 1; run <= RUNS; run++)
        transitions += run_once(run);
    ck_assert_uint_gt(transitions, RUNS * 20); /* the runs are about something */
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {the_breaker_does_as_the_model};

    return unit_run("policy_breaker_model", tests, COUNT_OF(tests));
}

/* The breaker's rules one by one, on a simulated clock. */
#include "policy/breaker.h"

#include <string.h>

#include "base/clock.h"
#include "policy/window.h"
#include "unit.h"

enum {
    ALL_FAILURES = OUTCOME_BIT(OUTCOME_REFUSED) | OUTCOME_BIT(OUTCOME_TIMEOUT) |
                   OUTCOME_BIT(OUTCOME_RESET) | OUTCOME_BIT(OUTCOME_UNREACHABLE)
};
static const uint32_t middle = UINT32_C(1) << 31; /* as a random number: no jitter */

static struct breaker breaker;
static struct breaker_rules rules;
static uint64_t now;

/* The defaults of the configuration. */
static void set_up(void)
{
    memset(&breaker, 0, sizeof(breaker));
    rules = (struct breaker_rules){
        .window_ns = 10 * NS_PER_S,
        .slow_call_ns = NS_PER_S,
        .open_ns = NS_PER_S,
        .open_max_ns = 30 * NS_PER_S,
        .min_calls = 5,
        .failure_rate = 5000,
        .slow_rate = 10000,
        .refused = 2,
        .timeouts = 2,
        .open_backoff_milli = 2000,
        .half_open_calls = 1,
        .half_open_successes = 2,
        .count = ALL_FAILURES,
        .enabled = 1,
    };
    now = 1000 * NS_PER_S;
}

static struct breaker_event record_took(enum outcome outcome, uint64_t took_ns)
{
    return breaker_record(&breaker, &rules, outcome, took_ns, now, middle);
}

static struct breaker_event record(enum outcome outcome)
{
    return record_took(outcome, NS_PER_MS);
}

static enum breaker_state state(void)
{
    return breaker_state(&breaker, &rules, now);
}

static void assert_event(struct breaker_event event, enum breaker_change change,
                         enum breaker_cause cause, uint64_t open_ns)
{
    ck_assert_int_eq(event.change, change);
    ck_assert_int_eq(event.cause, cause);
    ck_assert_uint_eq(event.open_ns, open_ns);
}

static void trip(void)
{
    record(OUTCOME_REFUSED);
    assert_event(record(OUTCOME_REFUSED), BREAKER_OPENED, CAUSE_REFUSED, NS_PER_S);
}

START_TEST(a_zeroed_breaker_is_closed)
{
    set_up();
    ck_assert_int_eq(state(), BREAKER_CLOSED);
    ck_assert_uint_eq(breaker_remaining_ns(&breaker, &rules, now), 0);
}
END_TEST

START_TEST(consecutive_refusals_open_it)
{
    set_up();
    assert_event(record(OUTCOME_REFUSED), BREAKER_UNCHANGED, CAUSE_NONE, 0);
    ck_assert_int_eq(state(), BREAKER_CLOSED);
    assert_event(record(OUTCOME_REFUSED), BREAKER_OPENED, CAUSE_REFUSED, NS_PER_S);
    ck_assert_int_eq(state(), BREAKER_OPEN);
}
END_TEST

START_TEST(consecutive_timeouts_open_it)
{
    set_up();
    record(OUTCOME_TIMEOUT);
    assert_event(record(OUTCOME_TIMEOUT), BREAKER_OPENED, CAUSE_TIMEOUTS, NS_PER_S);
}
END_TEST

START_TEST(any_other_counted_outcome_restarts_a_streak)
{
    static const enum outcome others[] = {OUTCOME_OK, OUTCOME_TIMEOUT, OUTCOME_RESET,
                                          OUTCOME_UNREACHABLE};

    for (size_t i = 0; i < COUNT_OF(others); i++) {
        set_up();
        rules.failure_rate = 0;
        record(OUTCOME_REFUSED);
        record(others[i]);
        record(OUTCOME_REFUSED);
        ck_assert_msg(state() == BREAKER_CLOSED, "%s", outcome_name(others[i]));
        record(OUTCOME_REFUSED);
        ck_assert_int_eq(state(), BREAKER_OPEN);
    }
}
END_TEST

START_TEST(local_and_uncounted_outcomes_break_no_streak)
{
    set_up();
    rules.count = OUTCOME_BIT(OUTCOME_REFUSED);
    record(OUTCOME_REFUSED);
    record(OUTCOME_LOCAL);
    record(OUTCOME_TIMEOUT);
    assert_event(record(OUTCOME_REFUSED), BREAKER_OPENED, CAUSE_REFUSED, NS_PER_S);
}
END_TEST

START_TEST(a_limit_of_zero_never_trips)
{
    set_up();
    rules.refused = rules.timeouts = rules.failure_rate = rules.slow_rate = 0;
    for (int i = 0; i < 1000; i++)
        record_took(i % 2 ? OUTCOME_REFUSED : OUTCOME_TIMEOUT, 5 * NS_PER_S);
    for (int i = 0; i < 1000; i++)
        record_took(OUTCOME_REFUSED, 5 * NS_PER_S);
    ck_assert_int_eq(state(), BREAKER_CLOSED);
}
END_TEST

START_TEST(the_failure_rate_counts_from_min_calls_on)
{
    set_up();
    record(OUTCOME_RESET);
    record(OUTCOME_RESET);
    record(OUTCOME_RESET);
    record(OUTCOME_RESET);
    ck_assert_int_eq(state(), BREAKER_CLOSED);
    assert_event(record(OUTCOME_RESET), BREAKER_OPENED, CAUSE_FAILURE_RATE, NS_PER_S);
}
END_TEST

START_TEST(the_failure_rate_trips_at_its_exact_share)
{
    set_up();
    for (int i = 0; i < 10; i++)
        record(OUTCOME_OK);
    for (int i = 0; i < 9; i++)
        record(OUTCOME_RESET);
    ck_assert_int_eq(state(), BREAKER_CLOSED); /* 9 of 19 */
    assert_event(record(OUTCOME_RESET), BREAKER_OPENED, CAUSE_FAILURE_RATE, NS_PER_S);
}
END_TEST

START_TEST(uncounted_failures_are_calls_without_failure)
{
    set_up();
    rules.count = OUTCOME_BIT(OUTCOME_RESET);
    for (int i = 0; i < 5; i++)
        record(OUTCOME_UNREACHABLE);
    for (int i = 0; i < 4; i++)
        record(OUTCOME_RESET);
    ck_assert_int_eq(state(), BREAKER_CLOSED); /* 4 of 9 */
    record(OUTCOME_RESET);
    ck_assert_int_eq(state(), BREAKER_OPEN);
}
END_TEST

START_TEST(slow_calls_open_it)
{
    set_up();
    for (int i = 0; i < 4; i++)
        record_took(OUTCOME_OK, NS_PER_S);
    ck_assert_int_eq(state(), BREAKER_CLOSED);
    assert_event(record_took(OUTCOME_OK, NS_PER_S), BREAKER_OPENED, CAUSE_SLOW_RATE, NS_PER_S);

    set_up();
    for (int i = 0; i < 100; i++)
        record_took(OUTCOME_OK, i ? NS_PER_S : NS_PER_S - 1);
    ck_assert_int_eq(state(), BREAKER_CLOSED); /* 99 of 100, and the rate is all */
}
END_TEST

START_TEST(calls_leave_a_time_window)
{
    set_up();
    for (int i = 0; i < 4; i++)
        record(OUTCOME_RESET);
    now += 9 * NS_PER_S - 1; /* the last tenth of the window is still there */
    ck_assert_uint_eq(window_sum(&breaker, &rules, 0, now).failures, 4);
    now += NS_PER_S + 1;
    ck_assert_uint_eq(window_sum(&breaker, &rules, 0, now).failures, 0);
    record(OUTCOME_RESET);
    ck_assert_int_eq(state(), BREAKER_CLOSED);
}
END_TEST

START_TEST(calls_leave_a_count_window)
{
    set_up();
    rules.window_ns = 0;
    rules.window_calls = 10;
    for (int i = 0; i < 4; i++)
        record(OUTCOME_RESET);
    ck_assert_uint_eq(window_sum(&breaker, &rules, 0, now).calls, 4);
    breaker_reset(&breaker);
    rules.failure_rate = 10000;
    for (int i = 0; i < 7; i++)
        record(i < 4 ? OUTCOME_RESET : OUTCOME_OK);
    for (int i = 0; i < 7; i++)
        record(OUTCOME_OK);
    now += 3600 * NS_PER_S; /* time has no say */
    ck_assert_uint_eq(window_sum(&breaker, &rules, 1, now).calls, 10);
    ck_assert_uint_eq(window_sum(&breaker, &rules, 1, now).failures, 0);
}
END_TEST

START_TEST(the_largest_count_window_holds_every_call)
{
    set_up();
    rules.window_ns = 0;
    rules.window_calls = BREAKER_WINDOW_CALLS;
    for (int i = 0; i < 2 * BREAKER_WINDOW_CALLS; i++) {
        struct window_counts counts;

        window_add(&breaker, &rules, 0, i % 3 == 0, i % 2 == 0, now);
        counts = window_sum(&breaker, &rules, 0, now);
        ck_assert_uint_eq(counts.calls, i < BREAKER_WINDOW_CALLS ? i + 1 : BREAKER_WINDOW_CALLS);
    }
    ck_assert_uint_eq(window_sum(&breaker, &rules, 0, now).failures, 171);
    ck_assert_uint_eq(window_sum(&breaker, &rules, 0, now).slow, 256);
}
END_TEST

START_TEST(a_reload_that_changes_the_window_empties_it)
{
    set_up();
    rules.window_ns = 0;
    rules.window_calls = 100;
    window_add(&breaker, &rules, 0, true, true, now);
    rules.window_calls = 10;
    ck_assert_uint_eq(window_sum(&breaker, &rules, 0, now).calls, 0);
    window_add(&breaker, &rules, 0, true, true, now);
    ck_assert_uint_eq(window_sum(&breaker, &rules, 0, now).failures, 1);

    rules.window_ns = NS_PER_S; /* from counting calls to time, and back */
    ck_assert_uint_eq(window_sum(&breaker, &rules, 0, now).calls, 0);
    window_add(&breaker, &rules, 0, true, true, now);
    ck_assert_uint_eq(window_sum(&breaker, &rules, 0, now).failures, 1);
    rules.window_ns = 0;
    ck_assert_uint_eq(window_sum(&breaker, &rules, 0, now).calls, 0);
}
END_TEST

START_TEST(a_corrupt_ring_is_an_empty_window)
{
    set_up();
    rules.window_ns = 0;
    rules.window_calls = 100;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t place = i ? 100 : 5, held = i ? 5 : 101; /* both one past the most */

        store_relaxed(&breaker.calls, UINT64_C(100) << 32 | held << 16 | place);
        ck_assert_uint_eq(window_sum(&breaker, &rules, 0, now).calls, 0);
        window_add(&breaker, &rules, 0, true, false, now);
        ck_assert_uint_eq(window_sum(&breaker, &rules, 0, now).failures, 1);
    }
}
END_TEST

START_TEST(a_full_tenth_counts_no_further)
{
    set_up();
    for (unsigned i = 0; i < (1u << 24) + 5; i++)
        window_add(&breaker, &rules, 0, false, false, now);
    ck_assert_uint_eq(window_sum(&breaker, &rules, 0, now).calls, (1u << 24) - 1);
}
END_TEST

START_TEST(no_rule_and_no_word_leads_out_of_bounds)
{
    uint64_t seed = 5;

    /* Sanitizers watch; the result is anything. */
    for (int i = 0; i < 20000; i++) {
        uint64_t *words = (uint64_t *)&breaker;
        unsigned token = (unsigned)unit_random(&seed);

        set_up();
        rules.window_ns = i % 3 ? 0 : unit_random(&seed) >> (i % 64);
        rules.window_calls = (uint32_t)unit_random(&seed) >> (i % 32);
        rules.half_open_calls = (uint32_t)unit_random(&seed);
        rules.half_open_successes = (uint32_t)unit_random(&seed);
        for (size_t j = 0; j < sizeof(breaker) / 8; j++)
            words[j] = unit_random(&seed);
        now = unit_random(&seed);
        record_took((enum outcome)unit_below(&seed, OUTCOME_COUNTED), unit_random(&seed));
        ck_assert_int_le(state(), BREAKER_HALF_OPEN);
        breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &token);
        breaker_trial_end(&breaker, token);
    }
}
END_TEST

START_TEST(open_lasts_its_time_and_reads_half_open_then)
{
    set_up();
    trip();
    ck_assert_uint_eq(breaker_remaining_ns(&breaker, &rules, now), NS_PER_S);
    now += NS_PER_S - 1;
    ck_assert_int_eq(state(), BREAKER_OPEN);
    ck_assert_uint_eq(breaker_remaining_ns(&breaker, &rules, now), 1);
    now += 1;
    ck_assert_int_eq(state(), BREAKER_HALF_OPEN);
    ck_assert_uint_eq(breaker_remaining_ns(&breaker, &rules, now), 0);
}
END_TEST

START_TEST(failures_while_open_change_nothing)
{
    set_up();
    trip();
    for (int i = 0; i < 100; i++)
        assert_event(record(OUTCOME_REFUSED), BREAKER_UNCHANGED, CAUSE_NONE, 0);
    ck_assert_uint_eq(breaker_remaining_ns(&breaker, &rules, now), NS_PER_S);
}
END_TEST

START_TEST(enough_half_open_successes_close_it)
{
    set_up();
    trip();
    now += NS_PER_S;
    assert_event(record(OUTCOME_OK), BREAKER_UNCHANGED, CAUSE_NONE, 0);
    ck_assert_int_eq(state(), BREAKER_HALF_OPEN);
    assert_event(record(OUTCOME_OK), BREAKER_RECOVERED, CAUSE_NONE, 0);
    ck_assert_int_eq(state(), BREAKER_CLOSED);
}
END_TEST

START_TEST(a_success_while_open_is_the_first_half_open_one)
{
    set_up();
    trip();
    assert_event(record(OUTCOME_OK), BREAKER_UNCHANGED, CAUSE_NONE, 0);
    ck_assert_int_eq(state(), BREAKER_HALF_OPEN);
    assert_event(record(OUTCOME_OK), BREAKER_RECOVERED, CAUSE_NONE, 0);

    set_up();
    rules.half_open_successes = 1;
    trip();
    assert_event(record(OUTCOME_OK), BREAKER_RECOVERED, CAUSE_NONE, 0);
}
END_TEST

START_TEST(a_failed_trial_opens_it_for_longer_up_to_the_most)
{
    static const uint64_t seconds[] = {2, 4, 8, 16, 30, 30, 30};

    set_up();
    trip();
    for (size_t i = 0; i < COUNT_OF(seconds); i++) {
        now += breaker_remaining_ns(&breaker, &rules, now);
        record(OUTCOME_OK); /* one success is not enough, and the next failure voids it */
        assert_event(record(OUTCOME_RESET), BREAKER_REOPENED, CAUSE_TRIAL, seconds[i] * NS_PER_S);
    }
}
END_TEST

START_TEST(uncounted_failures_are_no_trial)
{
    set_up();
    rules.count = OUTCOME_BIT(OUTCOME_REFUSED);
    trip();
    now += NS_PER_S;
    record(OUTCOME_TIMEOUT);
    record(OUTCOME_LOCAL);
    ck_assert_int_eq(state(), BREAKER_HALF_OPEN);
    record(OUTCOME_OK);
    record(OUTCOME_TIMEOUT);
    ck_assert_int_eq(record(OUTCOME_OK).change, BREAKER_RECOVERED);
}
END_TEST

START_TEST(a_recovered_breaker_has_forgotten)
{
    set_up();
    rules.half_open_successes = 1;
    for (int i = 0; i < 600; i++) { /* more often than a generation has numbers */
        trip();
        now += NS_PER_S;
        record(OUTCOME_OK);
        assert_event(record(OUTCOME_REFUSED), BREAKER_UNCHANGED, CAUSE_NONE, 0);
        record(OUTCOME_OK);
    }
}
END_TEST

START_TEST(the_open_time_is_jittered_by_a_tenth)
{
    uint64_t least = UINT64_MAX, most = 0, seed = 3;

    for (int i = 0; i < 1000; i++) {
        struct breaker_event event;

        set_up();
        record(OUTCOME_REFUSED);
        event =
            breaker_record(&breaker, &rules, OUTCOME_REFUSED, 0, now, (uint32_t)unit_random(&seed));
        least = event.open_ns < least ? event.open_ns : least;
        most = event.open_ns > most ? event.open_ns : most;
    }
    ck_assert(least >= 900 * NS_PER_MS && least < 910 * NS_PER_MS);
    ck_assert(most <= 1100 * NS_PER_MS && most > 1090 * NS_PER_MS);
}
END_TEST

START_TEST(an_open_time_ends_on_a_whole_millisecond)
{
    set_up();
    now += 1;
    record(OUTCOME_REFUSED);
    assert_event(record(OUTCOME_REFUSED), BREAKER_OPENED, CAUSE_REFUSED, NS_PER_S + NS_PER_MS - 1);
}
END_TEST

START_TEST(disabled_rules_admit_everything_and_record_nothing)
{
    unsigned token;

    set_up();
    rules.enabled = 0;
    for (int i = 0; i < 100; i++)
        assert_event(record(OUTCOME_REFUSED), BREAKER_UNCHANGED, CAUSE_NONE, 0);
    ck_assert_int_eq(state(), BREAKER_DISABLED);
    ck_assert(!breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &token));
    rules.enabled = 1;
    ck_assert_int_eq(state(), BREAKER_CLOSED);
    record(OUTCOME_REFUSED);
    ck_assert_int_eq(state(), BREAKER_CLOSED);
}
END_TEST

START_TEST(a_reset_closes_it_and_frees_its_tokens)
{
    unsigned token;

    set_up();
    trip();
    now += NS_PER_S;
    record(OUTCOME_RESET);
    now += 2 * NS_PER_S;
    ck_assert(breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &token));
    breaker_reset(&breaker);
    ck_assert_int_eq(state(), BREAKER_CLOSED);
    trip(); /* after two refusals again, and for the first open time */
    now += NS_PER_S;
    ck_assert(breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &token));
}
END_TEST

START_TEST(trials_are_for_half_open_alone)
{
    unsigned token;

    set_up();
    ck_assert(!breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &token));
    trip();
    ck_assert(!breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &token));
    now += NS_PER_S;
    ck_assert(breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &token));
}
END_TEST

START_TEST(the_host_has_half_open_calls_tokens)
{
    unsigned tokens[BREAKER_TOKENS], none;

    for (unsigned calls = 1; calls <= BREAKER_TOKENS; calls++) {
        set_up();
        rules.half_open_calls = calls;
        trip();
        now += NS_PER_S;
        for (unsigned i = 0; i < calls; i++)
            ck_assert(breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &tokens[i]));
        ck_assert(!breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &none));
        breaker_trial_end(&breaker, tokens[calls - 1]);
        ck_assert(breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &none));
        ck_assert(!breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &none));
    }
}
END_TEST

START_TEST(a_dead_holders_token_comes_back)
{
    unsigned token;

    set_up();
    trip();
    now += NS_PER_S;
    ck_assert(breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &token));
    now += NS_PER_S - 1;
    ck_assert(!breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &token));
    now += 1;
    ck_assert(breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &token));
}
END_TEST

START_TEST(a_late_holder_gives_back_nothing_of_the_next)
{
    unsigned late, next, none;

    set_up();
    trip();
    now += NS_PER_S;
    ck_assert(breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &late));
    now += NS_PER_S;
    ck_assert(breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &next));
    breaker_trial_end(&breaker, late);
    ck_assert(!breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &none));
    breaker_trial_end(&breaker, next);
    ck_assert(breaker_trial_begin(&breaker, &rules, now, NS_PER_S, &none));
}
END_TEST

START_TEST(states_and_causes_have_names)
{
    ck_assert_str_eq(breaker_state_name(BREAKER_CLOSED), "closed");
    ck_assert_str_eq(breaker_state_name(BREAKER_OPEN), "open");
    ck_assert_str_eq(breaker_state_name(BREAKER_HALF_OPEN), "half-open");
    ck_assert_str_eq(breaker_state_name(BREAKER_DISABLED), "disabled");
    for (int a = CAUSE_NONE; a <= CAUSE_TRIAL; a++)
        for (int b = CAUSE_NONE; b < a; b++)
            ck_assert_str_ne(breaker_cause_name((enum breaker_cause)a),
                             breaker_cause_name((enum breaker_cause)b));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_zeroed_breaker_is_closed,
        consecutive_refusals_open_it,
        consecutive_timeouts_open_it,
        any_other_counted_outcome_restarts_a_streak,
        local_and_uncounted_outcomes_break_no_streak,
        a_limit_of_zero_never_trips,
        the_failure_rate_counts_from_min_calls_on,
        the_failure_rate_trips_at_its_exact_share,
        uncounted_failures_are_calls_without_failure,
        slow_calls_open_it,
        calls_leave_a_time_window,
        calls_leave_a_count_window,
        the_largest_count_window_holds_every_call,
        a_reload_that_changes_the_window_empties_it,
        a_corrupt_ring_is_an_empty_window,
        a_full_tenth_counts_no_further,
        no_rule_and_no_word_leads_out_of_bounds,
        open_lasts_its_time_and_reads_half_open_then,
        failures_while_open_change_nothing,
        enough_half_open_successes_close_it,
        a_success_while_open_is_the_first_half_open_one,
        a_failed_trial_opens_it_for_longer_up_to_the_most,
        uncounted_failures_are_no_trial,
        a_recovered_breaker_has_forgotten,
        the_open_time_is_jittered_by_a_tenth,
        an_open_time_ends_on_a_whole_millisecond,
        disabled_rules_admit_everything_and_record_nothing,
        a_reset_closes_it_and_frees_its_tokens,
        trials_are_for_half_open_alone,
        the_host_has_half_open_calls_tokens,
        a_dead_holders_token_comes_back,
        a_late_holder_gives_back_nothing_of_the_next,
        states_and_causes_have_names,
    };

    return unit_run("policy_breaker", tests, COUNT_OF(tests));
}

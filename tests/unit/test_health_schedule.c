/* When checks start and what their probes add up to, in simulated time. */
#include "base/clock.h"
#include "health/schedule.h"
#include "unit.h"

#define MS NS_PER_MS
#define T0 (1000 * NS_PER_S)

static struct health_rules rules_of(unsigned probes)
{
    return (struct health_rules){
        .interval_ns = 1000 * MS,
        .fast_interval_ns = 200 * MS,
        .timeout_ns = 500 * MS,
        .gap_ns = 50 * MS,
        .fall = 2,
        .rise = 2,
        .probes = probes,
        .enabled = 1,
        .policy = PROBES_ALL,
    };
}

static struct schedule schedule_of(const struct health_rules *rules)
{
    struct schedule schedule;

    schedule_init(&schedule, rules, T0);
    return schedule;
}

static struct probe_result result(enum probe_outcome outcome, uint64_t rtt_ns)
{
    return (struct probe_result){
        .outcome = outcome,
        .cause = outcome == PROBE_FAILED ? CHECK_TIMEOUT : CHECK_FINE,
        .rtt_ns = rtt_ns,
    };
}

static bool finish(struct schedule *schedule, enum probe_outcome outcome, struct check *check)
{
    struct probe_result finished = result(outcome, MS);

    return schedule_finished(schedule, &finished, check);
}

START_TEST(the_first_check_is_due_when_it_was_said)
{
    struct health_rules rules = rules_of(1);
    struct schedule schedule = schedule_of(&rules);

    ck_assert_uint_eq(schedule_due_ns(&schedule), T0);
}
END_TEST

START_TEST(settled_checks_are_an_interval_apart_from_start_to_start)
{
    struct health_rules rules = rules_of(1);
    struct schedule schedule = schedule_of(&rules);
    struct check check;

    schedule_started(&schedule, T0, 1);
    ck_assert(finish(&schedule, PROBE_PASSED, &check)); /* however late the answer came */
    schedule_settled(&schedule);

    ck_assert(check.passed);
    ck_assert_uint_eq(check.started_ns, T0);
    ck_assert_uint_eq(schedule_due_ns(&schedule), T0 + 1000 * MS);
}
END_TEST

START_TEST(an_unanswered_check_is_followed_fast)
{
    struct health_rules rules = rules_of(1);
    struct schedule schedule = schedule_of(&rules);

    schedule_started(&schedule, T0, 1);
    ck_assert_uint_eq(schedule_due_ns(&schedule), T0 + 200 * MS);
    schedule_started(&schedule, T0 + 200 * MS, 1);
    ck_assert_uint_eq(schedule_due_ns(&schedule), T0 + 400 * MS);
}
END_TEST

START_TEST(a_failed_check_and_one_not_settled_are_followed_fast)
{
    static const enum probe_outcome outcomes[] = {PROBE_FAILED, PROBE_PASSED};
    struct health_rules rules = rules_of(1);

    for (size_t i = 0; i < COUNT_OF(outcomes); i++) {
        struct schedule schedule = schedule_of(&rules);
        struct check check;

        schedule_started(&schedule, T0, 1);
        ck_assert(finish(&schedule, outcomes[i], &check));
        ck_assert_int_eq(check.passed, outcomes[i] == PROBE_PASSED);
        ck_assert_uint_eq(schedule_due_ns(&schedule), T0 + 200 * MS);
    }
}
END_TEST

START_TEST(a_fast_interval_longer_than_the_interval_does_not_count)
{
    struct health_rules rules = rules_of(1);
    struct schedule schedule;

    rules.fast_interval_ns = 5000 * MS;
    schedule = schedule_of(&rules);
    schedule_started(&schedule, T0, 1);
    ck_assert_uint_eq(schedule_due_ns(&schedule), T0 + 1000 * MS);
}
END_TEST

START_TEST(results_belong_to_the_oldest_check_under_way)
{
    struct health_rules rules = rules_of(1);
    struct schedule schedule = schedule_of(&rules);
    struct check check;

    for (unsigned i = 0; i < 3; i++)
        schedule_started(&schedule, T0 + i * 200 * MS, 1);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(finish(&schedule, PROBE_FAILED, &check));
        ck_assert_uint_eq(check.started_ns, T0 + i * 200 * MS);
        ck_assert_int_eq(check.cause, CHECK_TIMEOUT);
    }
    ck_assert(!finish(&schedule, PROBE_FAILED, &check));
}
END_TEST

START_TEST(an_old_answer_does_not_slow_down_while_a_newer_check_is_unanswered)
{
    struct health_rules rules = rules_of(1);
    struct schedule schedule = schedule_of(&rules);
    struct check check;

    schedule_started(&schedule, T0, 1);
    schedule_started(&schedule, T0 + 200 * MS, 1);
    ck_assert(finish(&schedule, PROBE_PASSED, &check));
    schedule_settled(&schedule);
    ck_assert_uint_eq(schedule_due_ns(&schedule), T0 + 400 * MS);
}
END_TEST

START_TEST(the_probes_of_a_check_start_a_gap_apart)
{
    struct health_rules rules = rules_of(3);
    struct schedule schedule = schedule_of(&rules);

    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(schedule_due_ns(&schedule), T0 + i * 50 * MS);
        schedule_started(&schedule, T0 + i * 50 * MS, 1);
    }
    ck_assert_uint_eq(schedule_due_ns(&schedule), T0 + 200 * MS);
}
END_TEST

START_TEST(all_three_probes_must_pass)
{
    struct health_rules rules = rules_of(3);
    struct schedule schedule = schedule_of(&rules);
    struct check check;

    for (unsigned i = 0; i < 3; i++) {
        schedule_started(&schedule, T0 + i * 50 * MS, 1);
        ck_assert_int_eq(finish(&schedule, PROBE_PASSED, &check), i == 2);
    }
    ck_assert(check.passed);
    ck_assert_uint_eq(check.started_ns, T0);
}
END_TEST

START_TEST(a_decided_check_starts_no_more_probes)
{
    struct health_rules rules = rules_of(3);
    struct schedule schedule = schedule_of(&rules);
    struct check check;

    schedule_started(&schedule, T0, 1);
    ck_assert(finish(&schedule, PROBE_FAILED, &check));
    ck_assert(!check.passed);
    ck_assert_uint_eq(schedule_due_ns(&schedule), T0 + 200 * MS);
    schedule_started(&schedule, T0 + 200 * MS, 1);
    ck_assert(finish(&schedule, PROBE_FAILED, &check));
    ck_assert_uint_eq(check.started_ns, T0 + 200 * MS);
}
END_TEST

START_TEST(late_probes_of_a_decided_check_change_nothing)
{
    struct health_rules rules = rules_of(2);
    struct schedule schedule;
    struct check check;

    rules.gap_ns = 0;
    rules.policy = PROBES_ANY;
    schedule = schedule_of(&rules);
    schedule_started(&schedule, T0, 1);
    schedule_started(&schedule, T0, 1);
    schedule_started(&schedule, T0 + 200 * MS, 1); /* the next check */
    schedule_started(&schedule, T0 + 200 * MS, 1);
    ck_assert(finish(&schedule, PROBE_PASSED, &check));
    ck_assert(!finish(&schedule, PROBE_FAILED, &check));
    ck_assert(finish(&schedule, PROBE_PASSED, &check));
    ck_assert_uint_eq(check.started_ns, T0 + 200 * MS);
}
END_TEST

START_TEST(a_void_probe_makes_its_check_void)
{
    struct health_rules rules = rules_of(2);
    struct schedule schedule;
    struct check check;

    rules.gap_ns = 0;
    schedule = schedule_of(&rules);
    schedule_started(&schedule, T0, 1);
    schedule_started(&schedule, T0, 1);
    ck_assert(!finish(&schedule, PROBE_VOID, &check));
    ck_assert(!finish(&schedule, PROBE_FAILED, &check));
    schedule_started(&schedule, T0 + 200 * MS, 1);
    schedule_started(&schedule, T0 + 200 * MS, 1);
    ck_assert(!finish(&schedule, PROBE_PASSED, &check));
    ck_assert(finish(&schedule, PROBE_PASSED, &check));
    ck_assert(check.passed);
}
END_TEST

START_TEST(the_slowest_answer_is_the_round_trip)
{
    static const uint64_t rtts[] = {3 * MS, 9 * MS, 5 * MS};
    struct health_rules rules = rules_of(3);
    struct schedule schedule = schedule_of(&rules);
    struct check check = {0};

    for (unsigned i = 0; i < COUNT_OF(rtts); i++) {
        struct probe_result finished = result(PROBE_PASSED, rtts[i]);

        schedule_started(&schedule, T0, 1);
        schedule_finished(&schedule, &finished, &check);
    }
    ck_assert_uint_eq(check.rtt_ns, 9 * MS);
}
END_TEST

START_TEST(a_hint_makes_a_check_due_at_once)
{
    struct health_rules rules = rules_of(1);
    struct schedule schedule = schedule_of(&rules);
    struct check check;

    schedule_started(&schedule, T0, 1);
    finish(&schedule, PROBE_PASSED, &check);
    schedule_settled(&schedule);
    schedule_hint(&schedule, T0 + 8 * MS, T0 + 10 * MS);
    ck_assert_uint_eq(schedule_due_ns(&schedule), T0 + 10 * MS);
}
END_TEST

START_TEST(a_hint_older_than_the_last_check_asks_for_no_other)
{
    struct health_rules rules = rules_of(1);
    struct schedule schedule = schedule_of(&rules);

    schedule_started(&schedule, T0, 1);
    schedule_hint(&schedule, T0, T0 + 10 * MS);
    ck_assert_uint_eq(schedule_due_ns(&schedule), T0 + 200 * MS);
}
END_TEST

START_TEST(hints_bring_forward_as_many_checks_as_a_verdict_needs)
{
    struct health_rules rules = rules_of(1);
    struct schedule schedule = schedule_of(&rules);

    for (unsigned i = 0; i < rules.fall; i++) {
        uint64_t now = T0 + i * 50 * MS;

        schedule_hint(&schedule, now, now);
        ck_assert_uint_eq(schedule_due_ns(&schedule), now);
        schedule_started(&schedule, now, 1);
    }
    schedule_hint(&schedule, T0 + 100 * MS, T0 + 100 * MS);
    ck_assert_uint_eq(schedule_due_ns(&schedule), T0 + 250 * MS);
}
END_TEST

START_TEST(a_hint_leaves_the_gap_between_probes)
{
    struct health_rules rules = rules_of(3);
    struct schedule schedule = schedule_of(&rules);

    schedule_started(&schedule, T0, 1);
    schedule_hint(&schedule, T0 + 10 * MS, T0 + 10 * MS);
    ck_assert_uint_eq(schedule_due_ns(&schedule), T0 + 50 * MS);
}
END_TEST

START_TEST(a_server_that_always_hangs_up_is_checked_at_fast_intervals)
{
    struct health_rules rules = rules_of(1);
    struct schedule schedule = schedule_of(&rules);
    struct check check;

    schedule_started(&schedule, T0, 1);
    finish(&schedule, PROBE_PASSED, &check);
    schedule_settled(&schedule);
    schedule_disconnected(&schedule, T0 + 10 * MS);
    ck_assert_uint_eq(schedule_due_ns(&schedule), T0 + 200 * MS);

    schedule_settled(&schedule);
    schedule_disconnected(&schedule, T0 + 700 * MS);
    ck_assert_uint_eq(schedule_due_ns(&schedule), T0 + 700 * MS);
}
END_TEST

START_TEST(jitter_stays_within_its_share)
{
    struct health_rules rules = rules_of(1);
    struct schedule schedule;
    uint64_t seed = 7, least = UINT64_MAX, most = 0, start = T0;
    struct check check;

    rules.jitter = 500; /* 5 % */
    schedule = schedule_of(&rules);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t pause;

        schedule_started(&schedule, start, (uint32_t)unit_random(&seed));
        finish(&schedule, PROBE_PASSED, &check);
        schedule_settled(&schedule);
        pause = schedule_due_ns(&schedule) - start;
        start = schedule_due_ns(&schedule);
        least = pause < least ? pause : least;
        most = pause > most ? pause : most;
    }
    ck_assert_uint_ge(least, 950 * MS);
    ck_assert_uint_le(most, 1050 * MS);
    ck_assert_uint_gt(most - least, 50 * MS);
}
END_TEST

/* fall = 2: the time from the last answer to the verdict, without any hint. */
START_TEST(a_frozen_server_fails_its_second_check_in_time)
{
    struct health_rules rules = rules_of(1);
    struct schedule schedule = schedule_of(&rules);
    uint64_t deadlines[PROBES_IN_FLIGHT], now = T0;
    unsigned started = 0, finished = 0, failed = 0;
    struct check check;

    schedule_started(&schedule, T0, 1);
    finish(&schedule, PROBE_PASSED, &check);
    schedule_settled(&schedule);
    while (failed < 2) {
        bool expires = finished < started && deadlines[finished] <= schedule_due_ns(&schedule);

        now = expires ? deadlines[finished] : schedule_due_ns(&schedule);
        if (expires) {
            finished++;
            failed += finish(&schedule, PROBE_FAILED, &check);
        } else {
            schedule_started(&schedule, now, 1);
            deadlines[started++] = now + rules.timeout_ns;
        }
    }
    /* interval + fast_interval + timeout */
    ck_assert_uint_eq(now, T0 + 1700 * MS);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_first_check_is_due_when_it_was_said,
        settled_checks_are_an_interval_apart_from_start_to_start,
        an_unanswered_check_is_followed_fast,
        a_failed_check_and_one_not_settled_are_followed_fast,
        a_fast_interval_longer_than_the_interval_does_not_count,
        results_belong_to_the_oldest_check_under_way,
        an_old_answer_does_not_slow_down_while_a_newer_check_is_unanswered,
        the_probes_of_a_check_start_a_gap_apart,
        all_three_probes_must_pass,
        a_decided_check_starts_no_more_probes,
        late_probes_of_a_decided_check_change_nothing,
        a_void_probe_makes_its_check_void,
        the_slowest_answer_is_the_round_trip,
        a_hint_makes_a_check_due_at_once,
        a_hint_older_than_the_last_check_asks_for_no_other,
        hints_bring_forward_as_many_checks_as_a_verdict_needs,
        a_hint_leaves_the_gap_between_probes,
        a_server_that_always_hangs_up_is_checked_at_fast_intervals,
        jitter_stays_within_its_share,
        a_frozen_server_fails_its_second_check_in_time,
    };

    return unit_run("health schedule", tests, COUNT_OF(tests));
}

/* From checks to verdicts: single rules, and a model that knows the whole history. */
#include "policy/verdict.h"

#include <string.h>

#include "unit.h"

#define NS_PER_MS UINT64_C(1000000)

static const struct health_rules rules = {
    .interval_ns = 1000 * NS_PER_MS,
    .fast_interval_ns = 200 * NS_PER_MS,
    .fall = 3,
    .rise = 2,
    .probes = 1,
};

static struct verdict passed(struct verdict before)
{
    return verdict_after(before, &rules, true, CHECK_FINE);
}

static struct verdict failed(struct verdict before)
{
    return verdict_after(before, &rules, false, CHECK_TIMEOUT);
}

START_TEST(first_check_decides)
{
    struct verdict none = {0};

    ck_assert_int_eq(passed(none).health, HEALTH_HEALTHY);
    ck_assert_int_eq(failed(none).health, HEALTH_UNHEALTHY);
    ck_assert_uint_eq(failed(none).changes, 1);
    ck_assert_int_eq(failed(none).cause, CHECK_TIMEOUT);
}
END_TEST

START_TEST(fall_failed_checks_in_a_row_make_it_unhealthy)
{
    struct verdict verdict = failed(failed(passed((struct verdict){0})));

    ck_assert_int_eq(verdict.health, HEALTH_HEALTHY);
    ck_assert_int_eq(failed(verdict).health, HEALTH_UNHEALTHY);
    ck_assert_uint_eq(failed(verdict).changes, 2);
}
END_TEST

START_TEST(passed_check_between_starts_the_count_anew)
{
    struct verdict verdict = failed(failed(passed((struct verdict){0})));

    verdict = failed(failed(passed(verdict)));
    ck_assert_int_eq(verdict.health, HEALTH_HEALTHY);
}
END_TEST

START_TEST(rise_passed_checks_in_a_row_bring_it_back)
{
    struct verdict verdict = passed(failed((struct verdict){0}));

    ck_assert_int_eq(verdict.health, HEALTH_UNHEALTHY);
    ck_assert_int_eq(passed(verdict).health, HEALTH_HEALTHY);
}
END_TEST

START_TEST(a_role_is_believed_at_once)
{
    struct verdict verdict = {.health = HEALTH_HEALTHY};

    verdict = verdict_after(verdict, &rules, false, CHECK_IS_REPLICA);
    ck_assert_int_eq(verdict.health, HEALTH_UNHEALTHY);
    verdict = verdict_after(verdict, &rules, true, CHECK_FINE);
    ck_assert_int_eq(verdict.health, HEALTH_HEALTHY);
    /* Unlike anything that may pass by itself. */
    verdict = verdict_after(verdict, &rules, false, CHECK_LINK_DOWN);
    ck_assert_int_eq(verdict.health, HEALTH_HEALTHY);
}
END_TEST

START_TEST(long_rows_do_not_wrap)
{
    struct verdict verdict = {0};

    for (int i = 0; i < 1000; i++)
        verdict = passed(verdict);
    ck_assert_uint_eq(verdict.rose, 255);
    ck_assert_uint_eq(verdict.changes, 1);
}
END_TEST

/* Whatever the settings ask for, and in whatever order results come. */
START_TEST(model_that_remembers_everything_agrees)
{
    enum { LENGTH = 600 };
    uint64_t seed = 20260101;

    for (int round = 0; round < 300; round++) {
        struct health_rules some = {
            .fall = 1 + unit_below(&seed, round % 3 ? 5 : 255),
            .rise = 1 + unit_below(&seed, round % 3 ? 5 : 255),
        };
        struct verdict verdict = {0};
        bool results[LENGTH];
        enum health model = HEALTH_UNKNOWN;
        unsigned luck = 1 + unit_below(&seed, 40);
        bool now = true;
        uint16_t changes = 0;

        for (unsigned i = 0; i < LENGTH; i++) {
            enum health before = model;
            unsigned row = 0;

            if (unit_below(&seed, luck) == 0)
                now = !now;
            results[i] = now;
            while (row <= i && results[i - row] == now)
                row++;
            if (model == HEALTH_UNKNOWN)
                model = now ? HEALTH_HEALTHY : HEALTH_UNHEALTHY;
            else if (row >= (now ? some.rise : some.fall))
                model = now ? HEALTH_HEALTHY : HEALTH_UNHEALTHY;
            changes += model != before;

            verdict = verdict_after(verdict, &some, now, CHECK_FINE);
            ck_assert_int_eq(verdict.health, model);
            ck_assert_uint_eq(verdict.changes, changes);
        }
    }
}
END_TEST

START_TEST(word_keeps_all_parts)
{
    struct verdict verdict = {
        .epoch = 0xfedc,
        .changes = 0xba98,
        .fell = 0x76,
        .rose = 0x54,
        .cause = CHECK_BUSY,
        .health = HEALTH_UNHEALTHY,
    };
    struct verdict back = verdict_unpack(verdict_pack(verdict));

    ck_assert(memcmp(&back, &verdict, sizeof(back)) == 0);
    ck_assert_int_eq(verdict_unpack(0).health, HEALTH_UNKNOWN);
    ck_assert_int_eq(verdict_unpack(UINT64_MAX).health, HEALTH_UNKNOWN);
}
END_TEST

START_TEST(every_cause_has_its_own_words_and_they_fit_an_event)
{
    for (int a = 0; a < CHECK_CAUSES; a++) {
        const char *text = check_cause_text((enum check_cause)a);

        ck_assert_str_ne(text, "unknown");
        ck_assert_uint_lt(strlen(text), 72);
        for (int b = 0; b < a; b++)
            ck_assert_str_ne(text, check_cause_text((enum check_cause)b));
    }
    ck_assert_str_eq(check_cause_text((enum check_cause)200), "unknown");
}
END_TEST

static int of_probes(enum probe_policy policy, unsigned probes, unsigned pass, unsigned fail)
{
    struct health_rules some = {.probes = probes, .policy = (uint8_t)policy};

    return verdict_of_probes(&some, pass, fail);
}

START_TEST(probes_are_counted_as_the_policy_says)
{
    ck_assert_int_eq(of_probes(PROBES_ALL, 3, 2, 0), -1);
    ck_assert_int_eq(of_probes(PROBES_ALL, 3, 3, 0), 1);
    ck_assert_int_eq(of_probes(PROBES_ALL, 3, 0, 1), 0);
    ck_assert_int_eq(of_probes(PROBES_ANY, 3, 0, 2), -1);
    ck_assert_int_eq(of_probes(PROBES_ANY, 3, 1, 0), 1);
    ck_assert_int_eq(of_probes(PROBES_ANY, 3, 0, 3), 0);
    ck_assert_int_eq(of_probes(PROBES_MAJORITY, 3, 1, 1), -1);
    ck_assert_int_eq(of_probes(PROBES_MAJORITY, 3, 2, 0), 1);
    ck_assert_int_eq(of_probes(PROBES_MAJORITY, 3, 0, 2), 0);
    /* Half is no majority. */
    ck_assert_int_eq(of_probes(PROBES_MAJORITY, 4, 2, 1), -1);
    ck_assert_int_eq(of_probes(PROBES_MAJORITY, 4, 2, 2), 0);
    ck_assert_int_eq(of_probes(PROBES_ALL, 0, 1, 0), 1);
}
END_TEST

START_TEST(all_results_in_decide_under_every_policy)
{
    for (unsigned probes = 1; probes <= 16; probes++)
        for (unsigned pass = 0; pass <= probes; pass++)
            for (int policy = PROBES_ALL; policy <= PROBES_MAJORITY; policy++)
                ck_assert_int_ge(of_probes((enum probe_policy)policy, probes, pass, probes - pass),
                                 0);
}
END_TEST

START_TEST(failed_or_unanswered_check_is_followed_sooner)
{
    struct health_rules slow = rules;

    ck_assert_uint_eq(verdict_next_check_ns(&rules, true, 0), 1000 * NS_PER_MS);
    ck_assert_uint_eq(verdict_next_check_ns(&rules, false, 0), 200 * NS_PER_MS);
    slow.fast_interval_ns = 5000 * NS_PER_MS;
    ck_assert_uint_eq(verdict_next_check_ns(&slow, false, 0), 1000 * NS_PER_MS);
}
END_TEST

START_TEST(next_check_is_jittered_and_never_at_once)
{
    struct health_rules some = rules;

    some.jitter = 500;
    ck_assert_uint_eq(verdict_next_check_ns(&some, true, 0), 950 * NS_PER_MS);
    ck_assert_uint_gt(verdict_next_check_ns(&some, true, UINT32_MAX), 1049 * NS_PER_MS);
    some.interval_ns = 0;
    ck_assert_uint_ge(verdict_next_check_ns(&some, true, 0), NS_PER_MS);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        first_check_decides,
        fall_failed_checks_in_a_row_make_it_unhealthy,
        passed_check_between_starts_the_count_anew,
        rise_passed_checks_in_a_row_bring_it_back,
        a_role_is_believed_at_once,
        long_rows_do_not_wrap,
        model_that_remembers_everything_agrees,
        word_keeps_all_parts,
        every_cause_has_its_own_words_and_they_fit_an_event,
        probes_are_counted_as_the_policy_says,
        all_results_in_decide_under_every_policy,
        failed_or_unanswered_check_is_followed_sooner,
        next_check_is_jittered_and_never_at_once,
    };

    return unit_run("policy_verdict", tests, COUNT_OF(tests));
}

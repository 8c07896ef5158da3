#include "policy/choose.h"

#include <string.h>

#include "unit.h"

static const struct choice_rules failback = {STRATEGY_PRIORITY, true};
static const struct choice_rules no_failback = {STRATEGY_PRIORITY, false};
static const uint64_t now = 1000;

enum { EAST, WEST, SOUTH, COUNT };
static struct candidate group[COUNT]; /* weights 1.0, 0.5, 0.5 */

static void set_up(void)
{
    for (int i = 0; i < COUNT; i++)
        group[i] = (struct candidate){.health = HEALTH_HEALTHY, .weight_milli = i ? 500 : 1000};
}

static void assert_choice(const struct choice_rules *rules, int current, int endpoint, int trial,
                          enum choice_reason reason)
{
    struct choice choice = choose(rules, group, COUNT, current, now);

    ck_assert_int_eq(choice.endpoint, endpoint);
    ck_assert_int_eq(choice.trial, trial);
    ck_assert_str_eq(choice_reason_name(choice.reason), choice_reason_name(reason));
}

START_TEST(the_highest_weight_is_first)
{
    set_up();
    assert_choice(&failback, -1, EAST, -1, CHOICE_FIRST);
    group[SOUTH].weight_milli = 2000;
    assert_choice(&failback, -1, SOUTH, -1, CHOICE_FIRST);
}
END_TEST

START_TEST(a_better_tier_ranks_before_weight)
{
    set_up();
    group[EAST].tier = 1;
    group[SOUTH].tier = 2;
    assert_choice(&failback, -1, WEST, -1, CHOICE_FIRST);
    assert_choice(&failback, SOUTH, WEST, -1, CHOICE_FAILBACK);
    group[WEST].health = HEALTH_UNHEALTHY;
    assert_choice(&failback, WEST, EAST, -1, CHOICE_HEALTH);
    group[SOUTH].same_zone = true;
    assert_choice(&failback, WEST, SOUTH, -1, CHOICE_HEALTH);
}
END_TEST

START_TEST(the_same_zone_ranks_before_weight)
{
    set_up();
    group[WEST].same_zone = true;
    assert_choice(&failback, -1, WEST, -1, CHOICE_FIRST);
    assert_choice(&failback, EAST, WEST, -1, CHOICE_FAILBACK);
}
END_TEST

START_TEST(ties_keep_the_current_then_file_order)
{
    set_up();
    group[EAST].weight_milli = 500;
    assert_choice(&failback, -1, EAST, -1, CHOICE_FIRST);
    assert_choice(&failback, SOUTH, SOUTH, -1, CHOICE_KEPT);
}
END_TEST

START_TEST(first_goes_by_file_order)
{
    static const struct choice_rules first = {.strategy = STRATEGY_FIRST, .failback = true};

    set_up();
    group[SOUTH].weight_milli = 9000;
    assert_choice(&first, -1, EAST, -1, CHOICE_FIRST);
    assert_choice(&first, SOUTH, EAST, -1, CHOICE_FAILBACK);
    group[EAST].health = HEALTH_UNHEALTHY;
    assert_choice(&first, EAST, WEST, -1, CHOICE_HEALTH);
    ck_assert(choose_unrivalled(STRATEGY_FIRST, group, COUNT, EAST));
    ck_assert(!choose_unrivalled(STRATEGY_FIRST, group, COUNT, WEST));
}
END_TEST

START_TEST(command_goes_by_the_programs_ranks)
{
    static const struct choice_rules command = {.strategy = STRATEGY_COMMAND, .failback = true};

    set_up();
    group[WEST].rank = 2;
    group[SOUTH].rank = 1;
    assert_choice(&command, -1, SOUTH, -1, CHOICE_FIRST);
    assert_choice(&command, EAST, SOUTH, -1, CHOICE_FAILBACK);
    group[SOUTH].health = HEALTH_UNHEALTHY;
    assert_choice(&command, SOUTH, WEST, -1, CHOICE_HEALTH);
    ck_assert(!choose_unrivalled(STRATEGY_COMMAND, group, COUNT, SOUTH));
}
END_TEST

static void set_latencies(uint32_t east_us, uint32_t west_us, uint32_t south_us)
{
    set_up();
    group[EAST].latency_us = east_us;
    group[WEST].latency_us = west_us;
    group[SOUTH].latency_us = south_us;
}

START_TEST(faster_means_a_quarter_and_two_milliseconds)
{
    static const struct {
        uint32_t east_us, west_us, south_us;
        int faster_than_east;
    } rows[] = {
        {20000, 15000, 0, WEST},     /* a quarter */
        {20000, 15001, 0, -1},       /* less than a quarter */
        {7000, 5250, 0, -1},         /* a quarter, and not two milliseconds */
        {8000, 6000, 0, WEST},       /* both */
        {20000, 15000, 9000, SOUTH}, /* the fastest */
        {0, 100, 100, -1},           /* nobody knows how slow */
        {900, 100, 100, -1},         /* what nobody notices */
        {UINT32_MAX, 1, 0, WEST},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        set_latencies(rows[i].east_us, rows[i].west_us, rows[i].south_us);
        ck_assert_msg(choose_faster(group, COUNT, EAST, now) == rows[i].faster_than_east, "row %zu",
                      i);
    }
    set_latencies(20000, 1000, 1000);
    group[WEST].health = HEALTH_UNHEALTHY;
    group[SOUTH].grace_until_ns = now + 1;
    ck_assert_int_eq(choose_faster(group, COUNT, EAST, now), -1);
    set_latencies(20000, 1000, 2000);
    group[EAST].same_zone = group[SOUTH].same_zone = true;
    ck_assert_int_eq(choose_faster(group, COUNT, EAST, now), SOUTH);
    ck_assert_int_eq(choose_faster(group, COUNT, -1, now), -1);
    ck_assert_int_eq(choose_faster(group, COUNT, COUNT, now), -1);
}
END_TEST

START_TEST(latency_stays_until_somebody_has_proved_faster)
{
    struct choice_rules latency = {.strategy = STRATEGY_LATENCY,
                                   .failback = true,
                                   .challenger = -1};

    set_latencies(20000, 9000, 1000);
    assert_choice(&latency, -1, SOUTH, -1, CHOICE_FIRST);
    assert_choice(&latency, EAST, EAST, -1, CHOICE_KEPT);
    latency.challenger = SOUTH;
    assert_choice(&latency, EAST, SOUTH, -1, CHOICE_FAILBACK);
    latency.failback = false;
    assert_choice(&latency, EAST, EAST, -1, CHOICE_KEPT);
    latency.failback = true;
    group[SOUTH].health = HEALTH_UNHEALTHY;
    assert_choice(&latency, EAST, EAST, -1, CHOICE_KEPT);
    group[EAST].breaker = BREAKER_OPEN;
    assert_choice(&latency, EAST, WEST, -1, CHOICE_BREAKER);
    group[WEST].latency_us = 0; /* not known: after all that are */
    group[SOUTH].health = HEALTH_HEALTHY;
    assert_choice(&latency, EAST, SOUTH, -1, CHOICE_BREAKER);
}
END_TEST

START_TEST(whatever_makes_the_current_ineligible_moves_the_host)
{
    set_up();
    group[EAST].health = HEALTH_UNHEALTHY;
    assert_choice(&failback, EAST, WEST, -1, CHOICE_HEALTH);
    set_up();
    group[EAST].breaker = BREAKER_OPEN;
    assert_choice(&failback, EAST, WEST, -1, CHOICE_BREAKER);
    set_up();
    group[EAST].admin = ADMIN_DRAIN;
    assert_choice(&failback, EAST, WEST, -1, CHOICE_ADMIN);
    group[EAST].admin = ADMIN_MAINT;
    assert_choice(&failback, EAST, WEST, -1, CHOICE_ADMIN);
    set_up();
    assert_choice(&failback, COUNT, EAST, -1, CHOICE_REMOVED);
}
END_TEST

START_TEST(failback_goes_to_the_better_one_when_allowed_and_out_of_grace)
{
    set_up();
    assert_choice(&failback, WEST, EAST, -1, CHOICE_FAILBACK);
    assert_choice(&no_failback, WEST, WEST, -1, CHOICE_KEPT);
    group[EAST].grace_until_ns = now + 1;
    assert_choice(&failback, WEST, WEST, -1, CHOICE_KEPT);
    group[EAST].grace_until_ns = now;
    assert_choice(&failback, WEST, EAST, -1, CHOICE_FAILBACK);
}
END_TEST

START_TEST(one_in_grace_is_chosen_when_there_is_no_other)
{
    set_up();
    group[EAST].grace_until_ns = now + 1;
    assert_choice(&failback, -1, WEST, -1, CHOICE_FIRST);
    group[WEST].health = group[SOUTH].health = HEALTH_UNHEALTHY;
    assert_choice(&failback, WEST, EAST, -1, CHOICE_HEALTH);
    group[WEST].health = HEALTH_HEALTHY;
    assert_choice(&failback, EAST, EAST, -1, CHOICE_KEPT); /* and stays then */
}
END_TEST

START_TEST(unknown_health_is_good_enough_while_nothing_is_healthy)
{
    set_up();
    for (int i = 0; i < COUNT; i++)
        group[i].health = HEALTH_UNKNOWN;
    assert_choice(&failback, -1, EAST, -1, CHOICE_FIRST);
    group[SOUTH].health = HEALTH_HEALTHY;
    assert_choice(&failback, -1, SOUTH, -1, CHOICE_FIRST);
    group[SOUTH].admin = ADMIN_DRAIN; /* it serves nobody: no reason to spurn the others */
    assert_choice(&failback, SOUTH, EAST, -1, CHOICE_ADMIN);
}
END_TEST

/* Of two that are checked for the first time one answers first. */
START_TEST(an_endpoint_in_use_is_not_left_because_its_health_is_unknown)
{
    set_up();
    group[EAST].health = HEALTH_UNKNOWN;
    assert_choice(&failback, EAST, EAST, -1, CHOICE_KEPT);
    assert_choice(&failback, WEST, WEST, -1, CHOICE_KEPT); /* nor taken up again for it */
    group[EAST].breaker = BREAKER_OPEN;
    assert_choice(&failback, EAST, WEST, -1, CHOICE_BREAKER);
}
END_TEST

START_TEST(one_that_the_operator_holds_is_used_while_it_is_well)
{
    set_up();
    group[WEST].held = true;
    assert_choice(&failback, EAST, WEST, -1, CHOICE_MANUAL);
    assert_choice(&no_failback, EAST, WEST, -1, CHOICE_MANUAL);
    assert_choice(&failback, WEST, WEST, -1, CHOICE_KEPT);
    group[WEST].health = HEALTH_UNHEALTHY;
    assert_choice(&failback, WEST, EAST, -1, CHOICE_HEALTH);
    group[WEST].health = HEALTH_HEALTHY;
    group[WEST].grace_until_ns = now + 1;
    assert_choice(&failback, EAST, EAST, -1, CHOICE_KEPT);
    group[WEST].grace_until_ns = now;
    assert_choice(&failback, EAST, WEST, -1, CHOICE_MANUAL);
    group[WEST].held = false;
    assert_choice(&failback, WEST, EAST, -1, CHOICE_FAILBACK);
    assert_choice(&no_failback, WEST, WEST, -1, CHOICE_KEPT);
}
END_TEST

START_TEST(a_disabled_breaker_admits)
{
    set_up();
    group[EAST].breaker = BREAKER_DISABLED;
    assert_choice(&failback, EAST, EAST, -1, CHOICE_KEPT);
}
END_TEST

START_TEST(nothing_eligible_is_no_choice)
{
    set_up();
    for (int i = 0; i < COUNT; i++)
        group[i].breaker = BREAKER_OPEN;
    assert_choice(&failback, EAST, -1, -1, CHOICE_BREAKER);
    ck_assert_int_eq(choose(&failback, group, 0, -1, now).endpoint, -1);
}
END_TEST

START_TEST(a_half_open_endpoint_that_would_take_over_gets_a_trial)
{
    set_up();
    group[EAST].breaker = BREAKER_HALF_OPEN;
    assert_choice(&failback, EAST, WEST, EAST, CHOICE_BREAKER);
    assert_choice(&failback, WEST, WEST, EAST, CHOICE_KEPT);
    assert_choice(&no_failback, WEST, WEST, -1, CHOICE_KEPT);
    group[EAST].grace_until_ns = now + 1;
    assert_choice(&failback, WEST, WEST, -1, CHOICE_KEPT);
}
END_TEST

START_TEST(a_half_open_endpoint_that_would_not_take_over_gets_none)
{
    set_up();
    group[WEST].breaker = BREAKER_HALF_OPEN;
    assert_choice(&failback, EAST, EAST, -1, CHOICE_KEPT);
    group[EAST].breaker = BREAKER_OPEN;
    assert_choice(&failback, SOUTH, SOUTH, -1, CHOICE_KEPT); /* a tie */
}
END_TEST

START_TEST(any_half_open_endpoint_gets_a_trial_when_nothing_is_eligible)
{
    set_up();
    for (int i = 0; i < COUNT; i++)
        group[i].breaker = BREAKER_OPEN;
    group[SOUTH].breaker = BREAKER_HALF_OPEN;
    group[SOUTH].grace_until_ns = now + 1;
    assert_choice(&no_failback, EAST, -1, SOUTH, CHOICE_BREAKER);
    group[SOUTH].admin = ADMIN_DRAIN;
    assert_choice(&no_failback, EAST, -1, -1, CHOICE_BREAKER);
}
END_TEST

START_TEST(a_call_tries_the_eligible_then_the_half_open_then_the_rest)
{
    static const int orders[2][COUNT + 1] = {{WEST, SOUTH, EAST, -1}, {WEST, SOUTH, -1, -1}};

    for (int i = 0; i < 2; i++) {
        uint32_t tried = 0;

        set_up();
        group[EAST].breaker = BREAKER_OPEN;
        group[SOUTH].breaker = BREAKER_HALF_OPEN;
        for (int j = 0; j <= COUNT; j++) {
            int next = choose_next(&failback, group, COUNT, tried, i == 0, now);

            ck_assert_int_eq(next, orders[i][j]);
            if (next >= 0)
                tried |= 1u << next;
        }
    }
}
END_TEST

START_TEST(the_last_resort_goes_by_file_order_and_respects_the_operator)
{
    set_up();
    for (int i = 0; i < COUNT; i++)
        group[i].health = HEALTH_UNHEALTHY;
    group[EAST].admin = ADMIN_DRAIN;
    group[SOUTH].weight_milli = 9000;
    ck_assert_int_eq(choose_next(&failback, group, COUNT, 0, false, now), -1);
    ck_assert_int_eq(choose_next(&failback, group, COUNT, 0, true, now), WEST);
    ck_assert_int_eq(choose_next(&failback, group, COUNT, 1u << WEST, true, now), SOUTH);
    ck_assert_int_eq(choose_next(&failback, group, COUNT, 1u << WEST | 1u << SOUTH, true, now), -1);
}
END_TEST

START_TEST(each_ineligible_endpoint_has_its_reason)
{
    static const struct {
        struct candidate candidate;
        const char *why_not;
    } rows[] = {
        {{.health = HEALTH_HEALTHY, .admin = ADMIN_DRAIN, .breaker = BREAKER_OPEN}, "drained"},
        {{.health = HEALTH_HEALTHY, .admin = ADMIN_MAINT}, "in maintenance"},
        {{.health = HEALTH_UNHEALTHY, .breaker = BREAKER_OPEN}, "unhealthy"},
        {{.health = HEALTH_UNKNOWN}, "health unknown while another endpoint is healthy"},
        {{.health = HEALTH_HEALTHY, .breaker = BREAKER_OPEN}, "breaker open"},
        {{.health = HEALTH_HEALTHY, .breaker = BREAKER_HALF_OPEN}, "breaker half-open"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        set_up();
        group[WEST] = rows[i].candidate;
        ck_assert_ptr_null(candidate_why_not(group, COUNT, EAST));
        ck_assert_str_eq(candidate_why_not(group, COUNT, WEST), rows[i].why_not);
    }
}
END_TEST

START_TEST(reasons_have_the_names_of_events)
{
    ck_assert_str_eq(choice_reason_name(CHOICE_KEPT), "kept");
    ck_assert_str_eq(choice_reason_name(CHOICE_FIRST), "start");
    ck_assert_str_eq(choice_reason_name(CHOICE_HEALTH), "health-check");
    ck_assert_str_eq(choice_reason_name(CHOICE_BREAKER), "breaker");
    ck_assert_str_eq(choice_reason_name(CHOICE_FAILBACK), "failback");
    ck_assert_str_eq(choice_reason_name(CHOICE_ADMIN), "drained");
    ck_assert_str_eq(choice_reason_name(CHOICE_REMOVED), "removed");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_highest_weight_is_first,
        a_better_tier_ranks_before_weight,
        the_same_zone_ranks_before_weight,
        ties_keep_the_current_then_file_order,
        first_goes_by_file_order,
        command_goes_by_the_programs_ranks,
        faster_means_a_quarter_and_two_milliseconds,
        latency_stays_until_somebody_has_proved_faster,
        whatever_makes_the_current_ineligible_moves_the_host,
        failback_goes_to_the_better_one_when_allowed_and_out_of_grace,
        one_in_grace_is_chosen_when_there_is_no_other,
        unknown_health_is_good_enough_while_nothing_is_healthy,
        an_endpoint_in_use_is_not_left_because_its_health_is_unknown,
        one_that_the_operator_holds_is_used_while_it_is_well,
        a_disabled_breaker_admits,
        nothing_eligible_is_no_choice,
        a_half_open_endpoint_that_would_take_over_gets_a_trial,
        a_half_open_endpoint_that_would_not_take_over_gets_none,
        any_half_open_endpoint_gets_a_trial_when_nothing_is_eligible,
        a_call_tries_the_eligible_then_the_half_open_then_the_rest,
        the_last_resort_goes_by_file_order_and_respects_the_operator,
        each_ineligible_endpoint_has_its_reason,
        reasons_have_the_names_of_events,
    };

    return unit_run("policy_choose", tests, COUNT_OF(tests));
}

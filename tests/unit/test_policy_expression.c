/* all(), any(), majority() of checks, and the role that is wanted besides. */
#include "policy/expression.h"

#include <string.h>

#include "unit.h"

#define U HEALTH_UNKNOWN
#define H HEALTH_HEALTHY
#define D HEALTH_UNHEALTHY

static const struct {
    enum probe_policy op;
    unsigned count, required;
    enum health parts[5];
    enum health is;
} rows[] = {
    {PROBES_ALL, 1, 0, {H}, H},
    {PROBES_ALL, 1, 0, {D}, D},
    {PROBES_ALL, 1, 0, {U}, U},
    {PROBES_ALL, 3, 0, {H, H, H}, H},
    {PROBES_ALL, 3, 0, {H, U, H}, U},
    {PROBES_ALL, 3, 0, {U, D, U}, D},
    {PROBES_ANY, 3, 0, {D, D, H}, H},
    {PROBES_ANY, 3, 0, {D, U, D}, U},
    {PROBES_ANY, 3, 0, {D, D, D}, D},
    {PROBES_MAJORITY, 3, 0, {H, H, D}, H},
    {PROBES_MAJORITY, 3, 0, {H, D, U}, U},
    {PROBES_MAJORITY, 3, 0, {D, D, U}, D},
    {PROBES_MAJORITY, 4, 0, {H, H, D, D}, D},
    {PROBES_MAJORITY, 4, 0, {H, H, H, D}, H},
    {PROBES_MAJORITY, 2, 0, {H, D}, D},
    /* the last one must hold whatever the others say */
    {PROBES_ANY, 3, 1, {H, D, D}, D},
    {PROBES_ANY, 3, 1, {H, D, U}, U},
    {PROBES_ANY, 3, 1, {D, H, H}, H},
    {PROBES_ANY, 3, 1, {D, D, H}, D},
    {PROBES_ALL, 1, 1, {H}, H},
    {PROBES_ALL, 1, 1, {D}, D},
};

START_TEST(verdicts_add_up)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct checklist list = {
            .op = rows[i].op,
            .count = (uint8_t)rows[i].count,
            .required = (uint8_t)rows[i].required,
        };

        ck_assert_msg(checklist_health(&list, rows[i].parts) == rows[i].is, "row %zu", i);
    }
}
END_TEST

START_TEST(who_wants_a_role_and_only_pings_asks_for_the_role)
{
    struct health_rules rules = {
        .probe = {.count = 1, .checks = {CHECK_BUILT_IN | PROBE_PING}},
        .role = ROLE_MASTER,
    };
    struct checklist list = checklist_of_health(&rules);

    ck_assert_uint_eq(list.count, 1);
    ck_assert_uint_eq(list.checks[0], CHECK_BUILT_IN | PROBE_ROLE);
    rules.role = ROLE_ANY;
    list = checklist_of_health(&rules);
    ck_assert_uint_eq(list.count, 1);
    ck_assert_uint_eq(list.checks[0], CHECK_BUILT_IN | PROBE_PING);
}
END_TEST

START_TEST(a_wanted_role_is_one_check_more)
{
    struct health_rules rules = {
        .probe = {.op = PROBES_ANY, .count = 2, .checks = {3, CHECK_BUILT_IN | PROBE_TCP}},
        .role = ROLE_REPLICA,
    };
    struct checklist list = checklist_of_health(&rules);

    ck_assert_uint_eq(list.op, PROBES_ANY);
    ck_assert_uint_eq(list.count, 3);
    ck_assert_uint_eq(list.required, 1);
    ck_assert_uint_eq(list.checks[2], CHECK_BUILT_IN | PROBE_ROLE);
}
END_TEST

START_TEST(numbers_from_a_corrupt_segment_are_bounded)
{
    struct health_rules rules = {.role = ROLE_MASTER};

    memset(&rules.probe, 0xff, sizeof(rules.probe));
    ck_assert_uint_eq(checklist_of_health(&rules).count, EXPRESSION_MAX + 1);
    ck_assert_uint_eq(checklist_of_gate(&rules.probe).count, EXPRESSION_MAX);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        verdicts_add_up,
        who_wants_a_role_and_only_pings_asks_for_the_role,
        a_wanted_role_is_one_check_more,
        numbers_from_a_corrupt_segment_are_bounded,
    };

    return unit_run("policy_expression", tests, COUNT_OF(tests));
}

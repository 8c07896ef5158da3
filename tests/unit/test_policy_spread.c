#include "policy/spread.h"

#include "policy/choose.h"
#include "unit.h"

enum { COUNT = 4, ALL = 0xf, TURNS = 8000 };

static const enum strategy spreading[] = {STRATEGY_ROUND_ROBIN, STRATEGY_RANDOM, STRATEGY_WEIGHTED,
                                          STRATEGY_LEAST_CONNECTIONS};

static struct candidate group[COUNT];

static void start(void)
{
    for (int i = 0; i < COUNT; i++)
        group[i] =
            (struct candidate){.health = HEALTH_HEALTHY, .weight_milli = 1000, .ramp = RAMP_WHOLE};
}

static void count_turns(enum strategy strategy, uint32_t set, unsigned seen[static COUNT])
{
    for (int i = 0; i < COUNT; i++)
        seen[i] = 0;
    for (uint64_t turn = 1; turn <= TURNS; turn++) {
        int picked = spread_pick(strategy, group, COUNT, set, turn);

        ck_assert_int_ge(picked, 0);
        ck_assert(set & 1u << picked);
        seen[picked]++;
    }
}

/* Pearson's statistic of COUNT parts, against `parts` of a whole. */
static double chi_square(const unsigned seen[static COUNT], const double parts[static COUNT])
{
    double sum = 0;

    for (int i = 0; i < COUNT; i++) {
        double expected = parts[i] * TURNS;

        sum += (seen[i] - expected) * (seen[i] - expected) / expected;
    }
    return sum;
}

START_TEST(nobody_is_picked_from_nothing)
{
    start();
    for (size_t i = 0; i < COUNT_OF(spreading); i++)
        ck_assert_int_eq(spread_pick(spreading[i], group, COUNT, 0, 7), -1);
}
END_TEST

START_TEST(only_those_in_the_set_are_picked)
{
    unsigned seen[COUNT];

    start();
    for (size_t i = 0; i < COUNT_OF(spreading); i++) {
        count_turns(spreading[i], 0x5, seen);
        ck_assert_uint_eq(seen[1] + seen[3], 0);
        ck_assert_uint_gt(seen[0], TURNS / 3);
        ck_assert_uint_gt(seen[2], TURNS / 3);
    }
}
END_TEST

START_TEST(round_robin_takes_one_after_the_other)
{
    start();
    for (uint64_t turn = 0; turn < 3 * COUNT; turn++)
        ck_assert_int_eq(spread_pick(STRATEGY_ROUND_ROBIN, group, COUNT, ALL, turn),
                         (int)(turn % COUNT));
}
END_TEST

START_TEST(random_is_even_and_in_no_order)
{
    static const double even[COUNT] = {0.25, 0.25, 0.25, 0.25};
    unsigned seen[COUNT], repeated = 0;
    int before = -1;

    start();
    count_turns(STRATEGY_RANDOM, ALL, seen);
    /* 3 degrees of freedom: 16.27 is passed by one fair series in a thousand. */
    ck_assert_double_lt(chi_square(seen, even), 16.27);
    for (uint64_t turn = 0; turn < TURNS; turn++) {
        int picked = spread_pick(STRATEGY_RANDOM, group, COUNT, ALL, turn);

        repeated += picked == before;
        before = picked;
    }
    ck_assert_uint_gt(repeated, TURNS / 5); /* a quarter, by chance */
    ck_assert_uint_lt(repeated, TURNS * 3 / 10);
}
END_TEST

START_TEST(weighted_gives_each_its_part_within_a_few)
{
    static const unsigned weights[COUNT] = {1000, 500, 2500, 0};
    unsigned seen[COUNT];

    start();
    for (int i = 0; i < COUNT; i++)
        group[i].weight_milli = weights[i];
    count_turns(STRATEGY_WEIGHTED, ALL, seen);
    for (int i = 0; i < COUNT; i++) {
        unsigned expected = TURNS / 4000 * weights[i];

        ck_assert_msg(seen[i] + 8 > expected && seen[i] < expected + 8, "%d: %u of %u", i, seen[i],
                      expected);
    }
}
END_TEST

START_TEST(weights_of_nothing_are_equal)
{
    unsigned seen[COUNT];

    start();
    for (int i = 0; i < COUNT; i++)
        group[i].weight_milli = 0;
    count_turns(STRATEGY_WEIGHTED, ALL, seen);
    for (int i = 0; i < COUNT; i++)
        ck_assert_uint_gt(seen[i], TURNS / 5);
}
END_TEST

START_TEST(recovering_endpoint_gets_a_part_of_its_part)
{
    unsigned seen[COUNT];

    for (int s = 0; s < 3; s++) {
        start();
        group[1].ramp = RAMP_WHOLE / 10;
        count_turns(spreading[s], ALL, seen);
        ck_assert_uint_gt(seen[1], TURNS / 31 * 8 / 10); /* 0.1 of 3.1 */
        ck_assert_uint_lt(seen[1], TURNS / 31 * 12 / 10);
    }
}
END_TEST

START_TEST(least_connections_evens_out_what_is_uneven)
{
    start();
    group[0].connections = 10;
    group[1].connections = 3;
    group[2].connections = 3;
    group[3].connections = 8;
    for (uint64_t turn = 0; turn < 16; turn++)
        group[spread_pick(STRATEGY_LEAST_CONNECTIONS, group, COUNT, ALL, turn)].connections++;
    for (int i = 0; i < COUNT; i++)
        ck_assert_uint_eq(group[i].connections, 10);
}
END_TEST

START_TEST(least_connections_does_not_flood_who_comes_back)
{
    unsigned before;

    start();
    for (int i = 0; i < COUNT; i++)
        group[i].connections = 20;
    group[2].connections = 0;
    group[2].ramp = RAMP_WHOLE / 10;
    for (uint64_t turn = 0; turn < 6; turn++)
        group[spread_pick(STRATEGY_LEAST_CONNECTIONS, group, COUNT, ALL, turn)].connections++;
    before = group[2].connections;
    ck_assert_uint_le(before, 2);
}
END_TEST

/* ---- within the whole decision ---- */

static int choose_turn(uint64_t turn)
{
    const struct choice_rules rules = {.strategy = STRATEGY_ROUND_ROBIN,
                                       .challenger = -1,
                                       .turn = turn};

    return choose(&rules, group, COUNT, -1, 0).endpoint;
}

START_TEST(zone_comes_first_and_eligibility_before_it)
{
    start();
    group[1].same_zone = group[3].same_zone = true;
    for (uint64_t turn = 0; turn < 8; turn++)
        ck_assert_int_eq(choose_turn(turn), turn % 2 ? 3 : 1);
    group[1].health = HEALTH_UNHEALTHY;
    for (uint64_t turn = 0; turn < 8; turn++)
        ck_assert_int_eq(choose_turn(turn), 3);
    group[3].breaker = BREAKER_OPEN;
    for (uint64_t turn = 0; turn < 8; turn++)
        ck_assert_int_eq(choose_turn(turn), turn % 2 ? 2 : 0);
    group[2].held = true;
    for (uint64_t turn = 0; turn < 8; turn++)
        ck_assert_int_eq(choose_turn(turn), 2);
}
END_TEST

START_TEST(the_best_tier_gets_all)
{
    start();
    group[0].tier = group[2].tier = 1;
    for (uint64_t turn = 0; turn < 8; turn++)
        ck_assert_int_eq(choose_turn(turn), turn % 2 ? 3 : 1);
    group[1].health = group[3].health = HEALTH_UNHEALTHY;
    for (uint64_t turn = 0; turn < 8; turn++)
        ck_assert_int_eq(choose_turn(turn), turn % 2 ? 2 : 0);
}
END_TEST

START_TEST(half_open_endpoint_gets_trials)
{
    const struct choice_rules rules = {.strategy = STRATEGY_WEIGHTED, .challenger = -1};

    start();
    group[2].breaker = BREAKER_HALF_OPEN;
    ck_assert_int_eq(choose(&rules, group, COUNT, -1, 0).trial, 2);
    ck_assert_int_ne(choose(&rules, group, COUNT, -1, 0).endpoint, 2);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        nobody_is_picked_from_nothing,
        only_those_in_the_set_are_picked,
        round_robin_takes_one_after_the_other,
        random_is_even_and_in_no_order,
        weighted_gives_each_its_part_within_a_few,
        weights_of_nothing_are_equal,
        recovering_endpoint_gets_a_part_of_its_part,
        least_connections_evens_out_what_is_uneven,
        least_connections_does_not_flood_who_comes_back,
        zone_comes_first_and_eligibility_before_it,
        the_best_tier_gets_all,
        half_open_endpoint_gets_trials,
    };

    return unit_run("policy_spread", tests, COUNT_OF(tests));
}

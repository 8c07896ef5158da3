#include "policy/backoff.h"

#include <errno.h>

#include "base/clock.h"
#include "policy/outcome.h"
#include "unit.h"

START_TEST(pauses_grow_by_the_factor_up_to_the_most)
{
    static const struct {
        uint64_t first_ns;
        uint32_t factor_milli;
        unsigned round;
        uint64_t most_ns, expected_ns;
    } rows[] = {
        {NS_PER_S, 2000, 0, 30 * NS_PER_S, NS_PER_S},
        {NS_PER_S, 2000, 1, 30 * NS_PER_S, 2 * NS_PER_S},
        {NS_PER_S, 2000, 4, 30 * NS_PER_S, 16 * NS_PER_S},
        {NS_PER_S, 2000, 5, 30 * NS_PER_S, 30 * NS_PER_S},
        {NS_PER_S, 1500, 2, 30 * NS_PER_S, 2250 * NS_PER_MS},
        {NS_PER_S, 1000, UINT32_MAX, 30 * NS_PER_S, NS_PER_S},
        {NS_PER_S, 2000, 0, NS_PER_MS, NS_PER_MS},
        {0, 10000, 60, NS_PER_S, 0},
        {1999, 1500, 1, NS_PER_S, 2998},
        {1, 2000, 63, UINT64_MAX, UINT64_C(1) << 63},
        {1, 2000, 64, UINT64_MAX, UINT64_MAX},
        {1, 10000, UINT32_MAX, UINT64_MAX, UINT64_MAX},
        {UINT64_MAX / 3, 3000, 1, UINT64_MAX, UINT64_MAX / 3 * 3},
        {UINT64_MAX / 2, UINT32_MAX, 1, UINT64_MAX - 1, UINT64_MAX - 1},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t ns =
            backoff_ns(rows[i].first_ns, rows[i].factor_milli, rows[i].round, rows[i].most_ns);

        ck_assert_msg(ns == rows[i].expected_ns, "row %zu: %llu", i, (unsigned long long)ns);
    }
}
END_TEST

START_TEST(jitter_spans_its_share_both_ways)
{
    static const struct {
        uint64_t ns;
        uint32_t share, random;
        uint64_t expected_ns;
    } rows[] = {
        {1000, 1000, 0, 900},
        {1000, 1000, UINT32_MAX, 1099},
        {1000, 1000, UINT32_C(1) << 31, 1000},
        {1000, 0, 12345, 1000},
        {1000, 10000, 0, 0},
        {1000, 99999, 0, 0}, /* a share over 100 % is 100 % */
        {0, 10000, 12345, 0},
        {UINT64_MAX, 10000, UINT32_MAX, UINT64_MAX},
        {UINT64_MAX / 2, 10000, 0, 0},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t ns = jitter_ns(rows[i].ns, rows[i].share, rows[i].random);

        ck_assert_msg(ns == rows[i].expected_ns, "row %zu: %llu", i, (unsigned long long)ns);
    }
}
END_TEST

START_TEST(jitter_is_even)
{
    uint64_t seed = 1, sum = 0;
    unsigned tenths[10] = {0};

    for (int i = 0; i < 100000; i++) {
        uint64_t ns = jitter_ns(NS_PER_S, 5000, (uint32_t)unit_random(&seed));

        ck_assert(ns >= NS_PER_S / 2 && ns < NS_PER_S / 2 * 3);
        tenths[(ns - NS_PER_S / 2) / (NS_PER_S / 10)]++;
        sum += ns;
    }
    for (int i = 0; i < 10; i++)
        ck_assert(tenths[i] > 9500 && tenths[i] < 10500);
    ck_assert(sum / 100000 > NS_PER_S * 99 / 100 && sum / 100000 < NS_PER_S * 101 / 100);
}
END_TEST

START_TEST(errors_map_to_outcomes)
{
    static const struct {
        int error;
        enum outcome outcome;
        const char *name;
    } rows[] = {
        {0, OUTCOME_OK, "ok"},
        {ECONNREFUSED, OUTCOME_REFUSED, "refused"},
        {ETIMEDOUT, OUTCOME_TIMEOUT, "timeout"},
        {ECONNRESET, OUTCOME_RESET, "reset"},
        {EPIPE, OUTCOME_RESET, "reset"},
        {ENETUNREACH, OUTCOME_UNREACHABLE, "unreachable"},
        {EHOSTUNREACH, OUTCOME_UNREACHABLE, "unreachable"},
        {EHOSTDOWN, OUTCOME_UNREACHABLE, "unreachable"},
        {ENETDOWN, OUTCOME_UNREACHABLE, "unreachable"},
        {EADDRNOTAVAIL, OUTCOME_LOCAL, "local"},
        {EMFILE, OUTCOME_LOCAL, "local"},
        {EACCES, OUTCOME_LOCAL, "local"},
        {EINTR, OUTCOME_LOCAL, "local"},
        {EINPROGRESS, OUTCOME_LOCAL, "local"},
        {-1, OUTCOME_LOCAL, "local"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        ck_assert_int_eq(outcome_of(rows[i].error), rows[i].outcome);
        ck_assert_str_eq(outcome_name(rows[i].outcome), rows[i].name);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        pauses_grow_by_the_factor_up_to_the_most,
        jitter_spans_its_share_both_ways,
        jitter_is_even,
        errors_map_to_outcomes,
    };

    return unit_run("policy_backoff", tests, COUNT_OF(tests));
}

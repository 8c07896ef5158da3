#include "base/duration.h"

#include <errno.h>

#include "base/clock.h"
#include "unit.h"

START_TEST(durations_are_read)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } rows[] = {
        {"0", 0},
        {"0s", 0},
        {"0ms", 0},
        {"250ms", 250 * NS_PER_MS},
        {"1s", NS_PER_S},
        {"1.5s", 1500 * NS_PER_MS},
        {"0.000001ms", 1},
        {"0.000001h", 3600 * NS_PER_US},
        {"5m", 300 * NS_PER_S},
        {"1h", 3600 * NS_PER_S},
        {"1000h", 3600 * 1000 * NS_PER_S},
        {"999.999999h", 3600 * 1000 * NS_PER_S - 3600 * NS_PER_US},
        {"3600000000ms", 3600 * 1000 * NS_PER_S},
        {"007s", 7 * NS_PER_S},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t ns = 42;

        ck_assert_msg(duration_parse(rows[i].text, &ns) == 0, "'%s'", rows[i].text);
        ck_assert_uint_eq(ns, rows[i].ns);
    }
}
END_TEST

START_TEST(what_is_no_duration_is_refused)
{
    static const struct {
        const char *text;
        int error;
    } rows[] = {
        {"", -EINVAL},
        {"s", -EINVAL},
        {"1", -EINVAL},
        {"00", -EINVAL},
        {"0.0", -EINVAL},
        {"-1s", -EINVAL},
        {"+1s", -EINVAL},
        {" 1s", -EINVAL},
        {"1s ", -EINVAL},
        {"1 s", -EINVAL},
        {"1.s", -EINVAL},
        {".5s", -EINVAL},
        {"1,5s", -EINVAL},
        {"1S", -EINVAL},
        {"1us", -EINVAL},
        {"1d", -EINVAL},
        {"1e3s", -EINVAL},
        {"nan", -EINVAL},
        {"inf", -EINVAL},
        {"0x1s", -EINVAL},
        {"1.0000001s", -EINVAL},
        {"1s1s", -EINVAL},
        {"1000.000001h", -ERANGE},
        {"1001h", -ERANGE},
        {"3600000001ms", -ERANGE},
        {"18446744073709551616s", -ERANGE},
        {"99999999999999999999999999999999ms", -ERANGE},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t ns = 42;
        int error = duration_parse(rows[i].text, &ns);

        ck_assert_msg(error == rows[i].error, "'%s': %d", rows[i].text, error);
        ck_assert_uint_eq(ns, 42);
    }
}
END_TEST

START_TEST(durations_are_written_in_the_longest_exact_unit)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } rows[] = {
        {0, "0s"},
        {17, "17ns"},
        {250 * NS_PER_US, "250us"},
        {NS_PER_MS, "1ms"},
        {1500 * NS_PER_MS, "1500ms"},
        {2 * NS_PER_S, "2s"},
        {90 * NS_PER_S, "90s"},
        {300 * NS_PER_S, "5m"},
        {3600 * NS_PER_S, "1h"},
        {NS_PER_S + 1, "1000000001ns"},
        {UINT64_MAX, "18446744073709551615ns"},
    };
    char text[DURATION_TEXT];

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        ck_assert_str_eq(duration_format(rows[i].ns, text), rows[i].text);
}
END_TEST

START_TEST(percentages_are_read)
{
    static const struct {
        const char *text;
        uint32_t basis_points;
    } rows[] = {
        {"0", 0},        {"0%", 0},    {"50", 5000},    {"50%", 5000},    {"12.5%", 1250},
        {"99.99", 9999}, {"0.01%", 1}, {"100%", 10000}, {"1.50000", 150}, {"100.00", 10000},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint32_t basis_points = 42;

        ck_assert_msg(percent_parse(rows[i].text, &basis_points) == 0, "'%s'", rows[i].text);
        ck_assert_uint_eq(basis_points, rows[i].basis_points);
    }
}
END_TEST

START_TEST(what_is_no_percentage_is_refused)
{
    static const struct {
        const char *text;
        int error;
    } rows[] = {
        {"", -EINVAL},
        {"%", -EINVAL},
        {"-1%", -EINVAL},
        {"50 %", -EINVAL},
        {"50%%", -EINVAL},
        {"0.5.5", -EINVAL},
        {"nan", -EINVAL},
        {"12.555%", -EINVAL},
        {".5%", -EINVAL},
        {"100.01%", -ERANGE},
        {"101", -ERANGE},
        {"4294967297", -ERANGE},
        {"18446744073709551617%", -ERANGE},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint32_t basis_points = 42;
        int error = percent_parse(rows[i].text, &basis_points);

        ck_assert_msg(error == rows[i].error, "'%s': %d", rows[i].text, error);
        ck_assert_uint_eq(basis_points, 42);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        durations_are_read,
        what_is_no_duration_is_refused,
        durations_are_written_in_the_longest_exact_unit,
        percentages_are_read,
        what_is_no_percentage_is_refused,
    };

    return unit_run("base_duration", tests, COUNT_OF(tests));
}

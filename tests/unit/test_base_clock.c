#include "base/clock.h"

#include <errno.h>
#include <time.h>

#include "unit.h"

static uint64_t libc_ns(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

START_TEST(each_clock_is_the_one_it_is_named_for)
{
    uint64_t boot = libc_ns(CLOCK_BOOTTIME), wall = libc_ns(CLOCK_REALTIME);
    uint64_t coarse = libc_ns(CLOCK_MONOTONIC_COARSE);
    uint64_t boot_ns = clock_boot_ns(), wall_ns = clock_wall_ns(), coarse_ns = clock_coarse_ns();

    ck_assert(boot_ns >= boot && boot_ns <= libc_ns(CLOCK_BOOTTIME));
    ck_assert(wall_ns >= wall && wall_ns <= libc_ns(CLOCK_REALTIME));
    ck_assert(coarse_ns >= coarse && coarse_ns <= libc_ns(CLOCK_MONOTONIC_COARSE));
}
END_TEST

START_TEST(errno_is_untouched)
{
    errno = 12345;
    clock_boot_ns();
    clock_wall_ns();
    clock_coarse_ns();
    ck_assert_int_eq(errno, 12345);
}
END_TEST

START_TEST(wall_times_are_written_in_utc)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},          {951782399, "2000-02-28T23:59:59.000Z"},
        {951782400, "2000-02-29T00:00:00.000Z"},  {951868800, "2000-03-01T00:00:00.000Z"},
        {1767225599, "2025-12-31T23:59:59.000Z"}, {1767225600, "2026-01-01T00:00:00.000Z"},
        {4107542400, "2100-03-01T00:00:00.000Z"}, {18446744073, "2554-07-21T23:34:33.000Z"},
    };
    char text[CLOCK_TEXT];

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        ck_assert_str_eq(clock_format_wall(rows[i].seconds * NS_PER_S, text), rows[i].text);
    ck_assert_str_eq(clock_format_wall(NS_PER_S - 1, text), "1970-01-01T00:00:00.999Z");
    for (uint64_t seconds = 0; seconds < 9000000000; seconds += 86400 * 5 + 3607) {
        time_t time = (time_t)seconds;
        char expected[CLOCK_TEXT];
        struct tm parts;

        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.000Z", gmtime_r(&time, &parts));
        ck_assert_str_eq(clock_format_wall(seconds * NS_PER_S, text), expected);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {each_clock_is_the_one_it_is_named_for, errno_is_untouched,
                                  wall_times_are_written_in_utc};

    return unit_run("base_clock", tests, COUNT_OF(tests));
}

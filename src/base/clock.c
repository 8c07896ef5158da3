#include "base/clock.h"

#include <errno.h>
#include <time.h>

#include "base/text.h"

static uint64_t read_clock(clockid_t clock)
{
    struct timespec time = {0};
    int saved_errno = errno;

    /* Some sandboxes refuse CLOCK_BOOTTIME; MONOTONIC is the same but for time spent suspended. */
    if (clock_gettime(clock, &time) != 0)
        clock_gettime(CLOCK_MONOTONIC, &time);
    errno = saved_errno;
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

uint64_t clock_boot_ns(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

uint64_t clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

uint64_t clock_monotonic_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_coarse_ns(void)
{
    return read_clock(CLOCK_MONOTONIC_COARSE);
}

/*
 * By hand, because gmtime_r() takes the time zone lock in glibc. The year starts in March here,
 * which puts the leap day last: then month m begins on day (153 m + 2) / 5, and 400 years are
 * 146097 days.
 */
const char *clock_format_wall(uint64_t wall_ns, char out[static CLOCK_TEXT])
{
    uint64_t seconds = wall_ns / NS_PER_S;
    unsigned of_day = (unsigned)(seconds % 86400);
    uint64_t days = seconds / 86400 + 719468; /* since 0000-03-01 */
    uint64_t era = days / 146097;
    unsigned of_era = (unsigned)(days % 146097);
    unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned march_month = (5 * of_year + 2) / 153;
    unsigned day = of_year - (153 * march_month + 2) / 5 + 1;
    unsigned month = march_month < 10 ? march_month + 3 : march_month - 9;
    unsigned year = (unsigned)era * 400 + year_of_era + (month <= 2);

    text_format(out, CLOCK_TEXT, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year, month, day,
                of_day / 3600, of_day / 60 % 60, of_day % 60,
                (unsigned)(wall_ns % NS_PER_S / NS_PER_MS));
    return out;
}

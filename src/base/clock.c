#include "base/clock.h"

#include <errno.h>
#include <time.h>

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

uint64_t clock_coarse_ns(void)
{
    return read_clock(CLOCK_MONOTONIC_COARSE);
}

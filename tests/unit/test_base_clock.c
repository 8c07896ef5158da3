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

int main(void)
{
    const TTest *const tests[] = {each_clock_is_the_one_it_is_named_for, errno_is_untouched};

    return unit_run("base_clock", tests, COUNT_OF(tests));
}

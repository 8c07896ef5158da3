#include "policy/pace.h"

#include <pthread.h>

#include "base/clock.h"
#include "unit.h"

enum { RATE = 50 };
#define GAP_NS (NS_PER_S / RATE)
#define T0     (1000 * NS_PER_S)

static atomic_u64 word;

START_TEST(a_tenth_of_a_second_may_come_at_once)
{
    store_relaxed(&word, 0);
    for (int i = 0; i < 6; i++) /* now, and five of the last 100 ms */
        ck_assert_uint_eq(pace_reserve(&word, RATE, true, T0), 0);
    ck_assert_uint_eq(pace_reserve(&word, RATE, true, T0), GAP_NS);
}
END_TEST

START_TEST(a_herd_stands_in_line)
{
    uint64_t last = 0;

    store_relaxed(&word, 0);
    for (int i = 0; i < 500; i++) {
        uint64_t wait = pace_reserve(&word, RATE, true, T0);

        ck_assert(i < 6 ? wait == 0 : wait == last + GAP_NS);
        last = wait;
    }
    ck_assert_uint_eq(last, 494 * GAP_NS);
}
END_TEST

START_TEST(idle_time_is_not_saved_up)
{
    store_relaxed(&word, 0);
    pace_reserve(&word, RATE, true, T0);
    for (int i = 0; i < 6; i++)
        ck_assert_uint_eq(pace_reserve(&word, RATE, true, T0 + 60 * NS_PER_S), 0);
    ck_assert_uint_gt(pace_reserve(&word, RATE, true, T0 + 60 * NS_PER_S), 0);
}
END_TEST

START_TEST(who_cannot_wait_takes_no_place_in_the_line)
{
    store_relaxed(&word, 0);
    for (int i = 0; i < 1000; i++)
        ck_assert_uint_eq(pace_reserve(&word, RATE, false, T0), 0);
    ck_assert_uint_eq(pace_reserve(&word, RATE, true, T0), GAP_NS);
}
END_TEST

START_TEST(place_from_a_foreign_clock_is_none)
{
    store_relaxed(&word, T0 + 3600 * NS_PER_S);
    ck_assert_uint_eq(pace_reserve(&word, RATE, true, T0), 0);
    store_relaxed(&word, UINT64_MAX);
    ck_assert_uint_eq(pace_reserve(&word, RATE, true, T0), 0);
}
END_TEST

enum { THREADS = 8, EACH = 2000 };
static uint64_t places[THREADS][EACH];

static void *reserve(void *argument)
{
    uint64_t *own = argument;

    for (int i = 0; i < EACH; i++)
        own[i] = pace_reserve(&word, 1000000, true, T0);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

START_TEST(no_two_get_the_same_place)
{
    uint64_t *all = &places[0][0];
    pthread_t threads[THREADS];

    store_relaxed(&word, T0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, reserve, places[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    qsort(all, (size_t)THREADS * EACH, sizeof(*all), compare);
    for (uint64_t i = 0; i < (uint64_t)THREADS * EACH; i++)
        ck_assert_uint_eq(all[i], i * 1000);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_tenth_of_a_second_may_come_at_once,
        a_herd_stands_in_line,
        idle_time_is_not_saved_up,
        who_cannot_wait_takes_no_place_in_the_line,
        place_from_a_foreign_clock_is_none,
        no_two_get_the_same_place,
    };

    return unit_run("policy_pace", tests, COUNT_OF(tests));
}

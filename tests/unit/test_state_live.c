#include "state/live.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "unit.h"

START_TEST(active_word_keeps_slot_and_epoch)
{
    static const struct active cases[] = {{0, NO_SLOT}, {1, 0}, {UINT32_MAX, 4095}, {7, NO_SLOT}};

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct active back = active_unpack(active_pack(cases[i]));

        ck_assert_uint_eq(back.epoch, cases[i].epoch);
        ck_assert_uint_eq(back.slot, cases[i].slot);
    }
    ck_assert_uint_eq(active_unpack(0).slot, NO_SLOT);
}
END_TEST

START_TEST(mode_of_the_operator_goes_before_the_file)
{
    uint64_t now = 5 * NS_PER_S;

    ck_assert_int_eq(service_mode_now(0, MODE_OBSERVE, now), MODE_OBSERVE);
    ck_assert_int_eq(service_mode_now(runtime_mode_pack(RUNTIME_OFF, 0), MODE_STEER, now),
                     MODE_OFF);
    ck_assert_int_eq(service_mode_now(runtime_mode_pack(RUNTIME_AUTO, 0), MODE_OFF, now),
                     MODE_STEER);
    ck_assert_int_eq(service_mode_now(UINT64_MAX & 0xffff, MODE_STEER, now), MODE_STEER);
}
END_TEST

START_TEST(mode_runs_out)
{
    uint64_t word = runtime_mode_pack(RUNTIME_OFF, 5000);
    uint64_t until_ms;

    ck_assert_int_eq(service_mode_now(word, MODE_STEER, 5 * NS_PER_S - 1), MODE_OFF);
    ck_assert_int_eq(service_mode_now(word, MODE_STEER, 5 * NS_PER_S), MODE_STEER);
    ck_assert_int_eq(runtime_mode_unpack(word, &until_ms), RUNTIME_OFF);
    ck_assert_uint_eq(until_ms, 5000);
}
END_TEST

START_TEST(last_switch_is_read_back)
{
    struct service_live live;
    struct last_switch what = {.wall_ms = 1700000000123,
                               .from = 3,
                               .to = 9,
                               .reason = CHOICE_FAILBACK};
    struct last_switch back;

    memset(&live, 0, sizeof(live));
    ck_assert(!last_switch_read(&live, &back));
    last_switch_write(&live, what, 0xffff);
    ck_assert(last_switch_read(&live, &back));
    ck_assert_uint_eq(back.wall_ms, what.wall_ms);
    ck_assert_uint_eq(back.from, 3);
    ck_assert_uint_eq(back.to, 9);
    ck_assert_int_eq(back.reason, CHOICE_FAILBACK);
}
END_TEST

START_TEST(earlier_switch_does_not_overwrite_a_later_one)
{
    struct service_live live;
    struct last_switch back;

    memset(&live, 0, sizeof(live));
    last_switch_write(&live, (struct last_switch){.wall_ms = 2, .to = 2}, 0x10000);
    last_switch_write(&live, (struct last_switch){.wall_ms = 1, .to = 1}, 0xffff);
    ck_assert(last_switch_read(&live, &back));
    ck_assert_uint_eq(back.to, 2);
    ck_assert_uint_eq(back.wall_ms, 2);
}
END_TEST

START_TEST(half_written_switch_is_not_believed)
{
    struct service_live live;
    struct last_switch back;
    uint64_t first_word;

    memset(&live, 0, sizeof(live));
    last_switch_write(&live, (struct last_switch){.to = 1}, 6);
    first_word = load_relaxed(&live.last_switch);
    last_switch_write(&live, (struct last_switch){.to = 2}, 7);
    store_relaxed(&live.last_switch, first_word);
    ck_assert(!last_switch_read(&live, &back));
}
END_TEST

START_TEST(last_error_keeps_errno_and_time)
{
    uint64_t wall_ms;

    ck_assert_int_eq(last_error_unpack(0, &wall_ms), 0);
    ck_assert_int_eq(last_error_unpack(last_error_pack(ECONNREFUSED, 1700000000123 * NS_PER_MS),
                                       &wall_ms),
                     ECONNREFUSED);
    ck_assert_uint_eq(wall_ms, 1700000000123);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        active_word_keeps_slot_and_epoch,
        mode_of_the_operator_goes_before_the_file,
        mode_runs_out,
        last_switch_is_read_back,
        earlier_switch_does_not_overwrite_a_later_one,
        half_written_switch_is_not_believed,
        last_error_keeps_errno_and_time,
    };

    return unit_run("state_live", tests, COUNT_OF(tests));
}

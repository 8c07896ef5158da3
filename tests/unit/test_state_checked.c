/* What follows from a check, with a clock of the test's own. */
#include "state/checked.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "state/events.h"
#include "state/live.h"
#include "state_world.h"

enum { EPOCH = 7 };

static struct world *world;
static struct segment segment;
static uint64_t now;

static struct service_view view_of(uint32_t index)
{
    struct bank_view view;
    struct service_view service;

    ck_assert(bank_open(&segment, &view));
    ck_assert(service_read(&view, index, &service));
    return service;
}

static struct service_view start(unsigned endpoints)
{
    world = world_new();
    world_add_service(world, "cache", endpoints);
    world_publish(world);
    segment = world_attach(world);
    now = 1000 * NS_PER_S;
    return view_of(0);
}

static bool record(const struct service_view *service, uint32_t index, uint16_t epoch,
                   enum check_cause cause)
{
    struct check check = {
        .passed = cause == CHECK_FINE,
        .cause = cause,
        .started_ns = now,
        .rtt_ns = cause == CHECK_FINE ? 120 * NS_PER_US : 0,
    };

    return checked_record(service, index, epoch, &check, now);
}

static void passed(const struct service_view *service, uint32_t index)
{
    ck_assert(record(service, index, EPOCH, CHECK_FINE));
}

static void failed(const struct service_view *service, uint32_t index)
{
    ck_assert(record(service, index, EPOCH, CHECK_TIMEOUT));
}

static struct verdict verdict_of(const struct service_view *service, uint32_t index)
{
    return verdict_unpack(load_relaxed(&service->endpoint_live[index]->health));
}

static unsigned count_events(enum event_type type, struct event *last)
{
    unsigned count = 0;
    struct event event;

    for (uint64_t i = 1; i <= event_newest(&segment); i++)
        if (event_read(&segment, i, &event) == 1 && event.type == (uint32_t)type) {
            count++;
            if (last)
                *last = event;
        }
    return count;
}

static int active(const struct service_view *service)
{
    struct candidate candidates[ENDPOINTS_MAX];

    return service_candidates(service, candidates, now);
}

/* Both healthy, the first one active. */
static struct service_view start_healthy(void)
{
    struct service_view service = start(2);

    passed(&service, 0);
    passed(&service, 1);
    ck_assert_int_eq(active(&service), 0);
    return service;
}

/* ---- verdicts ---- */

START_TEST(first_check_gives_a_verdict_and_an_event)
{
    struct service_view service = start(2);
    struct event event;

    failed(&service, 0);
    ck_assert_int_eq(service_health(&service, 0, now), HEALTH_UNHEALTHY);
    ck_assert_uint_eq(count_events(EVENT_HEALTH, &event), 1);
    ck_assert_str_eq(event.service, "cache");
    ck_assert_str_eq(event.endpoint, "e0");
    ck_assert_str_eq(event.from, "unknown");
    ck_assert_str_eq(event.to, "unhealthy");
    ck_assert_str_eq(event.reason, "no answer in time");
    ck_assert_str_eq(event.detail, "failed checks in a row: 1");
}
END_TEST

START_TEST(check_that_changes_nothing_writes_no_event_and_rings_no_bell)
{
    struct service_view service = start_healthy();
    uint64_t events = event_newest(&segment);
    uint32_t bell = bell_count(&segment);

    passed(&service, 0);
    failed(&service, 0);
    ck_assert_uint_eq(event_newest(&segment), events);
    ck_assert_uint_eq(bell_count(&segment), bell);
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->checked_ns), now);
}
END_TEST

START_TEST(unhealthy_active_endpoint_is_left_with_grace_and_bell)
{
    struct service_view service = start_healthy();
    uint32_t bell = bell_count(&segment);
    struct event event;

    failed(&service, 0);
    ck_assert_int_eq(active(&service), 0);
    failed(&service, 0);
    ck_assert_int_eq(active(&service), 1);
    ck_assert_uint_eq(count_events(EVENT_FAILOVER, &event), 1);
    ck_assert_str_eq(event.reason, "health-check");
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->grace_until_ns), now + 60 * NS_PER_S);
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->since_ns), now);
    ck_assert_uint_ne(bell_count(&segment), bell);
}
END_TEST

START_TEST(endpoint_that_turns_unhealthy_again_starts_grace_again)
{
    struct service_view service = start_healthy();

    failed(&service, 0);
    failed(&service, 0);
    now += 30 * NS_PER_S;
    passed(&service, 1);
    passed(&service, 0);
    passed(&service, 0);
    ck_assert_int_eq(active(&service), 1);
    failed(&service, 0);
    failed(&service, 0);
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->grace_until_ns), now + 60 * NS_PER_S);
}
END_TEST

START_TEST(passed_check_after_grace_brings_the_host_back)
{
    struct service_view service = start_healthy();
    struct event event;

    failed(&service, 0);
    failed(&service, 0);
    for (int second = 1; second < 60; second++) {
        now += NS_PER_S;
        passed(&service, 0);
        passed(&service, 1);
        ck_assert_int_eq(active(&service), 1);
    }
    now += NS_PER_S;
    passed(&service, 0);
    ck_assert_int_eq(active(&service), 0);
    ck_assert_uint_eq(count_events(EVENT_FAILBACK, &event), 1);
}
END_TEST

START_TEST(verdict_that_has_run_out_is_given_anew_by_one_check)
{
    struct service_view service = start_healthy();

    now += 3600 * NS_PER_S;
    ck_assert_int_eq(service_health(&service, 0, now), HEALTH_UNKNOWN);
    failed(&service, 0);
    ck_assert_int_eq(service_health(&service, 0, now), HEALTH_UNHEALTHY);
}
END_TEST

START_TEST(passed_checks_close_a_half_open_breaker)
{
    struct service_view service = start_healthy();
    struct event event;

    service_report(&service, 0, ECONNREFUSED, NS_PER_MS, now);
    service_report(&service, 0, ECONNREFUSED, NS_PER_MS, now);
    passed(&service, 0); /* open: says nothing */
    ck_assert_uint_eq(count_events(EVENT_BREAKER, NULL), 1);
    now += 2 * NS_PER_S;
    passed(&service, 0);
    ck_assert_uint_eq(count_events(EVENT_BREAKER, NULL), 1);
    passed(&service, 0);
    ck_assert_uint_eq(count_events(EVENT_BREAKER, &event), 2);
    ck_assert_str_eq(event.to, "closed");
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->connects[OUTCOME_OK]), 0);
}
END_TEST

START_TEST(failed_check_is_the_last_error_in_words)
{
    struct service_view service = start(1);
    uint64_t wall_ms;
    int error;

    record(&service, 0, EPOCH, CHECK_LOADING);
    error = last_error_unpack(load_relaxed(&service.endpoint_live[0]->last_error), &wall_ms);
    ck_assert_str_eq(last_error_check_text(error), "loading its data");
    service_report(&service, 0, ECONNREFUSED, NS_PER_MS, now);
    error = last_error_unpack(load_relaxed(&service.endpoint_live[0]->last_error), &wall_ms);
    ck_assert_int_eq(error, ECONNREFUSED);
    ck_assert_ptr_null(last_error_check_text(error));
}
END_TEST

/* ---- who may write ---- */

START_TEST(check_of_an_earlier_epoch_changes_nothing)
{
    struct service_view service = start_healthy();
    struct verdict before;

    ck_assert(record(&service, 0, EPOCH + 1, CHECK_FINE));
    before = verdict_of(&service, 0);
    ck_assert(!record(&service, 0, EPOCH, CHECK_TIMEOUT));
    ck_assert(!record(&service, 0, EPOCH, CHECK_TIMEOUT));
    ck_assert_uint_eq(verdict_pack(verdict_of(&service, 0)), verdict_pack(before));
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->checks_failed), 0);
    ck_assert_int_eq(active(&service), 0);
}
END_TEST

START_TEST(epochs_are_in_order_when_their_number_wraps)
{
    struct service_view service = start(1);

    ck_assert(record(&service, 0, 0x7ff0, CHECK_FINE));
    ck_assert(record(&service, 0, 0xfff0, CHECK_FINE));
    ck_assert(record(&service, 0, 3, CHECK_FINE));
    ck_assert(!record(&service, 0, 0xfff0, CHECK_FINE));
}
END_TEST

START_TEST(endpoint_in_a_used_slot_starts_unknown_and_under_the_same_epoch)
{
    struct service_view service = start(2);
    struct endpoint_live *live = service.endpoint_live[1];
    uint32_t changes;

    record(&service, 1, EPOCH, CHECK_TIMEOUT);
    changes = verdict_of(&service, 1).changes;
    world->services[0].endpoint_count = 1;
    world_publish(world);
    /* All other slots are used before that one comes back. */
    for (uint32_t i = 2; i < segment.endpoint_slots; i++)
        store_relaxed(&segment_endpoint(&segment, i)->generation, 1);
    for (uint32_t i = 2; i < segment.endpoint_slots; i++)
        store_relaxed(&segment_endpoint(&segment, i)->retired_ns, INT64_MAX);
    world_add_endpoint(&world->services[0], "new", "10.9.9.9", 7009);
    world_publish(world);
    service = view_of(0);
    ck_assert_ptr_eq(service.endpoint_live[1], live);
    ck_assert_int_eq(verdict_of(&service, 1).health, HEALTH_UNKNOWN);
    ck_assert_uint_eq(verdict_of(&service, 1).epoch, EPOCH);
    ck_assert_uint_gt(verdict_of(&service, 1).changes, changes);
    ck_assert(!record(&service, 1, EPOCH - 1, CHECK_TIMEOUT));
}
END_TEST

START_TEST(result_for_an_endpoint_that_has_gone_is_dropped)
{
    struct service_view service = start(1);

    failed(&service, ENDPOINTS_MAX);
    store_relaxed(&service.endpoint_live[0]->generation, 2);
    failed(&service, 0);
    ck_assert_int_eq(verdict_of(&service, 0).health, HEALTH_UNKNOWN);
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->checks_failed), 0);
}
END_TEST

START_TEST(read_only_process_records_nothing)
{
    struct service_view service = start(1);

    segment.writable = false;
    ck_assert(!record(&service, 0, EPOCH, CHECK_FINE));
    checked_hint(&service, 0, now);
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->checks_ok), 0);
    ck_assert_uint_eq(checked_last_hint(service.endpoint_live[0]), 0);
}
END_TEST

START_TEST(complaint_names_the_trouble_of_a_living_endpoint)
{
    struct service_view service = start(1);
    struct event event;

    checked_complain(&service, 0, CHECK_WRONGPASS);
    ck_assert_uint_eq(count_events(EVENT_CHECK, &event), 1);
    ck_assert_str_eq(event.endpoint, "e0");
    ck_assert_str_eq(event.reason, "wrong password");
}
END_TEST

/* ---- hints ---- */

START_TEST(hints_of_many_are_one_per_40_ms)
{
    struct service_view service = start(2);
    const atomic_u32 *word = checked_hint_word(&segment);

    for (int i = 0; i < 10; i++)
        checked_hint(&service, 0, now);
    ck_assert_uint_eq(atomic_load(word), 1);
    ck_assert_uint_eq(checked_last_hint(service.endpoint_live[0]), now);
    checked_hint(&service, 1, now);
    ck_assert_uint_eq(atomic_load(word), 2);
    now += 40 * NS_PER_MS;
    checked_hint(&service, 0, now);
    ck_assert_uint_eq(atomic_load(word), 3);
}
END_TEST

/* ---- history ---- */

START_TEST(history_is_newest_first_and_bounded)
{
    struct service_view service = start(1);
    struct check checks[CHECKS_KEPT];

    ck_assert_uint_eq(checked_history(service.endpoint_live[0], checks), 0);
    failed(&service, 0);
    now += NS_PER_S;
    passed(&service, 0);
    ck_assert_uint_eq(checked_history(service.endpoint_live[0], checks), 2);
    ck_assert(checks[0].passed && !checks[1].passed);
    ck_assert_int_eq(checks[1].cause, CHECK_TIMEOUT);
    ck_assert_uint_eq(checks[0].started_ns, now);
    ck_assert_uint_eq(checks[0].rtt_ns, 120 * NS_PER_US);
    ck_assert_uint_eq(checks[1].rtt_ns, 0);
    for (int i = 0; i < 200; i++) {
        now += NS_PER_S;
        passed(&service, 0);
    }
    ck_assert_uint_eq(checked_history(service.endpoint_live[0], checks), CHECKS_KEPT);
    for (unsigned i = 0; i < CHECKS_KEPT; i++)
        ck_assert_uint_eq(checks[i].started_ns, now - i * NS_PER_S);
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->checks_ok), 201);
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->checks_failed), 1);
}
END_TEST

START_TEST(record_that_is_being_written_is_left_out)
{
    struct service_view service = start(1);
    struct endpoint_live *live = service.endpoint_live[0];
    struct check checks[CHECKS_KEPT];

    passed(&service, 0);
    passed(&service, 0);
    count_up(&live->check_count); /* a writer that has taken its number */
    ck_assert_uint_eq(checked_history(live, checks), 2);
    store_relaxed(&live->checks[2].started, 1); /* one that went on in a record not its own */
    ck_assert_uint_eq(checked_history(live, checks), 1);
}
END_TEST

static void answer(struct endpoint_live *live, uint64_t rtt_us)
{
    history_add(live, &(struct check){.passed = true, .rtt_ns = rtt_us * NS_PER_US});
}

START_TEST(percentiles_are_of_answered_checks)
{
    struct service_view service = start(1);
    struct endpoint_live *live = service.endpoint_live[0];

    ck_assert_uint_eq(checked_percentile_us(live, 50), 0);
    failed(&service, 0);
    ck_assert_uint_eq(checked_percentile_us(live, 50), 0);
    for (unsigned i = 50; i >= 1; i--)
        answer(live, i);
    ck_assert_uint_eq(checked_percentile_us(live, 50), 25);
    ck_assert_uint_eq(checked_percentile_us(live, 99), 50);
    ck_assert_uint_eq(checked_percentile_us(live, 1), 1);
}
END_TEST

START_TEST(average_moves_an_eighth_and_arrives)
{
    struct service_view service = start(1);
    struct endpoint_live *live = service.endpoint_live[0];

    answer(live, 800);
    ck_assert_uint_eq(load_relaxed(&live->rtt_us), 800);
    answer(live, 1600);
    ck_assert_uint_eq(load_relaxed(&live->rtt_us), 900);
    for (int i = 0; i < 100; i++)
        answer(live, 100);
    ck_assert_uint_eq(load_relaxed(&live->rtt_us), 100);
    history_add(live, &(struct check){.passed = false});
    ck_assert_uint_eq(load_relaxed(&live->rtt_us), 100);
}
END_TEST

/* Several writers, as when a prober was stopped in here and goes on: started and rtt belong
 * together. */
static atomic_u32 enough;

static void *write_history(void *argument)
{
    struct endpoint_live *live = argument;

    for (uint64_t i = 1; !atomic_load(&enough); i++)
        history_add(live, &(struct check){
                              .passed = true,
                              .started_ns = i * NS_PER_US,
                              .rtt_ns = i * NS_PER_US,
                          });
    return NULL;
}

START_TEST(reader_never_sees_a_mix_of_two_checks)
{
    struct service_view service = start(1);
    struct endpoint_live *live = service.endpoint_live[0];
    pthread_t writers[3];
    unsigned seen = 0;

    for (unsigned i = 0; i < COUNT_OF(writers); i++)
        pthread_create(&writers[i], NULL, write_history, live);
    while (seen < 20000) {
        struct check checks[CHECKS_KEPT];
        unsigned count = checked_history(live, checks);

        for (unsigned i = 0; i < count; i++)
            ck_assert_uint_eq(checks[i].started_ns, checks[i].rtt_ns);
        seen += count;
    }
    atomic_store(&enough, 1);
    for (unsigned i = 0; i < COUNT_OF(writers); i++)
        pthread_join(writers[i], NULL);
}
END_TEST

/* ---- shutting ---- */

START_TEST(unhealthy_endpoint_must_be_shut_when_another_is_eligible)
{
    struct service_view service = start_healthy();

    ck_assert(!checked_must_shut(&service, 0, now));
    failed(&service, 0);
    failed(&service, 0);
    ck_assert(checked_must_shut(&service, 0, now));
    ck_assert(!checked_must_shut(&service, 1, now));
    failed(&service, 1);
    failed(&service, 1);
    ck_assert(!checked_must_shut(&service, 0, now));
}
END_TEST

START_TEST(drained_endpoint_must_be_shut)
{
    struct service_view service = start_healthy();

    store_relaxed(&service.endpoint_live[0]->admin, ADMIN_DRAIN);
    ck_assert(checked_must_shut(&service, 0, now));
    store_relaxed(&service.endpoint_live[1]->admin, ADMIN_MAINT);
    ck_assert(!checked_must_shut(&service, 0, now));
}
END_TEST

START_TEST(nothing_is_shut_where_the_settings_or_the_operator_forbid_it)
{
    struct service_view service = start_healthy();

    failed(&service, 0);
    failed(&service, 0);
    store_relaxed(&service.live->mode, runtime_mode_pack(RUNTIME_OBSERVE, 0));
    ck_assert(!checked_must_shut(&service, 0, now));
    store_relaxed(&service.live->mode, 0);
    ck_assert(checked_must_shut(&service, 0, now));
    service.settings.failover.close_connections = 0;
    ck_assert(!checked_must_shut(&service, 0, now));
}
END_TEST

START_TEST(verdict_that_has_run_out_shuts_nothing)
{
    struct service_view service = start_healthy();

    failed(&service, 0);
    failed(&service, 0);
    now += 3600 * NS_PER_S;
    ck_assert(!checked_must_shut(&service, 0, now));
}
END_TEST

START_TEST(bell_rings_when_another_endpoint_comes_back_from_the_dead)
{
    struct service_view service = start_healthy();
    uint32_t bell;

    for (int i = 0; i < 2; i++) {
        failed(&service, 0);
        failed(&service, 1);
    }
    bell = bell_count(&segment);
    passed(&service, 1);
    ck_assert_uint_eq(bell_count(&segment), bell);
    passed(&service, 1);
    ck_assert_uint_ne(bell_count(&segment), bell);
    ck_assert(checked_must_shut(&service, 0, now));
}
END_TEST

/* ---- the bell ---- */

static void *sleep_until_it_rings(void *argument)
{
    atomic_u32 *awake = argument;
    uint32_t seen = 0;

    while (bell_count(&segment) == seen)
        bell_wait(&segment, seen, 0);
    atomic_fetch_add(awake, 1);
    bell_announce(&segment);
    return NULL;
}

START_TEST(one_ring_reaches_all_when_it_is_announced)
{
    pthread_t sleepers[40];
    atomic_u32 awake = 0;

    start(1);
    for (unsigned i = 0; i < COUNT_OF(sleepers); i++)
        pthread_create(&sleepers[i], NULL, sleep_until_it_rings, &awake);
    bell_ring(&segment);
    for (unsigned i = 0; i < COUNT_OF(sleepers); i++)
        pthread_join(sleepers[i], NULL);
    ck_assert_uint_eq(atomic_load(&awake), COUNT_OF(sleepers));
}
END_TEST

START_TEST(wait_for_the_bell_ends_with_its_time_or_when_it_has_rung_already)
{
    uint64_t began;

    start(1);
    began = clock_boot_ns();
    bell_wait(&segment, 0, 20 * NS_PER_MS);
    ck_assert_uint_ge(clock_boot_ns() - began, 15 * NS_PER_MS);
    bell_ring(&segment);
    bell_wait(&segment, 0, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        first_check_gives_a_verdict_and_an_event,
        check_that_changes_nothing_writes_no_event_and_rings_no_bell,
        unhealthy_active_endpoint_is_left_with_grace_and_bell,
        endpoint_that_turns_unhealthy_again_starts_grace_again,
        passed_check_after_grace_brings_the_host_back,
        verdict_that_has_run_out_is_given_anew_by_one_check,
        passed_checks_close_a_half_open_breaker,
        failed_check_is_the_last_error_in_words,
        check_of_an_earlier_epoch_changes_nothing,
        epochs_are_in_order_when_their_number_wraps,
        endpoint_in_a_used_slot_starts_unknown_and_under_the_same_epoch,
        result_for_an_endpoint_that_has_gone_is_dropped,
        read_only_process_records_nothing,
        complaint_names_the_trouble_of_a_living_endpoint,
        hints_of_many_are_one_per_40_ms,
        history_is_newest_first_and_bounded,
        record_that_is_being_written_is_left_out,
        percentiles_are_of_answered_checks,
        average_moves_an_eighth_and_arrives,
        reader_never_sees_a_mix_of_two_checks,
        unhealthy_endpoint_must_be_shut_when_another_is_eligible,
        drained_endpoint_must_be_shut,
        nothing_is_shut_where_the_settings_or_the_operator_forbid_it,
        verdict_that_has_run_out_shuts_nothing,
        bell_rings_when_another_endpoint_comes_back_from_the_dead,
        one_ring_reaches_all_when_it_is_announced,
        wait_for_the_bell_ends_with_its_time_or_when_it_has_rung_already,
    };

    return world_run("state_checked", tests, COUNT_OF(tests));
}

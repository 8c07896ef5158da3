/* Decisions with a clock of the test's own: `now` is an argument everywhere. */
#include "state/decision.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "policy/verdict.h"
#include "state/bell.h"
#include "state/events.h"
#include "state/lease.h"
#include "state/live.h"
#include "state_world.h"

enum { THREADS = 16 };

static struct world *world;
static struct segment segment;
static uint64_t now;

static struct service_view view_of(uint32_t index)
{
    struct bank_view view;
    struct service_view service;

    ck_assert(bank_open(&segment, &view));
    ck_assert(service_read(&view, index, &service));
    ck_assert(bank_valid(&view));
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

/* As the prober would, of an endpoint that it has just checked. */
static void give_verdict(const struct service_view *service, uint32_t index, enum health health)
{
    struct endpoint_live *live = service->endpoint_live[index];

    store_relaxed(&live->checked_ns, now);
    store_relaxed(&live->health, verdict_pack((struct verdict){.health = (uint8_t)health}));
}

static void refuse_twice(const struct service_view *service, uint32_t index)
{
    service_report(service, index, ECONNREFUSED, NS_PER_MS, now);
    service_report(service, index, ECONNREFUSED, NS_PER_MS, now);
}

START_TEST(first_choice_is_the_highest_weight_and_no_switch)
{
    struct service_view service = start(3);
    struct choice choice = service_decide(&service, now);

    ck_assert_int_eq(choice.endpoint, 0);
    ck_assert_int_eq(active(&service), 0);
    ck_assert_uint_eq(load_relaxed(&service.live->switches), 0);
    ck_assert_uint_eq(count_events(EVENT_FAILOVER, NULL), 0);
}
END_TEST

START_TEST(choosing_alone_changes_nothing)
{
    struct service_view service = start(2);

    ck_assert_int_eq(service_choice(&service, now).endpoint, 0);
    ck_assert_int_eq(active(&service), -1);
}
END_TEST

START_TEST(open_breaker_of_the_active_endpoint_moves_the_host)
{
    struct service_view service = start(2);
    struct last_switch last;
    struct event event;

    service_decide(&service, now);
    service_report(&service, 0, ECONNREFUSED, NS_PER_MS, now);
    ck_assert_int_eq(active(&service), 0);
    service_report(&service, 0, ECONNREFUSED, NS_PER_MS, now);
    ck_assert_int_eq(active(&service), 1);

    ck_assert_uint_eq(load_relaxed(&service.live->switches), 1);
    ck_assert_uint_eq(count_events(EVENT_BREAKER, &event), 1);
    ck_assert_str_eq(event.endpoint, "e0");
    ck_assert_str_eq(event.from, "closed");
    ck_assert_str_eq(event.to, "open");
    ck_assert_uint_eq(count_events(EVENT_FAILOVER, &event), 1);
    ck_assert_str_eq(event.service, "cache");
    ck_assert_str_eq(event.from, "e0");
    ck_assert_str_eq(event.to, "e1");
    ck_assert_str_eq(event.reason, "breaker");
    ck_assert(last_switch_read(service.live, &last));
    ck_assert_uint_eq(last.from, service.endpoints[0].slot);
    ck_assert_uint_eq(last.to, service.endpoints[1].slot);
    ck_assert_int_eq(last.reason, CHOICE_BREAKER);
}
END_TEST

START_TEST(report_counts_and_remembers_the_error)
{
    struct service_view service = start(2);
    uint64_t wall_ms;

    service_report(&service, 0, 0, NS_PER_MS, now);
    service_report(&service, 0, ETIMEDOUT, NS_PER_MS, now);
    service_report(&service, 0, EADDRNOTAVAIL, NS_PER_MS, now);
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->connects[OUTCOME_OK]), 1);
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->connects[OUTCOME_TIMEOUT]), 1);
    ck_assert_int_eq(last_error_unpack(load_relaxed(&service.endpoint_live[0]->last_error),
                                       &wall_ms),
                     ETIMEDOUT);
}
END_TEST

START_TEST(unhealthy_verdict_moves_the_host_and_starts_grace)
{
    struct service_view service = start(2);
    struct event event;

    service_decide(&service, now);
    give_verdict(&service, 0, HEALTH_UNHEALTHY);
    ck_assert_int_eq(service_decide(&service, now).endpoint, 1);
    ck_assert_uint_eq(count_events(EVENT_FAILOVER, &event), 1);
    ck_assert_str_eq(event.reason, "health-check");
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->grace_until_ns), now + 60 * NS_PER_S);
}
END_TEST

START_TEST(verdict_that_nobody_renews_runs_out)
{
    struct service_view service = start(2);

    give_verdict(&service, 0, HEALTH_UNHEALTHY);
    now += 4 * NS_PER_S;
    ck_assert_int_eq(service_health(&service, 0, now), HEALTH_UNHEALTHY);
    ck_assert_int_eq(service_choice(&service, now).endpoint, 1);
    now++;
    ck_assert_int_eq(service_health(&service, 0, now), HEALTH_UNKNOWN);
    ck_assert_int_eq(service_choice(&service, now).endpoint, 0);
}
END_TEST

START_TEST(verdicts_of_quick_checks_outlast_a_change_of_the_prober)
{
    struct service_view service = start(2);

    world->endpoints[0][0].settings.health.interval_ns = 100 * NS_PER_MS;
    world->endpoints[0][0].settings.health.timeout_ns = 100 * NS_PER_MS;
    world_publish(world);
    service = view_of(0);
    give_verdict(&service, 0, HEALTH_UNHEALTHY);
    now += 2 * LEASE_NS;
    ck_assert_int_eq(service_health(&service, 0, now), HEALTH_UNHEALTHY);
    now++;
    ck_assert_int_eq(service_health(&service, 0, now), HEALTH_UNKNOWN);
}
END_TEST

START_TEST(verdict_from_before_checks_were_disabled_does_not_count)
{
    struct service_view service = start(2);

    give_verdict(&service, 0, HEALTH_UNHEALTHY);
    ck_assert_int_eq(service_choice(&service, now).endpoint, 1);
    world->endpoints[0][0].settings.health.enabled = 0;
    world_publish(world);
    service = view_of(0);
    ck_assert_int_eq(service_choice(&service, now).endpoint, 0);
}
END_TEST

START_TEST(switch_rings_the_bell_and_the_first_choice_does_not)
{
    struct service_view service = start(2);

    service_decide(&service, now);
    ck_assert_uint_eq(bell_count(&segment), 0);
    give_verdict(&service, 0, HEALTH_UNHEALTHY);
    service_decide(&service, now);
    ck_assert_uint_eq(bell_count(&segment), 1);
}
END_TEST

START_TEST(drained_endpoint_is_left_without_grace)
{
    struct service_view service = start(2);
    struct event event;

    service_decide(&service, now);
    store_relaxed(&service.endpoint_live[0]->admin, ADMIN_DRAIN);
    ck_assert_int_eq(service_decide(&service, now).endpoint, 1);
    ck_assert_uint_eq(count_events(EVENT_FAILOVER, &event), 1);
    ck_assert_str_eq(event.reason, "drained");
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->grace_until_ns), 0);
}
END_TEST

START_TEST(successful_trials_after_grace_bring_the_host_back)
{
    struct service_view service = start(2);
    struct event event;

    service_decide(&service, now);
    refuse_twice(&service, 0);
    ck_assert_int_eq(active(&service), 1);

    now += 59 * NS_PER_S; /* half-open by now, and still in grace */
    ck_assert_int_eq(service_choice(&service, now).trial, -1);
    now += NS_PER_S;
    ck_assert_int_eq(service_choice(&service, now).trial, 0);
    service_report(&service, 0, 0, NS_PER_MS, now);
    ck_assert_int_eq(active(&service), 1);
    service_report(&service, 0, 0, NS_PER_MS, now);
    ck_assert_int_eq(active(&service), 0);

    ck_assert_uint_eq(count_events(EVENT_FAILBACK, &event), 1);
    ck_assert_str_eq(event.from, "e1");
    ck_assert_str_eq(event.to, "e0");
    ck_assert_str_eq(event.reason, "failback");
    ck_assert_uint_eq(load_relaxed(&service.live->switches), 2);
}
END_TEST

START_TEST(failed_trial_starts_grace_again)
{
    struct service_view service = start(2);

    service_decide(&service, now);
    refuse_twice(&service, 0);
    now += 61 * NS_PER_S;
    service_report(&service, 0, ECONNREFUSED, NS_PER_MS, now);
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->grace_until_ns), now + 60 * NS_PER_S);
    now += 59 * NS_PER_S;
    ck_assert_int_eq(service_choice(&service, now).trial, -1);
}
END_TEST

START_TEST(late_report_does_not_shorten_grace)
{
    struct service_view service = start(3);

    service_decide(&service, now);
    refuse_twice(&service, 0);
    give_verdict(&service, 0, HEALTH_UNHEALTHY);
    breaker_reset(&service.endpoint_live[0]->breaker);
    now -= 10 * NS_PER_S;
    refuse_twice(&service, 0);
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->grace_until_ns), now + 70 * NS_PER_S);
}
END_TEST

START_TEST(nothing_eligible_keeps_the_active_endpoint)
{
    struct service_view service = start(2);

    service_decide(&service, now);
    refuse_twice(&service, 0);
    refuse_twice(&service, 1);
    ck_assert_int_eq(service_decide(&service, now).endpoint, -1);
    ck_assert_int_eq(active(&service), 1);
    ck_assert_uint_eq(load_relaxed(&service.live->switches), 1);
}
END_TEST

START_TEST(removed_active_endpoint_is_named_in_the_event)
{
    struct service_view service = start(3);
    struct event event;

    service_decide(&service, now);
    world->services[0].endpoint_count = 2;
    memmove(&world->endpoints[0][0], &world->endpoints[0][1], 2 * sizeof(world->endpoints[0][0]));
    ck_assert_int_eq(world_publish(world), PUBLISHED_CHANGE);

    service = view_of(0);
    ck_assert_int_eq(active(&service), -1);
    ck_assert_int_eq(service_decide(&service, now).endpoint, 0);
    ck_assert_uint_eq(count_events(EVENT_FAILOVER, &event), 1);
    ck_assert_str_eq(event.reason, "removed");
    ck_assert_str_eq(event.from, "e0");
    ck_assert_str_eq(event.to, "e1");
}
END_TEST

START_TEST(report_about_a_slot_that_has_gone_to_another_is_dropped)
{
    struct service_view service = start(2);

    store_relaxed(&service.endpoint_live[0]->generation, 2);
    service_report(&service, 0, ECONNREFUSED, NS_PER_MS, now);
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->connects[OUTCOME_REFUSED]), 0);
}
END_TEST

START_TEST(read_only_process_decides_for_itself_alone)
{
    struct service_view service = start(2);

    segment.writable = false;
    ck_assert_int_eq(service_decide(&service, now).endpoint, 0);
    service_report(&service, 0, ECONNREFUSED, NS_PER_MS, now);
    ck_assert_int_eq(active(&service), -1);
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->connects[OUTCOME_REFUSED]), 0);
}
END_TEST

START_TEST(mode_at_run_time_goes_before_the_settings)
{
    struct service_view service = start(1);

    ck_assert_int_eq(service_mode(&service, now), MODE_STEER);
    store_relaxed(&service.live->mode, runtime_mode_pack(RUNTIME_OFF, 0));
    ck_assert_int_eq(service_mode(&service, now), MODE_OFF);
}
END_TEST

/* ---- other strategies ---- */

static struct service_view start_with(enum strategy strategy, unsigned endpoints)
{
    world = world_new();
    world_add_service(world, "cache", endpoints)->settings.strategy = (uint8_t)strategy;
    world_publish(world);
    segment = world_attach(world);
    now = 1000 * NS_PER_S;
    return view_of(0);
}

static void set_latency(const struct service_view *service, uint32_t index, uint32_t us)
{
    give_verdict(service, index, HEALTH_HEALTHY);
    store_relaxed(&service->endpoint_live[index]->latency, us);
}

START_TEST(faster_endpoint_takes_over_after_five_seconds_without_a_break)
{
    struct service_view service = start_with(STRATEGY_LATENCY, 2);
    struct event event;

    set_latency(&service, 0, 1000);
    set_latency(&service, 1, 2000);
    ck_assert_int_eq(service_decide(&service, now).endpoint, 0);
    for (int round = 0; round < 2; round++) {
        set_latency(&service, 0, 9000);
        for (int second = 0; second < 5; second++, now += NS_PER_S) {
            set_latency(&service, 1, 2000);
            ck_assert_int_eq(service_decide(&service, now).endpoint, 0);
        }
        if (round == 0) {
            set_latency(&service, 1, 8000); /* a moment as slow: all over again */
            ck_assert_int_eq(service_decide(&service, now).endpoint, 0);
        }
    }
    set_latency(&service, 1, 2000);
    ck_assert_int_eq(service_decide(&service, now).endpoint, 1);
    ck_assert_int_eq(active(&service), 1);
    ck_assert_uint_eq(count_events(EVENT_FAILBACK, &event), 1);
    ck_assert_str_eq(event.endpoint, "e1");
}
END_TEST

START_TEST(connections_of_a_spreading_service_take_turns)
{
    struct service_view service = start_with(STRATEGY_ROUND_ROBIN, 3);

    for (int turn = 0; turn < 9; turn++) {
        ck_assert_int_eq(service_choice(&service, now).endpoint, turn % 3);
        ck_assert_int_eq(service_decide(&service, now).endpoint, turn % 3);
        ck_assert_int_eq(service_target(&service, now).endpoint, turn % 3);
    }
    ck_assert_int_eq(active(&service), -1);
    refuse_twice(&service, 1);
    for (int turn = 0; turn < 9; turn++)
        ck_assert_int_ne(service_target(&service, now).endpoint, 1);
    ck_assert_uint_eq(load_relaxed(&service.live->switches), 0);
}
END_TEST

START_TEST(endpoint_that_recovers_gets_more_and_more)
{
    struct service_view service = start_with(STRATEGY_WEIGHTED, 2);
    unsigned got[3];

    for (int phase = 0; phase < 3; phase++) {
        got[phase] = 0;
        for (uint32_t i = 0; i < 2; i++)
            give_verdict(&service, i, HEALTH_HEALTHY);
        store_relaxed(&service.endpoint_live[1]->recovered_ns, 1000 * NS_PER_S);
        for (int i = 0; i < 1000; i++)
            got[phase] += service_target(&service, now).endpoint == 1;
        now += 5 * NS_PER_S;
    }
    ck_assert_uint_lt(got[0], 120);          /* a tenth of a share */
    ck_assert(got[1] > 300 && got[1] < 370); /* half of one */
    ck_assert(got[2] > 480 && got[2] < 520);
}
END_TEST

START_TEST(connections_are_those_counted_and_those_steered_since)
{
    struct service_view service = start_with(STRATEGY_LEAST_CONNECTIONS, 2);
    struct endpoint_live *live = service.endpoint_live[0];

    for (int i = 0; i < 7; i++)
        count_up(&live->steered);
    ck_assert_uint_eq(live_connections(live), 7);
    live_count_connections(live, 3);
    ck_assert_uint_eq(live_connections(live), 3);
    count_up(&live->steered);
    ck_assert_uint_eq(live_connections(live), 4);
    for (int i = 0; i < 4; i++) {
        int picked = service_target(&service, now).endpoint;

        ck_assert_int_eq(picked, 1);
        count_up(&service.endpoint_live[picked]->steered);
    }
}
END_TEST

START_TEST(slow_check_is_a_slow_call)
{
    struct service_view service = start(2);

    service.settings.breaker.slow_rate = 10000;
    for (int i = 0; i < 10; i++)
        ck_assert(!service_passed_check(&service, 0, NS_PER_S - 1, now));
    for (int i = 0; i < 4; i++)
        ck_assert(!service_passed_check(&service, 0, NS_PER_S, now));
    ck_assert(
        service_passed_check(&service, 0, NS_PER_S, now)); /* min_calls = 5, slow_rate = 100 % */
    ck_assert_int_eq(service_decide(&service, now).endpoint, 1);
}
END_TEST

/* ---- what happens while somebody decides ---- */

/*
 * Linked with --wrap=choose: right after a choice was made, and before it is put in place, another
 * process may do anything. `meanwhile` does it once.
 */
struct choice __real_choose(const struct choice_rules *rules, const struct candidate candidates[],
                            unsigned count, int current, uint64_t now_ns);
struct choice __wrap_choose(const struct choice_rules *rules, const struct candidate candidates[],
                            unsigned count, int current, uint64_t now_ns);

static _Thread_local void (*meanwhile)(void);
static struct service_view *observed;

struct choice __wrap_choose(const struct choice_rules *rules, const struct candidate candidates[],
                            unsigned count, int current, uint64_t now_ns)
{
    struct choice choice = __real_choose(rules, candidates, count, current, now_ns);
    void (*action)(void) = meanwhile;

    meanwhile = NULL;
    if (action)
        action();
    return choice;
}

static void endpoint_1_fails(void)
{
    give_verdict(observed, 1, HEALTH_UNHEALTHY);
}

static void endpoint_0_recovers_and_all_decide_so(void)
{
    give_verdict(observed, 0, HEALTH_HEALTHY);
    give_verdict(observed, 1, HEALTH_UNHEALTHY);
    store_relaxed(&observed->live->active,
                  active_pack((struct active){.epoch = 9, .slot = observed->endpoints[2].slot}));
}

START_TEST(choice_that_aged_before_it_was_put_in_place_is_made_again)
{
    struct service_view service = start(3);

    observed = &service;
    service_decide(&service, now);
    give_verdict(&service, 0, HEALTH_UNHEALTHY);
    meanwhile = endpoint_1_fails;
    ck_assert_int_eq(service_decide(&service, now).endpoint, 2);
    ck_assert_int_eq(active(&service), 2);
    ck_assert_uint_eq(count_events(EVENT_FAILOVER, NULL), 2);
}
END_TEST

START_TEST(loser_of_the_swap_takes_the_winners_choice)
{
    struct service_view service = start(3);

    observed = &service;
    service.settings.failover.failback = 0;
    service_decide(&service, now);
    give_verdict(&service, 0, HEALTH_UNHEALTHY);
    give_verdict(&service, 2, HEALTH_HEALTHY);
    meanwhile = endpoint_0_recovers_and_all_decide_so;
    ck_assert_int_eq(service_decide(&service, now).endpoint, 2);
    ck_assert_uint_eq(active_unpack(load_relaxed(&service.live->active)).epoch, 9);
    ck_assert_uint_eq(count_events(EVENT_FAILOVER, NULL), 0);
}
END_TEST

/* ---- all at once ---- */

static pthread_barrier_t barrier;

static void *report_refusals(void *argument)
{
    const struct service_view *service = argument;

    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 50; i++)
        service_report(service, 0, ECONNREFUSED, NS_PER_MS, now);
    return NULL;
}

static void *report_successes(void *argument)
{
    const struct service_view *service = argument;

    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 50; i++)
        service_report(service, 0, 0, NS_PER_MS, now);
    return NULL;
}

static void in_all_threads(void *(*body)(void *), struct service_view *service)
{
    pthread_t threads[THREADS];

    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, body, service);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
}

START_TEST(sixteen_reporters_fail_over_once_and_back_once)
{
    struct service_view service = start(2);

    service_decide(&service, now);
    in_all_threads(report_refusals, &service);
    ck_assert_int_eq(active(&service), 1);
    ck_assert_uint_eq(count_events(EVENT_FAILOVER, NULL), 1);
    ck_assert_uint_eq(count_events(EVENT_BREAKER, NULL), 1);
    ck_assert_uint_eq(load_relaxed(&service.endpoint_live[0]->connects[OUTCOME_REFUSED]),
                      THREADS * 50);

    now += 61 * NS_PER_S;
    in_all_threads(report_successes, &service);
    ck_assert_int_eq(active(&service), 0);
    ck_assert_uint_eq(count_events(EVENT_FAILBACK, NULL), 1);
    ck_assert_uint_eq(load_relaxed(&service.live->switches), 2);
}
END_TEST

/* Verdicts flip while all decide; what stands at the end must follow from the last states. */
static void *decide_often(void *argument)
{
    const struct service_view *service = argument;

    pthread_barrier_wait(&barrier);
    for (uint32_t i = 0; i < 12; i++) {
        give_verdict(service, i % 3, i % 2 ? HEALTH_HEALTHY : HEALTH_UNHEALTHY);
        service_decide(service, now);
    }
    for (uint32_t i = 0; i < 3; i++)
        give_verdict(service, i, i == 2 ? HEALTH_HEALTHY : HEALTH_UNHEALTHY);
    service_decide(service, now);
    return NULL;
}

START_TEST(no_decision_from_old_states_stands)
{
    struct service_view service = start(3);

    for (int round = 0; round < 200; round++) {
        uint32_t epoch;

        in_all_threads(decide_often, &service);
        ck_assert_int_eq(active(&service), 2);
        epoch = active_unpack(load_relaxed(&service.live->active)).epoch;
        /* Each epoch but the first is one switch. */
        ck_assert_uint_eq(load_relaxed(&service.live->switches), epoch - 1);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        first_choice_is_the_highest_weight_and_no_switch,
        choosing_alone_changes_nothing,
        open_breaker_of_the_active_endpoint_moves_the_host,
        report_counts_and_remembers_the_error,
        unhealthy_verdict_moves_the_host_and_starts_grace,
        verdict_that_nobody_renews_runs_out,
        verdicts_of_quick_checks_outlast_a_change_of_the_prober,
        verdict_from_before_checks_were_disabled_does_not_count,
        switch_rings_the_bell_and_the_first_choice_does_not,
        drained_endpoint_is_left_without_grace,
        successful_trials_after_grace_bring_the_host_back,
        failed_trial_starts_grace_again,
        late_report_does_not_shorten_grace,
        nothing_eligible_keeps_the_active_endpoint,
        removed_active_endpoint_is_named_in_the_event,
        report_about_a_slot_that_has_gone_to_another_is_dropped,
        read_only_process_decides_for_itself_alone,
        mode_at_run_time_goes_before_the_settings,
        faster_endpoint_takes_over_after_five_seconds_without_a_break,
        connections_of_a_spreading_service_take_turns,
        endpoint_that_recovers_gets_more_and_more,
        connections_are_those_counted_and_those_steered_since,
        slow_check_is_a_slow_call,
        choice_that_aged_before_it_was_put_in_place_is_made_again,
        loser_of_the_swap_takes_the_winners_choice,
        sixteen_reporters_fail_over_once_and_back_once,
        no_decision_from_old_states_stands,
    };

    return world_run("state_decision", tests, COUNT_OF(tests));
}

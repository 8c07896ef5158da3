#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "policy/outcome.h"
#include "settings/settings.h"
#include "unit.h"

enum {
    FAILURES = OUTCOME_BIT(OUTCOME_REFUSED) | OUTCOME_BIT(OUTCOME_TIMEOUT) |
               OUTCOME_BIT(OUTCOME_RESET) | OUTCOME_BIT(OUTCOME_UNREACHABLE),
};

static struct settings *parse(const char *text)
{
    static struct complaints complaints;
    struct settings *settings;
    int error = settings_parse(text, strlen(text), &settings, &complaints);

    ck_assert_msg(error == 0, "line %u: %s", complaints.list[0].line, complaints.list[0].text);
    return settings;
}

/* Nothing but what has no default. */
static struct settings *smallest(void)
{
    return parse("service cache { match = { r } endpoint east { address = 127.0.0.1 } }\n");
}

START_TEST(file_defaults)
{
    struct settings *settings = smallest();

    ck_assert_str_eq(settings->zone, "");
    ck_assert_int_eq(settings->monitor, MONITOR_AUTO);
    ck_assert(!settings->shared);
    ck_assert_uint_eq(settings->only_count, 0);
    ck_assert_uint_eq(settings->skip_count, 0);
    ck_assert_int_eq(settings->log_level, LOG_WARN);
    ck_assert_str_eq(settings->log_file, "");
    ck_assert_uint_eq(settings->events_timeout_ns, 10 * NS_PER_S);
    ck_assert(!settings->events_checks);
    ck_assert_uint_eq(settings->service_count, 1);
    settings_free(settings);
}
END_TEST

START_TEST(service_defaults_of_choosing)
{
    struct settings *settings = smallest();
    const struct service *service = settings->services;
    const struct failover_rules *failover = &service->failover;

    ck_assert_int_eq(service->mode, MODE_STEER);
    ck_assert_int_eq(service->strategy, STRATEGY_PRIORITY);
    ck_assert_int_eq(service->resolve, RESOLVE_MEMBER);
    ck_assert_int_eq(service->when_all_down, ALL_DOWN_TRY);
    ck_assert(failover->close_connections);
    ck_assert(failover->failback);
    ck_assert_uint_eq(failover->failback_check_ns, NS_PER_S);
    ck_assert_uint_eq(failover->grace_ns, 60 * NS_PER_S);
    ck_assert_int_eq(failover->existing, EXISTING_IDLE);
    ck_assert_uint_eq(failover->spread_ns, 30 * NS_PER_S);
    settings_free(settings);
}
END_TEST

START_TEST(health_defaults)
{
    struct settings *settings = smallest();
    const struct health_rules *health = &settings->services->health;

    ck_assert(health->enabled);
    ck_assert_uint_eq(health->probe.count, 1);
    ck_assert_uint_eq(health->probe.checks[0], CHECK_BUILT_IN | PROBE_PING);
    ck_assert_int_eq(health->role, ROLE_ANY);
    ck_assert_uint_eq(health->interval_ns, NS_PER_S);
    ck_assert_uint_eq(health->fast_interval_ns, 200 * NS_PER_MS);
    ck_assert_uint_eq(health->timeout_ns, NS_PER_S);
    ck_assert_uint_eq(health->fall, 2);
    ck_assert_uint_eq(health->rise, 2);
    ck_assert_uint_eq(health->probes, 1);
    ck_assert_int_eq(health->policy, PROBES_ALL);
    ck_assert_uint_eq(health->gap_ns, 100 * NS_PER_MS);
    ck_assert_uint_eq(health->jitter, 500);
    settings_free(settings);
}
END_TEST

START_TEST(breaker_defaults)
{
    struct settings *settings = smallest();
    const struct breaker_rules *breaker = &settings->services->breaker;

    ck_assert(breaker->enabled);
    ck_assert_uint_eq(breaker->window_ns, 10 * NS_PER_S);
    ck_assert_uint_eq(breaker->window_calls, 0);
    ck_assert_uint_eq(breaker->min_calls, 5);
    ck_assert_uint_eq(breaker->failure_rate, 5000);
    ck_assert_uint_eq(breaker->refused, 2);
    ck_assert_uint_eq(breaker->timeouts, 2);
    ck_assert_uint_eq(breaker->slow_call_ns, NS_PER_S);
    ck_assert_uint_eq(breaker->slow_rate, 10000);
    ck_assert_uint_eq(breaker->open_ns, NS_PER_S);
    ck_assert_uint_eq(breaker->open_backoff_milli, 2000);
    ck_assert_uint_eq(breaker->open_max_ns, 30 * NS_PER_S);
    ck_assert_uint_eq(breaker->half_open_calls, 1);
    ck_assert_uint_eq(breaker->half_open_successes, 2);
    ck_assert_uint_eq(breaker->count, FAILURES);
    settings_free(settings);
}
END_TEST

START_TEST(connect_and_retry_defaults)
{
    struct settings *settings = smallest();
    const struct connect_rules *connecting = &settings->services->connect;
    const struct retry_rules *retry = &settings->services->retry;

    ck_assert_uint_eq(connecting->timeout_ns, 1500 * NS_PER_MS);
    ck_assert_uint_eq(connecting->keepalive_ns, 15 * NS_PER_S);
    ck_assert_uint_eq(connecting->user_timeout_ns, 30 * NS_PER_S);
    ck_assert_uint_eq(connecting->rate, 0);
    ck_assert_uint_eq(connecting->max_age_ns, 0);
    ck_assert_uint_eq(retry->attempts, 3);
    ck_assert_uint_eq(retry->wait_ns, 0);
    ck_assert_uint_eq(retry->backoff_milli, 2000);
    ck_assert_uint_eq(retry->jitter, 5000);
    ck_assert_uint_eq(retry->errors, FAILURES);
    settings_free(settings);
}
END_TEST

START_TEST(endpoint_and_match_defaults)
{
    struct settings *settings = smallest();
    const struct endpoint *endpoint = &settings->services->endpoints[0];
    const struct match_entry *match = &settings->services->matches[0];

    ck_assert_uint_eq(endpoint->at.port, 6379);
    ck_assert_uint_eq(endpoint->weight_milli, 1000);
    ck_assert_str_eq(endpoint->zone, "");
    ck_assert_ptr_null(endpoint->username);
    ck_assert_ptr_null(endpoint->password);
    ck_assert_ptr_null(endpoint->password_file);
    ck_assert_uint_eq(match->at.port, 6379);
    ck_assert(match->is_name && !match->at.any_port);
    settings_free(settings);
}
END_TEST

START_TEST(endpoint_overrides_health_option_by_option)
{
    struct settings *settings = parse("service a {\n match = { r }\n"
                                      " endpoint e { address = x health { timeout = 2s } }\n"
                                      " endpoint f { address = y }\n"
                                      " health { timeout = 3s fall = 7 probe = tcp }\n}\n");
    const struct endpoint *endpoints = settings->services->endpoints;

    ck_assert_uint_eq(endpoints[0].health.timeout_ns, 2 * NS_PER_S);
    ck_assert_uint_eq(endpoints[0].health.fall, 7);
    ck_assert_uint_eq(endpoints[0].health.probe.checks[0], CHECK_BUILT_IN | PROBE_TCP);
    ck_assert_uint_eq(endpoints[1].health.timeout_ns, 3 * NS_PER_S);
    settings_free(settings);
}
END_TEST

START_TEST(values_and_lines_are_kept)
{
    struct settings *settings =
        parse("\xef\xbb\xbfzone = 'eu-1' // where\r\n/* a\r\n b */ programs { only = { # three\n"
              "a, 'b c', \"d\\\"\\\\\\$\" } }\n"
              "service a {\n  match = { 'R.Internal.:*',\n   [FD00::5]:7, ::1 }\n"
              "  mode = observe resolve = virtual when_all_down = wait:1.5s\n"
              "  endpoint \"e.1\" { address = EAST:1 weight = 0.125\n password = 'p\"$#' }\n"
              "  breaker { window = 100 min_calls = 9 failure_rate = 12.5 count = {} }\n}\n");
    const struct service *service = settings->services;

    ck_assert_str_eq(settings->zone, "eu-1");
    ck_assert_uint_eq(settings->only_count, 3);
    ck_assert_str_eq(settings->only[1], "b c");
    ck_assert_str_eq(settings->only[2], "d\"\\$");
    ck_assert_uint_eq(service->line, 5);
    ck_assert_uint_eq(service->match_count, 3);
    ck_assert_str_eq(service->matches[0].at.host, "r.internal");
    ck_assert(service->matches[0].at.any_port);
    ck_assert(!service->matches[1].is_name);
    ck_assert_uint_eq(service->matches[1].line, 7);
    ck_assert_uint_eq(service->matches[2].address.port, 6379);
    ck_assert_int_eq(service->mode, MODE_OBSERVE);
    ck_assert_int_eq(service->resolve, RESOLVE_VIRTUAL);
    ck_assert_int_eq(service->when_all_down, ALL_DOWN_WAIT);
    ck_assert_uint_eq(service->wait_ns, 1500 * NS_PER_MS);
    ck_assert_str_eq(service->endpoints[0].name, "e.1");
    ck_assert_uint_eq(service->endpoints[0].line, 9);
    ck_assert_uint_eq(service->endpoints[0].weight_milli, 125);
    ck_assert_str_eq(service->endpoints[0].password, "p\"$#");
    ck_assert_uint_eq(settings->password_line, 10);
    ck_assert_uint_eq(service->breaker.window_ns, 0);
    ck_assert_uint_eq(service->breaker.window_calls, 100);
    ck_assert_uint_eq(service->breaker.failure_rate, 1250);
    ck_assert_uint_eq(service->breaker.count, 0);
    settings_free(settings);
}
END_TEST

START_TEST(file_without_service_is_good)
{
    struct settings *settings = parse("");

    ck_assert_uint_eq(settings->service_count, 0);
    settings_free(settings);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        file_defaults,
        service_defaults_of_choosing,
        health_defaults,
        breaker_defaults,
        connect_and_retry_defaults,
        endpoint_and_match_defaults,
        endpoint_overrides_health_option_by_option,
        values_and_lines_are_kept,
        file_without_service_is_good,
    };

    return unit_run("settings_defaults", tests, COUNT_OF(tests));
}

#include "policy/outcome.h"
#include "settings/understand.h"

enum {
    FAILURES = OUTCOME_BIT(OUTCOME_REFUSED) | OUTCOME_BIT(OUTCOME_TIMEOUT) |
               OUTCOME_BIT(OUTCOME_RESET) | OUTCOME_BIT(OUTCOME_UNREACHABLE),
};

void settings_defaults(struct settings *settings)
{
    settings->monitor = MONITOR_AUTO;
    settings->log_level = LOG_WARN;
    settings->events_timeout_ns = 10 * NS_PER_S;
}

void service_defaults(struct service *service)
{
    service->strategy = STRATEGY_PRIORITY;
    service->resolve = RESOLVE_MEMBER;
    service->mode = MODE_STEER;
    service->when_all_down = ALL_DOWN_TRY;
    service->health = (struct health_rules){
        .enabled = true,
        .probe = {.count = 1, .checks = {CHECK_BUILT_IN | PROBE_PING}},
        .role = ROLE_ANY,
        .policy = PROBES_ALL,
        .interval_ns = NS_PER_S,
        .fast_interval_ns = 200 * NS_PER_MS,
        .timeout_ns = NS_PER_S,
        .gap_ns = 100 * NS_PER_MS,
        .fall = 2,
        .rise = 2,
        .probes = 1,
        .jitter = 500,
    };
    service->breaker = (struct breaker_rules){
        .enabled = true,
        .window_ns = 10 * NS_PER_S,
        .min_calls = 5,
        .failure_rate = 5000,
        .refused = 2,
        .timeouts = 2,
        .slow_call_ns = NS_PER_S,
        .slow_rate = 10000,
        .open_ns = NS_PER_S,
        .open_backoff_milli = 2000,
        .open_max_ns = 30 * NS_PER_S,
        .half_open_calls = 1,
        .half_open_successes = 2,
        .count = FAILURES,
    };
    service->connect = (struct connect_rules){
        .timeout_ns = 1500 * NS_PER_MS,
        .keepalive_ns = 15 * NS_PER_S,
        .user_timeout_ns = 30 * NS_PER_S,
    };
    service->retry = (struct retry_rules){
        .attempts = 3,
        .backoff_milli = 2000,
        .jitter = 5000,
        .errors = FAILURES,
    };
    service->discover.refresh_ns = 30 * NS_PER_S;
    service->failover = (struct failover_rules){
        .failback = true,
        .failback_check_ns = NS_PER_S,
        .grace_ns = 60 * NS_PER_S,
        .existing = EXISTING_IDLE,
        .spread_ns = 30 * NS_PER_S,
        .close_connections = true,
    };
}

void endpoint_defaults(struct endpoint *endpoint, const struct service *service)
{
    endpoint->weight_milli = 1000;
    endpoint->health = service->health;
    endpoint->tls.settings.verify = true;
}

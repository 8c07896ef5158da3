#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "settings/understand.h"

static void matches(const struct reading *reading, const struct input *in, struct service *service)
{
    size_t count = value_count(in, "match");

    if (count == 0 && reading->outline->whole)
        complain(reading->complaints, service->line, service->name,
                 "the service has no match entry, so no connection would ever be steered");
    if (count > MATCHES_MAX) {
        value_wrong(in, "match", value_at(in, "match", MATCHES_MAX), "has more than %d entries",
                    MATCHES_MAX);
        count = MATCHES_MAX;
    }
    for (size_t i = 0; i < count; i++) {
        const struct value *value = value_at(in, "match", i);
        struct match_entry *match = &service->matches[service->match_count];
        if (!understand_host(in, "match", value, true, &match->at))
            continue;
        match->line = value->line;
        match->is_name = address_parse_ip(match->at.host, &match->address) != 0;
        match->address.port = match->at.port;
        service->match_count++;
    }
}

static void when_all_down(const struct input *in, struct service *service)
{
    const struct value *value = value_of(in, "when_all_down");

    if (value && text_starts(value->text, "wait:")) {
        if (duration_of(in, "when_all_down", value, value->text + strlen("wait:"), NS_PER_MS,
                        5 * NS_PER_M, &service->wait_ns))
            service->when_all_down = ALL_DOWN_WAIT;
        return;
    }
    int word = value ? words_find(&all_down_words, value->text) : ALL_DOWN_TRY;
    if (word == ALL_DOWN_TRY || word == ALL_DOWN_REFUSE)
        service->when_all_down = (enum when_all_down)word;
    else
        value_wrong(in, "when_all_down", value, "must be try, refuse or wait:<duration>");
}

static void breaker_window(const struct input *in, struct breaker_rules *rules)
{
    const struct value *value = value_of(in, "window");

    if (!value)
        return;
    if (strspn(value->text, "0123456789") != strlen(value->text) || !*value->text) {
        rules->window_ns =
            value_duration(in, "window", rules->window_ns, 100 * NS_PER_MS, NS_PER_H);
        return;
    }
    uint32_t calls = value_number(in, "window", 0, 1, 512);
    if (!calls)
        return;
    rules->window_ns = 0;
    rules->window_calls = calls;
}

static void breaker(const struct input *in, struct breaker_rules *rules)
{
    rules->enabled = value_bool(in, "enabled", rules->enabled);
    breaker_window(in, rules);
    rules->min_calls = value_number(in, "min_calls", rules->min_calls, 1, 512);
    rules->failure_rate = value_percent(in, "failure_rate", rules->failure_rate);
    rules->refused = value_number(in, "refused", rules->refused, 0, 255);
    rules->timeouts = value_number(in, "timeouts", rules->timeouts, 0, 255);
    rules->slow_call_ns = value_duration(in, "slow_call", rules->slow_call_ns, NS_PER_MS, NS_PER_H);
    rules->slow_rate = value_percent(in, "slow_rate", rules->slow_rate);
    rules->open_ns = value_duration(in, "open", rules->open_ns, 10 * NS_PER_MS, NS_PER_H);
    rules->open_backoff_milli =
        value_milli(in, "open_backoff", rules->open_backoff_milli, 1000, 10000);
    rules->open_max_ns =
        value_duration(in, "open_max", rules->open_max_ns, 10 * NS_PER_MS, 24 * NS_PER_H);
    rules->half_open_calls = value_number(in, "half_open_calls", rules->half_open_calls, 1, 8);
    rules->half_open_successes =
        value_number(in, "half_open_successes", rules->half_open_successes, 1, 255);
    rules->count = value_outcomes(in, "count", rules->count);

    const struct value *longest = value_of(in, "open_max"), *open = value_of(in, "open");
    if (rules->open_max_ns < rules->open_ns)
        value_wrong(in, longest ? "open_max" : "open", longest ? longest : open,
                    longest ? "is shorter than breaker.open" : "is longer than breaker.open_max");
    const struct value *least = value_of(in, "min_calls"), *window = value_of(in, "window");
    if (!rules->window_ns && rules->min_calls > rules->window_calls)
        value_wrong(in, least ? "min_calls" : "window", least ? least : window,
                    least ? "is more than breaker.window holds (%u)"
                          : "is too small for breaker.min_calls (%u)",
                    least ? rules->window_calls : rules->min_calls);
}

static void connecting(const struct input *in, struct connect_rules *rules)
{
    const uint64_t keepalive_most = 32767 * NS_PER_S; /* Linux's TCP_KEEPIDLE */

    rules->timeout_ns = value_duration(in, "timeout", rules->timeout_ns, NS_PER_MS, 5 * NS_PER_M);
    rules->keepalive_ns = value_duration(in, "keepalive", rules->keepalive_ns, 0, keepalive_most);
    if (rules->keepalive_ns % NS_PER_S)
        value_wrong(in, "keepalive", value_of(in, "keepalive"), "must be in whole seconds");
    rules->user_timeout_ns =
        value_duration(in, "user_timeout", rules->user_timeout_ns, 0, 24 * NS_PER_H);
    rules->rate = value_number(in, "rate", 0, 0, 1000000);
    rules->max_age_ns = value_duration(in, "max_age", 0, 0, 168 * NS_PER_H);
}

static void retry(const struct input *in, struct retry_rules *rules)
{
    rules->attempts = value_number(in, "attempts", rules->attempts, 1, ATTEMPTS_MAX);
    rules->wait_ns = value_duration(in, "wait", rules->wait_ns, 0, NS_PER_M);
    rules->backoff_milli = value_milli(in, "backoff", rules->backoff_milli, 1000, 10000);
    rules->jitter = value_percent(in, "jitter", rules->jitter);
    rules->errors = value_outcomes(in, "errors", rules->errors);
}

static void failback(const struct reading *reading, const struct input *in,
                     struct failover_rules *rules)
{
    rules->failback = value_bool(in, "enabled", rules->failback);
    rules->failback_check_ns =
        value_duration(in, "check", rules->failback_check_ns, 10 * NS_PER_MS, NS_PER_H);
    rules->grace_ns = value_duration(in, "grace", rules->grace_ns, 0, 24 * NS_PER_H);
    rules->existing = (uint8_t)value_word(in, "existing", rules->existing, &existing_words);
    rules->spread_ns = value_duration(in, "spread", rules->spread_ns, 0, NS_PER_H);
    understand_probe(reading, in, true, &rules->gate);
}

static void selector(const struct reading *reading, const struct input *in, struct service *service)
{
    struct program_words *words = &service->selector;
    size_t count = value_count(in, "selector"), at = 0;

    if (service->strategy != STRATEGY_COMMAND) {
        if (count > 0)
            value_wrong(in, "selector", value_of(in, "selector"),
                        "has no place without strategy = command");
        return;
    }
    if (count == 0 && reading->outline->whole)
        value_wrong(in, "strategy", value_of(in, "strategy"),
                    "needs the program that ranks the endpoints (selector)");
    for (size_t i = 0; i < count; i++) {
        const struct value *value = value_at(in, "selector", i);
        size_t size = strlen(value->text) + 1;

        if (i == 0 && size == 1)
            value_wrong(in, "selector", value, "must begin with a program");
        if (words->count == CHECK_WORDS_MAX || size > sizeof(words->text) - at) {
            value_wrong(in, "selector", value, "is too long (%d words, %d bytes in all)",
                        CHECK_WORDS_MAX, CHECK_TEXT - 1);
            return;
        }
        memcpy(words->text + at, value->text, size);
        at += size;
        words->count++;
    }
}

static int options(struct reading *reading, const struct input *in, struct service *service)
{
    struct input block;
    int error;

    service->mode = value_word(in, "mode", service->mode, &mode_words);
    service->strategy = value_word(in, "strategy", service->strategy, &strategy_words);
    service->resolve = value_word(in, "resolve", service->resolve, &resolve_words);
    when_all_down(in, service);
    selector(reading, in, service);
    block = input_block(in, "discover");
    error = understand_discover(reading, &block, service);
    if (service->discover.sentinel_count)
        service->health.role = ROLE_MASTER; /* of those that Sentinels name only one may be it */
    block = input_block(in, "health");
    understand_health(reading, &block, &service->health);
    if (service->strategy == STRATEGY_LATENCY && !service->health.enabled)
        value_wrong(in, "strategy", value_of(in, "strategy"),
                    "needs health checks, which measure the latency (health.enabled)");
    block = input_block(in, "breaker");
    breaker(&block, &service->breaker);
    block = input_block(in, "connect");
    connecting(&block, &service->connect);
    block = input_block(in, "retry");
    retry(&block, &service->retry);
    block = input_block(in, "failover");
    service->failover.close_connections =
        value_bool(&block, "close_connections", service->failover.close_connections);
    block = input_block(in, "failback");
    failback(reading, &block, &service->failover);
    return error;
}

int understand_service(struct reading *reading, const struct input *in, struct service *service)
{
    size_t count = cfg_size(in->block, "endpoint");
    int error;

    text_copy(service->name, sizeof(service->name), cfg_title(in->block));
    if (!name_is_good(cfg_title(in->block)))
        complain(reading->complaints, service->line, cfg_title(in->block),
                 "a service's name must be 1 to %d letters, digits, '.', '-' or '_'",
                 NAME_TEXT - 1);
    matches(reading, in, service);
    error = options(reading, in, service);
    if (count == 0 && reading->outline->whole && !service->discover.sentinel_count &&
        !service->discover.srv_line)
        complain(reading->complaints, service->line, service->name, "the service has no endpoint");
    for (size_t i = 0; i < count && !error; i++) {
        struct input inner = {cfg_getnsec(in->block, "endpoint", (unsigned)i), in->complaints};
        error = understand_endpoint(reading, &inner, service,
                                    &service->endpoints[service->endpoint_count++]);
    }
    return error;
}

#include <inttypes.h>
#include <string.h>

#include "base/duration.h"
#include "policy/outcome.h"
#include "settings/print_check.h"
#include "settings/settings.h"
#include "settings/words.h"
#include "state/words.h"

static void text(FILE *out, const char *indent, const char *name, const char *value)
{
    fprintf(out, "%s%s = ", indent, name);
    print_quoted(out, value ? value : "");
    fputc('\n', out);
}

static void word(FILE *out, const char *indent, const char *name, const struct words *words,
                 unsigned value)
{
    fprintf(out, "%s%s = %s\n", indent, name, value < words->count ? words->word[value] : "?");
}

static void number(FILE *out, const char *indent, const char *name, uint32_t value)
{
    fprintf(out, "%s%s = %" PRIu32 "\n", indent, name, value);
}

/* 12.5% and 1.25, without trailing zeros. */
static void decimal(FILE *out, const char *indent, const char *name, uint32_t value, uint32_t unit,
                    const char *end)
{
    uint32_t rest = value % unit;

    fprintf(out, "%s%s = %" PRIu32, indent, name, value / unit);
    if (rest)
        fputc('.', out);
    for (uint32_t digit = unit / 10; rest; rest %= digit, digit /= 10)
        fprintf(out, "%" PRIu32, rest / digit);
    fprintf(out, "%s\n", end);
}

static void percent(FILE *out, const char *indent, const char *name, uint32_t value)
{
    decimal(out, indent, name, value, 100, "%");
}

static void milli(FILE *out, const char *indent, const char *name, uint32_t value)
{
    decimal(out, indent, name, value, 1000, value % 1000 ? "" : ".0");
}

static void outcomes(FILE *out, const char *indent, const char *name, uint32_t set)
{
    const char *separator = "";

    fprintf(out, "%s%s = {", indent, name);
    for (unsigned i = OUTCOME_REFUSED; i < outcome_words.count; i++) {
        if (set & OUTCOME_BIT(i)) {
            fprintf(out, "%s %s", separator, outcome_words.word[i]);
            separator = ",";
        }
    }
    fprintf(out, " }\n");
}

static void host(FILE *out, const struct host_port *at)
{
    bool v6 = strchr(at->host, ':') != NULL;

    fprintf(out, "%s%s%s%s", at->any_port ? "\"" : "", v6 ? "[" : "", at->host, v6 ? "]" : "");
    if (at->any_port)
        fprintf(out, ":*\"");
    else
        fprintf(out, ":%u", (unsigned)at->port);
}

static void programs(FILE *out, const char *name, size_t count,
                     const char list[static PROGRAMS_MAX][PROGRAM_TEXT])
{
    fprintf(out, "    %s = {", name);
    for (size_t i = 0; i < count; i++) {
        fputs(i ? ", " : " ", out);
        print_quoted(out, list[i]);
    }
    fprintf(out, " }\n");
}

static void print_health(FILE *out, const struct settings *settings, const char *outer,
                         const char *in, const struct health_rules *rules)
{
    fprintf(out, "%shealth {\n", outer);
    print_boolean(out, in, "enabled", rules->enabled);
    print_expression(settings, &rules->probe, in, "probe", out);
    word(out, in, "role", &role_words, rules->role);
    print_duration(out, in, "interval", rules->interval_ns);
    print_duration(out, in, "fast_interval", rules->fast_interval_ns);
    print_duration(out, in, "timeout", rules->timeout_ns);
    number(out, in, "fall", rules->fall);
    number(out, in, "rise", rules->rise);
    number(out, in, "probes", rules->probes);
    word(out, in, "policy", &policy_words, rules->policy);
    print_duration(out, in, "gap", rules->gap_ns);
    percent(out, in, "jitter", rules->jitter);
    fprintf(out, "%s}\n", outer);
}

static void print_breaker(FILE *out, const char *in, const struct breaker_rules *rules)
{
    fprintf(out, "    breaker {\n");
    print_boolean(out, in, "enabled", rules->enabled);
    if (rules->window_ns)
        print_duration(out, in, "window", rules->window_ns);
    else
        number(out, in, "window", rules->window_calls);
    number(out, in, "min_calls", rules->min_calls);
    percent(out, in, "failure_rate", rules->failure_rate);
    number(out, in, "refused", rules->refused);
    number(out, in, "timeouts", rules->timeouts);
    print_duration(out, in, "slow_call", rules->slow_call_ns);
    percent(out, in, "slow_rate", rules->slow_rate);
    print_duration(out, in, "open", rules->open_ns);
    milli(out, in, "open_backoff", rules->open_backoff_milli);
    print_duration(out, in, "open_max", rules->open_max_ns);
    number(out, in, "half_open_calls", rules->half_open_calls);
    number(out, in, "half_open_successes", rules->half_open_successes);
    outcomes(out, in, "count", rules->count);
    fprintf(out, "    }\n");
}

static void print_connecting(FILE *out, const char *in, const struct service *service)
{
    fprintf(out, "    connect {\n");
    print_duration(out, in, "timeout", service->connect.timeout_ns);
    print_duration(out, in, "keepalive", service->connect.keepalive_ns);
    print_duration(out, in, "user_timeout", service->connect.user_timeout_ns);
    number(out, in, "rate", service->connect.rate);
    print_duration(out, in, "max_age", service->connect.max_age_ns);
    fprintf(out, "    }\n    retry {\n");
    number(out, in, "attempts", service->retry.attempts);
    print_duration(out, in, "wait", service->retry.wait_ns);
    milli(out, in, "backoff", service->retry.backoff_milli);
    percent(out, in, "jitter", service->retry.jitter);
    outcomes(out, in, "errors", service->retry.errors);
    fprintf(out, "    }\n");
}

static void print_failover(FILE *out, const struct settings *settings, const char *in,
                           const struct failover_rules *rules)
{
    fprintf(out, "    failover {\n");
    print_boolean(out, in, "close_connections", rules->close_connections);
    fprintf(out, "    }\n    failback {\n");
    print_boolean(out, in, "enabled", rules->failback);
    print_duration(out, in, "check", rules->failback_check_ns);
    print_duration(out, in, "grace", rules->grace_ns);
    print_expression(settings, &rules->gate, in, "probe", out);
    word(out, in, "existing", &existing_words, rules->existing);
    print_duration(out, in, "spread", rules->spread_ns);
    fprintf(out, "    }\n");
}

static void print_endpoint(FILE *out, const struct settings *settings,
                           const struct endpoint *endpoint)
{
    const char *in = "        ";

    fprintf(out, "    endpoint %s {\n%saddress = ", endpoint->name, in);
    host(out, &endpoint->at);
    fputc('\n', out);
    milli(out, in, "weight", endpoint->weight_milli);
    text(out, in, "zone", endpoint->zone);
    text(out, in, "username", endpoint->username);
    text(out, in, "password", endpoint->password ? "***" : "");
    text(out, in, "password_file", endpoint->password_file);
    print_tls(out, in, &endpoint->tls, true);
    print_health(out, settings, in, "            ", &endpoint->health);
    fprintf(out, "    }\n");
}

static void print_nat_map(FILE *out, const struct discover *discover)
{
    char to[ADDRESS_TEXT];

    for (size_t i = 0; i < discover->nat_count; i++) {
        const struct host_port *from = &discover->nat[i].from;
        bool v6 = strchr(from->host, ':') != NULL;

        fprintf(out, "%s\"%s%s%s:%u=%s\"", i ? ", " : " ", v6 ? "[" : "", from->host, v6 ? "]" : "",
                (unsigned)from->port, address_format(&discover->nat[i].to, to));
    }
}

static void print_discover(FILE *out, const char *in, const struct discover *discover)
{
    fprintf(out, "    discover {\n%ssentinels = {", in);
    for (size_t i = 0; i < discover->sentinel_count; i++) {
        fputs(i ? ", " : " ", out);
        host(out, &discover->sentinels[i]);
    }
    fprintf(out, "%s}\n", discover->sentinel_count ? " " : "");
    text(out, in, "master_name", discover->master_name);
    number(out, in, "quorum", discover->quorum);
    text(out, in, "username", discover->username);
    text(out, in, "password_file", discover->password_file);
    text(out, in, "srv", discover->srv);
    fprintf(out, "%sdns = %s\n", in, discover->dns ? "true" : "false");
    print_duration(out, in, "refresh", discover->refresh_ns);
    fprintf(out, "%snat_map = {", in);
    print_nat_map(out, discover);
    fprintf(out, "%s}\n    }\n", discover->nat_count ? " " : "");
}

static void print_service(FILE *out, const struct settings *settings, const struct service *service)
{
    const char *in = "        ", *selector[CHECK_WORDS_MAX + 1];
    char wait[DURATION_TEXT];

    fprintf(out, "\nservice %s {\n    match = { ", service->name);
    for (size_t i = 0; i < service->match_count; i++) {
        fputs(i ? ", " : "", out);
        host(out, &service->matches[i].at);
    }
    fprintf(out, " }\n");
    word(out, "    ", "mode", &mode_words, service->mode);
    word(out, "    ", "strategy", &strategy_words, service->strategy);
    word(out, "    ", "resolve", &resolve_words, service->resolve);
    if (service->when_all_down == ALL_DOWN_WAIT)
        fprintf(out, "    when_all_down = wait:%s\n", duration_format(service->wait_ns, wait));
    else
        word(out, "    ", "when_all_down", &all_down_words, service->when_all_down);
    words_split(service->selector.text, sizeof(service->selector.text), service->selector.count,
                selector);
    print_words(out, "    ", "selector", selector);
    for (size_t i = 0; i < service->endpoint_count; i++)
        print_endpoint(out, settings, &service->endpoints[i]);
    print_discover(out, in, &service->discover);
    print_health(out, settings, "    ", in, &service->health);
    print_breaker(out, in, &service->breaker);
    print_connecting(out, in, service);
    print_failover(out, settings, in, &service->failover);
    fprintf(out, "}\n");
}

void settings_print(const struct settings *settings, FILE *out)
{
    text(out, "", "zone", settings->zone);
    word(out, "", "monitor", &monitor_words, settings->monitor);
    if (settings->shared)
        fprintf(out, "share_group = %u\n", (unsigned)settings->share_group);
    else
        text(out, "", "share_group", "");
    fprintf(out, "programs {\n");
    programs(out, "only", settings->only_count, settings->only);
    programs(out, "skip", settings->skip_count, settings->skip);
    fprintf(out, "}\nlog {\n");
    word(out, "    ", "level", &log_level_words, settings->log_level);
    text(out, "    ", "file", settings->log_file);
    fprintf(out, "}\nweb {\n    listen = \"\"\n}\nevents {\n    run = {}\n");
    print_duration(out, "    ", "timeout", settings->events_timeout_ns);
    print_boolean(out, "    ", "checks", settings->events_checks);
    fprintf(out, "}\n");
    for (size_t i = 0; i < settings->check_count; i++)
        print_check(&settings->checks[i], out);
    for (size_t i = 0; i < settings->service_count; i++)
        print_service(out, settings, &settings->services[i]);
}

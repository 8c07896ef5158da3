#include "cli/understood.h"

#include <grp.h>
#include <string.h>

#include "base/duration.h"
#include "base/text.h"
#include "policy/outcome.h"
#include "settings/words.h"

static const char *word(const struct words *words, unsigned index)
{
    return index < words->count ? words->word[index] : "?";
}

static const char *yes_no(unsigned value)
{
    return value ? "true" : "false";
}

static void put_duration(FILE *out, const char *name, uint64_t ns)
{
    char text[DURATION_TEXT];

    fprintf(out, "  %s = %s", name, duration_format(ns, text));
}

/* Hundredths of a percent. */
static void put_percent(FILE *out, const char *name, uint32_t share)
{
    fprintf(out, "  %s = %g%%", name, share / 100.0);
}

static void put_milli(FILE *out, const char *name, uint32_t milli)
{
    fprintf(out, "  %s = %.7g", name, milli / 1000.0);
}

static void put_outcomes(FILE *out, const char *name, uint32_t set)
{
    const char *comma = "";

    fprintf(out, "  %s = {", name);
    for (unsigned outcome = OUTCOME_OK; outcome < OUTCOME_COUNTED; outcome++)
        if (set & OUTCOME_BIT(outcome)) {
            fprintf(out, "%s %s", comma, word(&outcome_words, outcome));
            comma = ",";
        }
    fputs(" }", out);
}

/* As a match entry or an address has it. */
static void put_host_port(FILE *out, const struct host_port *at)
{
    const char *left = strchr(at->host, ':') != NULL ? "[" : "", *right = left[0] ? "]" : "";

    if (at->any_port)
        fprintf(out, "\"%s%s%s:*\"", left, at->host, right);
    else
        fprintf(out, "\"%s%s%s:%u\"", left, at->host, right, at->port);
}

static void put_programs(FILE *out, const char *name, size_t count,
                         const char programs[][PROGRAM_TEXT])
{
    fprintf(out, "  %s = {", name);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s \"%s\"", i > 0 ? "," : "", programs[i]);
    fputs(" }", out);
}

static void put_health(FILE *out, const char *indent, const struct health_rules *health)
{
    fprintf(out, "%shealth {  enabled = %s  probe = %s  role = %s", indent, yes_no(health->enabled),
            word(&probe_words, health->probe), word(&role_words, health->role));
    put_duration(out, "interval", health->interval_ns);
    put_duration(out, "fast_interval", health->fast_interval_ns);
    put_duration(out, "timeout", health->timeout_ns);
    fprintf(out, "\n%s          fall = %u  rise = %u  probes = %u  policy = %s", indent,
            health->fall, health->rise, health->probes, word(&policy_words, health->policy));
    put_duration(out, "gap", health->gap_ns);
    put_percent(out, "jitter", health->jitter);
    fputs(" }\n", out);
}

static void put_breaker(FILE *out, const struct breaker_rules *breaker)
{
    fprintf(out, "    breaker {  enabled = %s", yes_no(breaker->enabled));
    if (breaker->window_ns > 0)
        put_duration(out, "window", breaker->window_ns);
    else
        fprintf(out, "  window = %u", breaker->window_calls);
    fprintf(out, "  min_calls = %u", breaker->min_calls);
    put_percent(out, "failure_rate", breaker->failure_rate);
    fprintf(out, "  refused = %u  timeouts = %u\n             ", breaker->refused,
            breaker->timeouts);
    put_duration(out, "slow_call", breaker->slow_call_ns);
    put_percent(out, "slow_rate", breaker->slow_rate);
    put_duration(out, "open", breaker->open_ns);
    put_milli(out, "open_backoff", breaker->open_backoff_milli);
    put_duration(out, "open_max", breaker->open_max_ns);
    fprintf(out, "\n               half_open_calls = %u  half_open_successes = %u",
            breaker->half_open_calls, breaker->half_open_successes);
    put_outcomes(out, "count", breaker->count);
    fputs(" }\n", out);
}

static void put_connections(FILE *out, const struct service *service)
{
    fputs("    connect {", out);
    put_duration(out, "timeout", service->connect.timeout_ns);
    put_duration(out, "keepalive", service->connect.keepalive_ns);
    put_duration(out, "user_timeout", service->connect.user_timeout_ns);
    fprintf(out, "  rate = %u", service->connect.rate);
    put_duration(out, "max_age", service->connect.max_age_ns);
    fprintf(out, " }\n    retry {  attempts = %u", service->retry.attempts);
    put_duration(out, "wait", service->retry.wait_ns);
    put_milli(out, "backoff", service->retry.backoff_milli);
    put_percent(out, "jitter", service->retry.jitter);
    put_outcomes(out, "errors", service->retry.errors);
    fputs(" }\n", out);
}

static void put_failover(FILE *out, const struct failover_rules *failover)
{
    fprintf(out,
            "    failover {  close_connections = %s }\n"
            "    failback {  enabled = %s",
            yes_no(failover->close_connections), yes_no(failover->failback));
    put_duration(out, "check", failover->failback_check_ns);
    put_duration(out, "grace", failover->grace_ns);
    fprintf(out, "  existing = %s", word(&existing_words, failover->existing));
    put_duration(out, "spread", failover->spread_ns);
    fputs(" }\n", out);
}

static void put_endpoint(FILE *out, const struct service *service, const struct endpoint *endpoint)
{
    fprintf(out, "    endpoint %s {\n        address = ", endpoint->name);
    put_host_port(out, &endpoint->at);
    put_milli(out, "weight", endpoint->weight_milli);
    fprintf(out, "  zone = \"%s\"\n", endpoint->zone);
    if (endpoint->username != NULL || endpoint->password != NULL || endpoint->password_file != NULL)
        fputs("        # credentials are set\n", out);
    if (memcmp(&endpoint->health, &service->health, sizeof service->health) != 0)
        put_health(out, "        ", &endpoint->health);
    fputs("    }\n", out);
}

static void put_service(FILE *out, const struct service *service)
{
    char wait[DURATION_TEXT];

    fprintf(out, "\nservice %s {\n    match = {", service->name);
    for (size_t i = 0; i < service->match_count; i++) {
        fputs(i > 0 ? ", " : " ", out);
        put_host_port(out, &service->matches[i].at);
    }
    fprintf(out, " }\n    mode = %s  strategy = %s  resolve = %s  when_all_down = %s",
            word(&mode_words, service->mode), word(&strategy_words, service->strategy),
            word(&resolve_words, service->resolve), word(&all_down_words, service->when_all_down));
    if (service->when_all_down == ALL_DOWN_WAIT)
        fprintf(out, ":%s", duration_format(service->wait_ns, wait));
    fputc('\n', out);
    for (size_t i = 0; i < service->endpoint_count; i++)
        put_endpoint(out, service, &service->endpoints[i]);
    put_health(out, "    ", &service->health);
    put_breaker(out, &service->breaker);
    put_connections(out, service);
    put_failover(out, &service->failover);
    fputs("}\n", out);
}

void understood_print(const struct settings *settings, FILE *out)
{
    const struct group *group = settings->shared ? getgrgid(settings->share_group) : NULL;

    fprintf(out, "zone = \"%s\"  monitor = %s  share_group = \"%s\"\n", settings->zone,
            word(&monitor_words, settings->monitor), group != NULL ? group->gr_name : "");
    fputs("programs {", out);
    put_programs(out, "only", settings->only_count, settings->only);
    put_programs(out, "skip", settings->skip_count, settings->skip);
    fprintf(out, " }\nlog {  level = %s }\n", word(&log_level_words, settings->log_level));
    for (size_t i = 0; i < settings->service_count; i++)
        put_service(out, &settings->services[i]);
}

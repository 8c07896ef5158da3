/* `redisteer status --json`. The fields are frozen: scripts read them. */
#include "cli/status.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/shared.h"
#include "cli/sources.h"
#include "cli/when.h"
#include "state/checked.h"
#include "state/live.h"

static json_t *text_or_null(const char *text)
{
    return text == NULL || text[0] == '\0' ? json_null() : json_string(text);
}

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *number_or_null(uint64_t value)
{
    return value == 0 ? json_null() : number(value);
}

static json_t *last_switch_json(const struct service_row *row)
{
    struct last_switch last;
    char when[WHEN_TEXT];

    if (!last_switch_read(row->view.live, &last))
        return json_null();
    return json_pack("{s:s, s:o, s:o, s:s}", "time", when_format(last.wall_ms * NS_PER_MS, when),
                     "from", text_or_null(row_slot_name(row, last.from)), "to",
                     text_or_null(row_slot_name(row, last.to)), "reason",
                     choice_reason_name(last.reason));
}

static json_t *addresses_json(const struct service_row *row, uint32_t i)
{
    uint32_t count = row->endpoints[i].address_count;
    json_t *list = json_array();

    for (uint32_t a = 0; a < count && a < ADDRESSES_MAX; a++)
        json_array_append_new(list, json_string(row->labels[i].ip_text[a]));
    return list;
}

static json_t *connects_json(const struct endpoint_live *live)
{
    json_t *object = json_object();

    for (unsigned outcome = OUTCOME_OK; outcome < OUTCOME_COUNTED; outcome++)
        json_object_set_new(object, outcome_name(outcome),
                            number(load_relaxed(&live->connects[outcome])));
    return object;
}

static uint64_t left_ms(uint64_t until_ns, uint64_t now_ns)
{
    return until_ns > now_ns ? (until_ns - now_ns) / NS_PER_MS : 0;
}

/* Of health or breaker; an endpoint in its first state has it since there is a segment. */
static uint64_t last_change_ns(const struct service_row *row, const struct endpoint_live *live)
{
    uint64_t since_ns = load_relaxed(&live->since_ns);

    return since_ns != 0 ? since_ns : row->view.segment->head->created_ns;
}

/* null: no check has asked for it. */
static json_t *role_json(const struct endpoint_live *live)
{
    uint64_t role = load_relaxed(&live->role);

    if (role == ROLE_MASTER)
        return json_string("master");
    return role == ROLE_REPLICA ? json_string("replica") : json_null();
}

/* What only a health check finds out. */
static void add_checks(json_t *object, const struct endpoint_live *live)
{
    json_object_set_new(object, "rtt_us", number_or_null(load_relaxed(&live->rtt_us)));
    json_object_set_new(object, "rtt_p50_us", number_or_null(checked_percentile_us(live, 50)));
    json_object_set_new(object, "rtt_p99_us", number_or_null(checked_percentile_us(live, 99)));
    json_object_set_new(object, "checks_ok", number(load_relaxed(&live->checks_ok)));
    json_object_set_new(object, "checks_failed", number(load_relaxed(&live->checks_failed)));
}

/* Newest first. */
static json_t *history_json(const struct overview *overview, const struct endpoint_live *live)
{
    struct check checks[CHECKS_KEPT];
    unsigned count = checked_history(live, checks);
    json_t *list = json_array();
    char when[WHEN_TEXT];

    for (unsigned i = 0; i < count; i++) {
        uint64_t wall_ns = overview->wall_ns + checks[i].started_ns - overview->now_ns;

        json_array_append_new(list,
                              json_pack("{s:s, s:b, s:s, s:o}", "time", when_format(wall_ns, when),
                                        "passed", checks[i].passed, "result",
                                        check_cause_text(checks[i].cause), "rtt_us",
                                        number_or_null(checks[i].rtt_ns / NS_PER_US)));
    }
    return list;
}

static json_t *endpoint_json(const struct overview *overview, const struct connections *connections,
                             const struct service_row *row, uint32_t i, bool history)
{
    const struct endpoint_live *live = row->view.endpoint_live[i];
    const struct candidate *candidate = &row->candidates[i];
    const char *why_not = candidate_why_not(row->candidates, row->view.count, i);
    json_t *object = json_object();

    json_object_set_new(object, "name", json_string(row->labels[i].name));
    json_object_set_new(object, "address", json_string(row->addresses[i]));
    json_object_set_new(object, "addresses", addresses_json(row, i));
    json_object_set_new(object, "source", json_string(row->labels[i].source));
    json_object_set_new(object, "weight", json_real(candidate->weight_milli / 1000.0));
    json_object_set_new(object, "zone", json_string(row->labels[i].zone));
    json_object_set_new(object, "role", role_json(row->view.endpoint_live[i]));
    json_object_set_new(object, "health", json_string(health_name(candidate->health)));
    json_object_set_new(object, "breaker", json_string(breaker_state_name(candidate->breaker)));
    json_object_set_new(object, "admin", json_string(admin_name(candidate->admin)));
    json_object_set_new(object, "eligible", json_boolean(why_not == NULL));
    json_object_set_new(object, "why_not", text_or_null(why_not));
    json_object_set_new(object, "grace_ms",
                        number(left_ms(candidate->grace_until_ns, overview->now_ns)));
    json_object_set_new(object, "breaker_ms",
                        number(breaker_remaining_ns(&live->breaker, &row->view.settings.breaker,
                                                    overview->now_ns) /
                               NS_PER_MS));
    json_object_set_new(object, "since_ms",
                        number(left_ms(overview->now_ns, last_change_ns(row, live))));
    add_checks(object, live);
    json_object_set_new(object, "last_error", text_or_null(row_last_error(overview, row, i, NULL)));
    json_object_set_new(object, "connections",
                        number(status_connections(&row->endpoints[i], connections)));
    json_object_set_new(object, "connects", connects_json(live));
    if (history)
        json_object_set_new(object, "history", history_json(overview, live));
    return object;
}

static json_t *mode_until_json(const struct service_row *row)
{
    char when[WHEN_TEXT];

    return row->manual_until_wall_ns == 0
               ? json_null()
               : json_string(when_format(row->manual_until_wall_ns, when));
}

static json_t *leader_json(const struct overview *overview)
{
    if (!overview->led)
        return json_null();
    return json_pack("{s:I, s:s}", "pid", (json_int_t)overview->leader.pid, "kind",
                     leader_kind(&overview->leader));
}

static json_t *service_json(const struct overview *overview, const struct connections *connections,
                            const struct service_row *row, bool history)
{
    const struct service_settings *settings = &row->view.settings;
    json_t *object = json_object(), *endpoints = json_array(), *discovery = sources_json(row);

    for (uint32_t i = 0; i < row->view.count; i++)
        json_array_append_new(endpoints, endpoint_json(overview, connections, row, i, history));
    json_object_set_new(object, "name", json_string(settings->name));
    json_object_set_new(object, "strategy", json_string(strategy_name(settings->strategy)));
    json_object_set_new(object, "mode", json_string(row_mode_name(row)));
    json_object_set_new(object, "mode_until", mode_until_json(row));
    json_object_set_new(object, "active", text_or_null(row_active_name(row)));
    json_object_set_new(object, "switches", number(load_relaxed(&row->view.live->switches)));
    json_object_set_new(object, "last_switch", last_switch_json(row));
    json_object_set_new(object, "endpoints", endpoints);
    if (discovery != NULL)
        json_object_set_new(object, "discovery", discovery);
    return object;
}

int status_json(const struct overview *overview, const struct connections *connections,
                bool history, FILE *out)
{
    json_t *object = json_object(), *services = json_array();
    char when[WHEN_TEXT];
    int error;

    for (size_t i = 0; i < overview->count; i++)
        json_array_append_new(services,
                              service_json(overview, connections, &overview->services[i], history));
    json_object_set_new(object, "schema", json_integer(1));
    json_object_set_new(object, "version", json_string(REDISTEER_VERSION));
    json_object_set_new(object, "time", json_string(when_format(overview->wall_ns, when)));
    json_object_set_new(object, "instance", json_string(overview->front.instance));
    json_object_set_new(object, "config", json_string(overview->front.path));
    json_object_set_new(object, "config_changed", json_boolean(status_config_changed(overview)));
    json_object_set_new(object, "leader", leader_json(overview));
    json_object_set_new(object, "services", services);
    error = json_dumpf(object, out, JSON_COMPACT | JSON_REAL_PRECISION(7));
    json_decref(object);
    fputc('\n', out);
    return error == 0 || ferror(out) ? 0 : -ENOMEM;
}

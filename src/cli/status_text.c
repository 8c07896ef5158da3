/* `redisteer status` for people. */
#include "cli/status.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/shared.h"
#include "cli/sources.h"
#include "cli/table.h"
#include "cli/when.h"
#include "state/checked.h"
#include "state/live.h"

static void put_health(struct table *table, enum health health)
{
    enum colour colour = PLAIN;

    if (health == HEALTH_HEALTHY)
        colour = GREEN;
    else if (health == HEALTH_UNHEALTHY)
        colour = RED;
    table_cell(table, colour, "%s", health_name(health));
}

static void put_breaker(struct table *table, const struct overview *overview,
                        const struct service_row *row, uint32_t i)
{
    enum breaker_state state = row->candidates[i].breaker;
    uint64_t left_ns = breaker_remaining_ns(&row->view.endpoint_live[i]->breaker,
                                            &row->view.settings.breaker, overview->now_ns);
    char left[AGE_TEXT];

    if (state == BREAKER_OPEN)
        table_cell(table, RED, "open, %s left", age_format(left_ns / NS_PER_MS, left));
    else
        table_cell(table, state == BREAKER_HALF_OPEN ? YELLOW : PLAIN, "%s",
                   breaker_state_name(state));
}

static void put_eligible(struct table *table, const struct overview *overview,
                         const struct service_row *row, uint32_t i)
{
    const char *why_not = candidate_why_not(row->candidates, row->view.count, i);
    uint64_t grace_ns = row->candidates[i].grace_until_ns;
    char left[AGE_TEXT];

    if (why_not != NULL)
        table_cell(table, YELLOW, "no: %s", why_not);
    else if (grace_ns > overview->now_ns)
        table_cell(table, GREEN, "yes, failback in %s",
                   age_format((grace_ns - overview->now_ns) / NS_PER_MS, left));
    else
        table_cell(table, GREEN, "yes");
}

/* A round trip: below a second nobody wants it in anything but ms and us. */
static const char *span_format(uint64_t us, char out[static AGE_TEXT])
{
    if (us < 1000)
        snprintf(out, AGE_TEXT, "%" PRIu64 "us", us);
    else
        snprintf(out, AGE_TEXT, "%.1fms", (double)us / 1000);
    return out;
}

static void put_rtt(struct table *table, const struct endpoint_live *live)
{
    uint64_t rtt_us = load_relaxed(&live->rtt_us);
    char span[AGE_TEXT];

    if (rtt_us == 0)
        table_number(table, DIM, "-");
    else
        table_number(table, PLAIN, "%s", span_format(rtt_us, span));
}

static void put_last_error(struct table *table, const struct overview *overview,
                           const struct service_row *row, uint32_t i)
{
    uint64_t at_ms = 0, now_ms = overview->wall_ns / NS_PER_MS;
    const char *error = row_last_error(overview, row, i, &at_ms);
    char age[AGE_TEXT];

    if (error == NULL)
        table_cell(table, DIM, "-");
    else if (at_ms == 0)
        table_cell(table, YELLOW, "%s", error);
    else
        table_cell(table, PLAIN, "%s, %s ago", error,
                   age_format(now_ms > at_ms ? now_ms - at_ms : 0, age));
}

static void put_endpoint(struct table *table, const struct overview *overview,
                         const struct connections *connections, const struct service_row *row,
                         uint32_t i)
{
    const struct endpoint_live *live = row->view.endpoint_live[i];
    bool active = row_active_name(row) == row->labels[i].name;
    uint64_t failed = 0;

    for (unsigned outcome = OUTCOME_OK + 1; outcome < OUTCOME_COUNTED; outcome++)
        failed += load_relaxed(&live->connects[outcome]);
    table_row(table);
    table_cell(table, active ? BOLD : PLAIN, "%s %s", active ? "*" : " ", row->labels[i].name);
    table_cell(table, PLAIN, "%s%s", row->addresses[i],
               row->endpoints[i].address_count == 0 ? " (does not resolve)" : "");
    put_health(table, row->candidates[i].health);
    put_breaker(table, overview, row, i);
    table_number(table, PLAIN, "%g", row->candidates[i].weight_milli / 1000.0);
    put_eligible(table, overview, row, i);
    put_rtt(table, live);
    table_number(table, PLAIN, "%" PRIu64, status_connections(&row->endpoints[i], connections));
    table_number(table, PLAIN, "%" PRIu64, load_relaxed(&live->connects[OUTCOME_OK]));
    table_number(table, failed > 0 ? YELLOW : PLAIN, "%" PRIu64, failed);
    put_last_error(table, overview, row, i);
}

static void put_heading(struct table *table)
{
    table_row(table);
    table_cell(table, DIM, "  ENDPOINT");
    table_cell(table, DIM, "ADDRESS");
    table_cell(table, DIM, "HEALTH");
    table_cell(table, DIM, "BREAKER");
    table_number(table, DIM, "WEIGHT");
    table_cell(table, DIM, "ELIGIBLE");
    table_number(table, DIM, "RTT");
    table_number(table, DIM, "CONNS");
    table_number(table, DIM, "OK");
    table_number(table, DIM, "FAILED");
    table_cell(table, DIM, "LAST ERROR");
}

static void put_last_switch(const struct overview *overview, const struct service_row *row,
                            FILE *out)
{
    struct last_switch last;
    const char *from, *to;
    uint64_t now_ms = overview->wall_ns / NS_PER_MS;
    char age[AGE_TEXT];

    if (!last_switch_read(row->view.live, &last))
        return;
    from = row_slot_name(row, last.from);
    to = row_slot_name(row, last.to);
    fprintf(out, "  last switch %s ago: %s -> %s (%s)\n",
            age_format(now_ms > last.wall_ms ? now_ms - last.wall_ms : 0, age),
            from != NULL ? from : "-", to != NULL ? to : "-", choice_reason_name(last.reason));
}

/* Newest first. */
static void put_history(const struct overview *overview, const struct service_row *row, FILE *out,
                        bool colours)
{
    struct check checks[CHECKS_KEPT];
    char age[AGE_TEXT], span[AGE_TEXT];

    for (uint32_t i = 0; i < row->view.count; i++) {
        unsigned count = checked_history(row->view.endpoint_live[i], checks);

        fprintf(out, "  last checks of %s:%s\n", row->labels[i].name, count == 0 ? " none" : "");
        for (unsigned c = 0; c < count; c++) {
            uint64_t started_ns = checks[c].started_ns;
            uint64_t ago_ns = overview->now_ns > started_ns ? overview->now_ns - started_ns : 0;
            enum colour colour = checks[c].passed ? PLAIN : RED;

            fprintf(out, "    %6s ago  %s%s%s%s%s\n", age_format(ago_ns / NS_PER_MS, age),
                    colour_begin(colour, colours), check_cause_text(checks[c].cause),
                    colour_end(colour, colours), checks[c].rtt_ns == 0 ? "" : "  ",
                    checks[c].rtt_ns == 0 ? "" : span_format(checks[c].rtt_ns / NS_PER_US, span));
        }
    }
}

static bool is_as_usual(const struct service_row *row)
{
    return row->mode == MODE_STEER && !row->manual;
}

static void put_service(const struct overview *overview, const struct connections *connections,
                        const struct service_row *row, FILE *out, bool colours)
{
    static const char *const when_all_down[] = {
        [ALL_DOWN_TRY] = "connections are tried in the configured order",
        [ALL_DOWN_REFUSE] = "connections are refused",
        [ALL_DOWN_WAIT] = "connections wait",
    };
    const struct service_settings *settings = &row->view.settings;
    const char *active = row_active_name(row);
    struct table table = {0};
    char left[AGE_TEXT];

    fprintf(out, "%s%s%s  active %s  mode %s%s%s  strategy %s  switches %" PRIu64 "\n",
            colour_begin(BOLD, colours), settings->name, colour_end(BOLD, colours),
            active != NULL ? active : "-", colour_begin(is_as_usual(row) ? PLAIN : YELLOW, colours),
            row_mode_name(row), colour_end(is_as_usual(row) ? PLAIN : YELLOW, colours),
            strategy_name(settings->strategy), load_relaxed(&row->view.live->switches));
    put_last_switch(overview, row, out);
    if (row->manual_until_wall_ns != 0)
        fprintf(out, "  switched by hand, for another %s\n",
                age_format((row->manual_until_wall_ns - overview->wall_ns) / NS_PER_MS, left));
    if (!row_has_eligible(row))
        fprintf(out, "  %snothing is eligible: %s%s\n", colour_begin(RED, colours),
                when_all_down[settings->when_all_down <= ALL_DOWN_WAIT ? settings->when_all_down
                                                                       : ALL_DOWN_TRY],
                colour_end(RED, colours));
    put_heading(&table);
    for (uint32_t i = 0; i < row->view.count; i++)
        put_endpoint(&table, overview, connections, row, i);
    table_print(&table, out, "  ", colours);
    sources_text(overview, row, out, colours);
}

void status_text(const struct overview *overview, const struct connections *connections,
                 bool history, FILE *out, bool colours)
{
    fprintf(out, "redisteer %s  instance %s  %s\n", REDISTEER_VERSION, overview->front.instance,
            overview->front.path);
    if (overview->led)
        fprintf(out, "checked by %s %u\n", leader_kind(&overview->leader), overview->leader.pid);
    else
        fprintf(out, "checked by nobody at the moment\n");
    if (status_config_changed(overview))
        fprintf(out,
                "%sthe file has changed since it was published; `redisteer reload` publishes "
                "it%s\n",
                colour_begin(YELLOW, colours), colour_end(YELLOW, colours));
    for (size_t i = 0; i < overview->count; i++) {
        fputc('\n', out);
        put_service(overview, connections, &overview->services[i], out, colours);
        if (history)
            put_history(overview, &overview->services[i], out, colours);
    }
}

#include "cli/sources.h"

#include "base/clock.h"
#include "cli/table.h"
#include "cli/when.h"

static const char *address_text(const struct address *address, char out[static ADDRESS_TEXT])
{
    return address->port == 0 ? "-" : address_format(address, out);
}

/* As configured, or the address that the name has. */
static void source_name(const struct discover_settings *settings, uint32_t index, char *out,
                        size_t size)
{
    char address[ADDRESS_TEXT];

    if (settings->sentinels[index].port == 0)
        snprintf(out, size, "%s (does not resolve)", settings->hosts[index]);
    else
        snprintf(out, size, "%s", address_format(&settings->sentinels[index], address));
}

/* ---- for people ---- */

static void put_age(struct table *table, const struct overview *overview, uint64_t at_ms)
{
    uint64_t now_ms = overview->wall_ns / NS_PER_MS;
    char age[AGE_TEXT];

    if (at_ms == 0)
        table_cell(table, DIM, "never");
    else
        table_cell(table, PLAIN, "%s ago", age_format(now_ms > at_ms ? now_ms - at_ms : 0, age));
}

static void put_source(struct table *table, const struct overview *overview,
                       const struct service_row *row, uint32_t index)
{
    uint64_t now_ms = overview->wall_ns / NS_PER_MS;
    char name[ADDRESS_HOST_TEXT + 32], master[ADDRESS_TEXT], age[AGE_TEXT];
    struct source source;

    discovery_source(&row->view.live->discovery.sources[index], &source);
    source_name(&row->discover, index, name, sizeof name);
    table_row(table);
    table_cell(table, PLAIN, "  %s", name);
    table_cell(table, PLAIN, "%s", address_text(&source.master, master));
    put_age(table, overview, source.answered_ms);
    if (source.next_ms > now_ms)
        table_cell(table, PLAIN, "in %s", age_format(source.next_ms - now_ms, age));
    else
        table_cell(table, DIM, "-");
    if (source.failed_ms == 0)
        table_cell(table, DIM, "-");
    else
        table_cell(table, source.troubled ? YELLOW : PLAIN, "%s, %s ago",
                   check_cause_text(source.cause),
                   age_format(now_ms > source.failed_ms ? now_ms - source.failed_ms : 0, age));
}

void sources_text(const struct overview *overview, const struct service_row *row, FILE *out,
                  bool colours)
{
    struct table table = {0};
    char master[ADDRESS_TEXT];

    if (!row->discovers)
        return;
    fprintf(out, "  master %s of Sentinels: %s  (quorum %u of %u)\n", row->discover.master_name,
            row->found.count > 0 ? address_text(&row->found.master, master) : "not known yet",
            (unsigned)row->discover.quorum, (unsigned)row->discover.count);
    table_row(&table);
    table_cell(&table, DIM, "  SENTINEL");
    table_cell(&table, DIM, "SAYS");
    table_cell(&table, DIM, "ANSWERED");
    table_cell(&table, DIM, "NEXT");
    table_cell(&table, DIM, "LAST ERROR");
    for (uint32_t i = 0; i < row->discover.count; i++)
        put_source(&table, overview, row, i);
    table_print(&table, out, "  ", colours);
}

/* ---- for programs ---- */

static json_t *address_json(const struct address *address)
{
    char text[ADDRESS_TEXT];

    return address->port == 0 ? json_null() : json_string(address_format(address, text));
}

static json_t *time_json(uint64_t at_ms)
{
    char when[WHEN_TEXT];

    return at_ms == 0 ? json_null() : json_string(when_format(at_ms * NS_PER_MS, when));
}

static json_t *source_json(const struct service_row *row, uint32_t index)
{
    char name[ADDRESS_HOST_TEXT + 32];
    struct source source;

    discovery_source(&row->view.live->discovery.sources[index], &source);
    source_name(&row->discover, index, name, sizeof name);
    return json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o}", "type", "sentinel", "address",
                     name, "well", source.answered_ms != 0 && !source.troubled, "master",
                     address_json(&source.master), "last_success", time_json(source.answered_ms),
                     "next_try", time_json(source.next_ms), "last_error",
                     source.failed_ms == 0 ? json_null()
                                           : json_string(check_cause_text(source.cause)),
                     "last_error_time", time_json(source.failed_ms));
}

json_t *sources_json(const struct service_row *row)
{
    json_t *sources;

    if (!row->discovers)
        return NULL;
    sources = json_array();
    for (uint32_t i = 0; i < row->discover.count; i++)
        json_array_append_new(sources, source_json(row, i));
    return json_pack("{s:s, s:i, s:o, s:o, s:o}", "master_name", row->discover.master_name,
                     "quorum", (int)row->discover.quorum, "master",
                     address_json(&row->found.master), "agreed", time_json(row->found.agreed_ms),
                     "sources", sources);
}

#include "cli/sources.h"

#include "base/clock.h"
#include "base/text.h"
#include "cli/table.h"
#include "cli/when.h"
#if REDISTEER_DNS
#include "heavy/dns.h"
#endif

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

/* ---- names ---- */

struct name_row {
    const char *name;
    bool srv;
    struct name_found found;
};

static const char *why_not(int cause)
{
#if REDISTEER_DNS
    return dns_cause_text((enum dns_cause)cause);
#else
    (void)cause;
    return "it does not resolve";
#endif
}

static bool is_listed(const struct name_row rows[], unsigned count, const char *name)
{
    for (unsigned i = 0; i < count; i++)
        if (text_equal(rows[i].name, name))
            return true;
    return false;
}

static void read_name(const struct discovery_live *live, const char *name,
                      struct name_row out[static NAMES_MAX], unsigned *count)
{
    if (*count == NAMES_MAX || is_listed(out, *count, name) ||
        !discovery_name(live, name, &out[*count].found))
        return;
    out[*count].name = name;
    out[(*count)++].srv = false;
}

/* Those that the monitor has asked for. */
static unsigned read_names(const struct service_row *row, struct name_row out[static NAMES_MAX])
{
    const struct discovery_live *live;
    unsigned count = 0;

    if (!row->view.live)
        return 0;
    live = &row->view.live->discovery;
    if (row->discovers && row->discover.srv[0] &&
        discovery_name(live, row->discover.srv, &out[count].found)) {
        out[count].name = row->discover.srv;
        out[count++].srv = true;
    }
    for (uint32_t i = 0; i < row->view.count; i++)
        if (!text_equal(row->labels[i].source, discovery_by_srv))
            read_name(live, row->labels[i].host, out, &count);
    for (uint32_t i = 0; row->discovers && i < row->discover.count; i++)
        read_name(live, row->discover.hosts[i], out, &count);
    return count;
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

static void put_times(struct table *table, const struct overview *overview, uint64_t answered_ms,
                      uint64_t next_ms)
{
    uint64_t now_ms = overview->wall_ns / NS_PER_MS;
    char age[AGE_TEXT];

    put_age(table, overview, answered_ms);
    if (next_ms > now_ms)
        table_cell(table, PLAIN, "in %s", age_format(next_ms - now_ms, age));
    else
        table_cell(table, DIM, "-");
}

static void put_error(struct table *table, const struct overview *overview, uint64_t failed_ms,
                      const char *why, bool troubled)
{
    uint64_t now_ms = overview->wall_ns / NS_PER_MS;
    char age[AGE_TEXT];

    if (failed_ms == 0)
        table_cell(table, DIM, "-");
    else
        table_cell(table, troubled ? YELLOW : PLAIN, "%s, %s ago", why,
                   age_format(now_ms > failed_ms ? now_ms - failed_ms : 0, age));
}

static void put_source(struct table *table, const struct overview *overview,
                       const struct service_row *row, uint32_t index)
{
    char name[ADDRESS_HOST_TEXT + 32], master[ADDRESS_TEXT];
    struct source source;

    discovery_source(&row->view.live->discovery.sources[index], &source);
    source_name(&row->discover, index, name, sizeof name);
    table_row(table);
    table_cell(table, PLAIN, "  %s", name);
    table_cell(table, PLAIN, "%s", address_text(&source.master, master));
    put_times(table, overview, source.answered_ms, source.next_ms);
    put_error(table, overview, source.failed_ms, check_cause_text(source.cause), source.troubled);
}

static void put_sentinels(const struct overview *overview, const struct service_row *row, FILE *out,
                          bool colours)
{
    struct table table = {0};
    char master[ADDRESS_TEXT];

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

static void put_names(const struct overview *overview, const struct service_row *row, FILE *out,
                      bool colours)
{
    struct name_row names[NAMES_MAX];
    unsigned count = read_names(row, names);
    struct table table = {0};

    if (count == 0)
        return;
    table_row(&table);
    table_cell(&table, DIM, "  NAME");
    table_cell(&table, DIM, "ANSWERED");
    table_cell(&table, DIM, "NEXT");
    table_cell(&table, DIM, "LAST ERROR");
    for (unsigned i = 0; i < count; i++) {
        const struct name_found *found = &names[i].found;

        table_row(&table);
        table_cell(&table, PLAIN, "  %s%s", names[i].name, names[i].srv ? " (SRV)" : "");
        put_times(&table, overview, found->answered_ms, found->next_ms);
        put_error(&table, overview, found->failed_ms, why_not(found->cause), found->troubled);
    }
    table_print(&table, out, "  ", colours);
}

void sources_text(const struct overview *overview, const struct service_row *row, FILE *out,
                  bool colours)
{
    if (row->discovers && row->discover.count > 0)
        put_sentinels(overview, row, out, colours);
    put_names(overview, row, out, colours);
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

static json_t *name_json(const struct name_row *row)
{
    const struct name_found *found = &row->found;

    return json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o}", "type", row->srv ? "srv" : "dns",
                     "address", row->name, "well", found->answered_ms != 0 && !found->troubled,
                     "last_success", time_json(found->answered_ms), "next_try",
                     time_json(found->next_ms), "last_error",
                     found->failed_ms == 0 ? json_null() : json_string(why_not(found->cause)),
                     "last_error_time", time_json(found->failed_ms));
}

json_t *sources_json(const struct service_row *row)
{
    struct name_row names[NAMES_MAX];
    unsigned name_count = read_names(row, names);
    bool sentinels = row->discovers && row->discover.count > 0;
    json_t *sources;

    if (!row->discovers && name_count == 0)
        return NULL;
    sources = json_array();
    for (uint32_t i = 0; sentinels && i < row->discover.count; i++)
        json_array_append_new(sources, source_json(row, i));
    for (unsigned i = 0; i < name_count; i++)
        json_array_append_new(sources, name_json(&names[i]));
    if (!sentinels)
        return json_pack("{s:o}", "sources", sources);
    return json_pack("{s:s, s:i, s:o, s:o, s:o}", "master_name", row->discover.master_name,
                     "quorum", (int)row->discover.quorum, "master",
                     address_json(&row->found.master), "agreed", time_json(row->found.agreed_ms),
                     "sources", sources);
}

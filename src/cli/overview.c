#include "cli/overview.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/nearest.h"
#include "policy/verdict.h"
#include "policy/spread.h"
#include "settings/words.h"
#include "state/bank.h"
#include "state/live.h"

enum { TRIES = 100 };

static void write_address(char *out, size_t size, const char *host, uint16_t port)
{
    if (port == 0)
        text_copy(out, size, host);
    else if (strchr(host, ':') != NULL)
        text_format(out, size, "[%s]:%u", host, (unsigned)port);
    else
        text_format(out, size, "%s:%u", host, (unsigned)port);
}

/* What is found changes while it is read, now and then: then it is as if nothing were known. */
static bool read_discovery(const struct bank_view *view, struct service_row *row)
{
    row->discovers = row->view.settings.discover != 0;
    if (!row->discovers)
        return true;
    if (!bank_discover(view, row->view.settings.discover - 1, &row->discover))
        return false;
    discovery_read(&row->view.live->discovery, row->discover.identity, &row->found);
    return true;
}

static bool read_service(const struct bank_view *view, uint32_t index, struct service_row *row)
{
    if (!service_read(view, index, &row->view))
        return false;
    for (uint32_t i = 0; i < row->view.count; i++) {
        const struct endpoint_settings *endpoint = &row->endpoints[i];

        if (!bank_endpoint(view, row->view.first_endpoint + i, &row->endpoints[i]) ||
            !bank_label(view, row->view.first_endpoint + i, &row->labels[i]))
            return false;
        write_address(row->addresses[i], sizeof row->addresses[i], row->labels[i].host,
                      endpoint->address_count > 0 ? endpoint->addresses[0].port : 0);
    }
    row->match_count = row->view.settings.match_count;
    if (row->match_count > MATCHES_MAX)
        return false;
    for (uint32_t i = 0; i < row->match_count; i++)
        if (!bank_match(view, row->view.settings.first_match + i, &row->matches[i]))
            return false;
    return read_discovery(view, row);
}

static void judge_hold(const struct overview *overview, struct service_row *row)
{
    uint64_t until_ms;

    runtime_mode_unpack(load_relaxed(&row->view.live->mode), &until_ms);
    row->manual =
        row->mode == MODE_STEER && service_held(row->view.live, overview->now_ns).slot != NO_SLOT;
    row->manual_until_wall_ns = 0;
    if (row->manual && until_ms != 0)
        row->manual_until_wall_ns = overview->wall_ns + until_ms * NS_PER_MS - overview->now_ns;
}

static void judge(struct overview *overview, struct service_row *row)
{
    row->mode = service_mode(&row->view, overview->now_ns);
    judge_hold(overview, row);
    row->active = service_candidates(&row->view, row->candidates, overview->now_ns);
    row->choice = service_choice(&row->view, overview->now_ns);
}

static int read_once(const struct segment *segment, struct overview *overview)
{
    struct bank_view view;
    bool whole = true;

    if (!bank_open(segment, &view))
        return -EAGAIN;
    free(overview->services);
    overview->count = view.service_count;
    overview->services = calloc(overview->count + 1, sizeof *overview->services);
    if (overview->services == NULL)
        return -ENOMEM;
    bank_front(&view, &overview->front);
    overview->now_ns = clock_boot_ns();
    overview->wall_ns = clock_wall_ns();
    overview->led = lease_holder(segment, overview->now_ns, &overview->leader);
    for (uint32_t i = 0; whole && i < overview->count; i++)
        whole = read_service(&view, i, &overview->services[i]);
    if (!whole || !bank_valid(&view))
        return -EAGAIN;
    for (uint32_t i = 0; i < overview->count; i++)
        judge(overview, &overview->services[i]);
    return 0;
}

int overview_read(const struct segment *segment, struct overview **out)
{
    struct overview *overview = calloc(1, sizeof *overview);
    int error = -EAGAIN;

    if (overview == NULL)
        return -ENOMEM;
    for (int i = 0; error == -EAGAIN && i < TRIES; i++) {
        error = read_once(segment, overview);
        if (error == -EAGAIN)
            sched_yield();
    }
    if (error != 0) {
        overview_free(overview);
        return error == -EAGAIN ? -EBADMSG : error;
    }
    *out = overview;
    return 0;
}

static void take_match(const struct match_entry *from, struct match_settings *to)
{
    text_copy(to->host, sizeof to->host, from->at.host);
    to->hash = hash_bytes(to->host, strlen(to->host));
    to->address = from->address;
    to->port = from->at.port;
    to->any_port = from->at.any_port;
    to->is_name = from->is_name;
}

static void take_endpoint(const struct endpoint *from, const char *zone, struct service_row *row,
                          size_t i)
{
    struct endpoint_settings *to = &row->endpoints[i];

    to->weight_milli = from->weight_milli;
    to->same_zone = zone[0] != '\0' && text_equal(zone, from->zone);
    if (address_parse_ip(from->at.host, &to->addresses[0]) == 0) {
        to->addresses[0].port = from->at.port;
        to->address_count = 1;
        address_format_ip(&to->addresses[0], row->labels[i].ip_text[0]);
    }
    text_copy(row->labels[i].name, sizeof row->labels[i].name, from->name);
    text_copy(row->labels[i].zone, sizeof row->labels[i].zone, from->zone);
    text_copy(row->labels[i].host, sizeof row->labels[i].host, from->at.host);
    write_address(row->addresses[i], sizeof row->addresses[i], from->at.host, from->at.port);
    row->candidates[i] = (struct candidate){
        .weight_milli = from->weight_milli,
        .breaker = BREAKER_CLOSED,
        .ramp = RAMP_WHOLE,
        .same_zone = to->same_zone,
    };
}

static void take_service(const struct service *from, const char *zone, struct service_row *row)
{
    struct service_settings *to = &row->view.settings;

    text_copy(to->name, sizeof to->name, from->name);
    to->breaker = from->breaker;
    to->connect = from->connect;
    to->retry = from->retry;
    to->failover = from->failover;
    to->health = from->health;
    to->wait_ns = from->wait_ns;
    to->strategy = (uint8_t)from->strategy;
    to->resolve = (uint8_t)from->resolve;
    to->mode = (uint8_t)from->mode;
    to->when_all_down = (uint8_t)from->when_all_down;
    row->mode = from->mode;
    row->match_count = (uint32_t)from->match_count;
    for (size_t i = 0; i < from->match_count; i++)
        take_match(&from->matches[i], &row->matches[i]);
    row->view.count = (uint32_t)from->endpoint_count;
    for (size_t i = 0; i < from->endpoint_count; i++)
        take_endpoint(&from->endpoints[i], zone, row, i);
}

int overview_from_settings(const struct settings *settings, struct overview **out)
{
    struct overview *overview = calloc(1, sizeof *overview);

    if (overview != NULL)
        overview->services = calloc(settings->service_count + 1, sizeof *overview->services);
    if (overview == NULL || overview->services == NULL) {
        free(overview);
        return -ENOMEM;
    }
    text_copy(overview->front.path, sizeof overview->front.path, settings->path);
    text_copy(overview->front.zone, sizeof overview->front.zone, settings->zone);
    overview->front.only_count = (uint32_t)settings->only_count;
    overview->front.skip_count = (uint32_t)settings->skip_count;
    memcpy(overview->front.only, settings->only, sizeof overview->front.only);
    memcpy(overview->front.skip, settings->skip, sizeof overview->front.skip);
    overview->now_ns = clock_boot_ns();
    overview->wall_ns = clock_wall_ns();
    overview->count = settings->service_count;
    for (size_t i = 0; i < overview->count; i++) {
        struct service_row *row = &overview->services[i];

        take_service(&settings->services[i], settings->zone, row);
        row->active = -1;
        row->choice =
            choose(&(struct choice_rules){.strategy = settings->services[i].strategy,
                                          .failback = row->view.settings.failover.failback,
                                          .challenger = -1},
                   row->candidates, row->view.count, -1, overview->now_ns);
    }
    *out = overview;
    return 0;
}

void overview_free(struct overview *overview)
{
    if (overview == NULL)
        return;
    free(overview->services);
    free(overview);
}

struct service_row *overview_service(const struct overview *overview, const char *name)
{
    struct nearest nearest = nearest_to(name);

    for (size_t i = 0; i < overview->count; i++) {
        if (text_equal(overview->services[i].view.settings.name, name))
            return &overview->services[i];
        nearest_offer(&nearest, overview->services[i].view.settings.name);
    }
    if (nearest_found(&nearest) != NULL)
        say("no such service: '%s'; did you mean '%s'?", name, nearest_found(&nearest));
    else
        say("no such service: '%s'", name);
    return NULL;
}

int row_endpoint(const struct service_row *row, const char *name)
{
    struct nearest nearest = nearest_to(name);

    for (uint32_t i = 0; i < row->view.count; i++) {
        if (text_equal(row->labels[i].name, name))
            return (int)i;
        nearest_offer(&nearest, row->labels[i].name);
    }
    if (nearest_found(&nearest) != NULL)
        say("no such endpoint of '%s': '%s'; did you mean '%s'?", row->view.settings.name, name,
            nearest_found(&nearest));
    else
        say("no such endpoint of '%s': '%s'", row->view.settings.name, name);
    return -1;
}

bool overview_resolved(const struct overview *overview)
{
    for (size_t i = 0; i < overview->count; i++) {
        const struct service_row *row = &overview->services[i];

        for (uint32_t e = 0; e < row->view.count; e++)
            if (row->endpoints[e].address_count == 0)
                return false;
        for (uint32_t s = 0; row->discovers && s < row->discover.count; s++)
            if (row->discover.sentinels[s].port == 0)
                return false;
    }
    return true;
}

static bool lacks_monitor(const struct overview *overview, const struct service_row *row,
                          uint32_t index)
{
    bool led = overview->led && overview->leader.class == LEASE_PROCESS;
    bool needs =
        row->endpoints[index].needs_program ||
        (overview->front.monitor >= MONITOR_PROCESS && row->endpoints[index].health.enabled);

    return needs && !led && row->candidates[index].health == HEALTH_UNKNOWN;
}

const char *row_last_error(const struct overview *overview, const struct service_row *row,
                           uint32_t index, uint64_t *at_ms)
{
    uint64_t ms;
    int error = last_error_unpack(load_relaxed(&row->view.endpoint_live[index]->last_error), &ms);
    const char *check = last_error_check_text(error);

    if (lacks_monitor(overview, row, index)) {
        ms = 0;
        check = check_cause_text(CHECK_NEEDS_PROGRAM);
    } else if (error == 0) {
        return NULL;
    }
    if (at_ms != NULL)
        *at_ms = ms;
    return check != NULL ? check : strerror(error);
}

bool row_has_eligible(const struct service_row *row)
{
    for (uint32_t i = 0; i < row->view.count; i++)
        if (candidate_why_not(row->candidates, row->view.count, i) == NULL)
            return true;
    return false;
}

bool row_spreads(const struct service_row *row)
{
    return strategy_spreads((enum strategy)row->view.settings.strategy);
}

const char *row_active_name(const struct service_row *row)
{
    int index = row->active >= 0 ? row->active : row->choice.endpoint;

    if (row_spreads(row))
        return NULL;
    return index >= 0 ? row->labels[index].name : NULL;
}

const char *row_slot_name(const struct service_row *row, uint32_t slot)
{
    for (uint32_t i = 0; slot != NO_SLOT && i < row->view.count; i++)
        if (row->view.endpoints[i].slot == slot)
            return row->labels[i].name;
    return NULL;
}

const char *row_mode_name(const struct service_row *row)
{
    return row->manual ? "manual" : mode_name(row->mode);
}

const char *mode_name(enum service_mode mode)
{
    switch (mode) {
    case MODE_OBSERVE:
        return "observe";
    case MODE_OFF:
        return "off";
    case MODE_STEER:
        break;
    }
    return "auto";
}

const char *leader_kind(const struct lease_holder *leader)
{
    return leader->class == LEASE_PROCESS ? "process" : "thread";
}

const char *health_name(enum health health)
{
    switch (health) {
    case HEALTH_HEALTHY:
        return "healthy";
    case HEALTH_UNHEALTHY:
        return "unhealthy";
    case HEALTH_UNKNOWN:
        break;
    }
    return "unknown";
}

const char *admin_name(enum admin admin)
{
    switch (admin) {
    case ADMIN_DRAIN:
        return "drain";
    case ADMIN_MAINT:
        return "maint";
    case ADMIN_READY:
        break;
    }
    return "ready";
}

const char *strategy_name(enum strategy strategy)
{
    return strategy < strategy_words.count ? strategy_words.word[strategy] : "unknown";
}

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "settings/understand.h"

/* Where a service matches or where an endpoint of it is. */
struct spot {
    const struct service *service;
    const struct host_port *at;
    bool is_ip;
    struct address ip;
    unsigned line;
};

enum { SHOWN = ADDRESS_HOST_TEXT + 16 };

static int compare_spots(const struct spot *a, const struct spot *b)
{
    int order = (int)a->is_ip - (int)b->is_ip;

    if (!order && a->is_ip)
        order = memcmp(a->ip.ip, b->ip.ip, sizeof(a->ip.ip));
    if (!order && a->is_ip)
        order = (a->ip.scope > b->ip.scope) - (a->ip.scope < b->ip.scope);
    if (!order && !a->is_ip)
        order = strcmp(a->at->host, b->at->host);
    if (!order)
        order = (int)a->at->port - (int)b->at->port;
    if (!order)
        order = (int)a->at->any_port - (int)b->at->any_port;
    return order;
}

static int by_spot_and_line(const void *left, const void *right)
{
    const struct spot *a = left, *b = right;
    int order = compare_spots(a, b);

    return order ? order : (a->line > b->line) - (a->line < b->line);
}

static const char *show(const struct host_port *at, char out[static SHOWN])
{
    char port[8] = "*";

    if (!at->any_port)
        text_format(port, sizeof(port), "%u", (unsigned)at->port);
    if (strchr(at->host, ':'))
        text_format(out, SHOWN, "[%s]:%s", at->host, port);
    else
        text_format(out, SHOWN, "%s:%s", at->host, port);
    return out;
}

static struct spot spot_of(const struct service *service, const struct host_port *at, unsigned line)
{
    struct spot spot = {.service = service, .at = at, .line = line};

    spot.is_ip = address_parse_ip(at->host, &spot.ip) == 0;
    return spot;
}

/* Two equal match entries: nobody could say which service a connection is for. */
static void compare_matches(const struct spot *first, size_t count, struct complaints *complaints)
{
    char text[SHOWN];

    for (size_t i = 1; i < count; i++)
        complain(complaints, first[i].line, show(first[i].at, text),
                 "match entry of service %s stands already on line %u (service %s)",
                 first[i].service->name, first->line, first->service->name);
}

/* Services with a common endpoint: a look-up's answer must tell them apart. */
static void compare_endpoints(const struct spot *first, size_t count, struct complaints *complaints)
{
    const struct spot *other = NULL;
    char text[SHOWN];

    for (size_t i = 0; i < count; i++) {
        const struct spot *spot = &first[i];
        if (spot->service->resolve == RESOLVE_VIRTUAL || (other && other->service == spot->service))
            continue;
        if (other)
            complain(complaints, spot->line, show(spot->at, text),
                     "service %s shares an endpoint with service %s (line %u), so all but one of "
                     "them must say resolve = virtual",
                     spot->service->name, other->service->name, other->line);
        else
            other = spot;
    }
}

static void each_equal(struct spot *spots, size_t count, struct complaints *complaints,
                       void (*compare)(const struct spot *, size_t, struct complaints *))
{
    qsort(spots, count, sizeof(*spots), by_spot_and_line);
    for (size_t from = 0, to = 0; from < count; from = to) {
        for (to = from + 1; to < count && compare_spots(&spots[from], &spots[to]) == 0; to++)
            ;
        if (to - from > 1)
            compare(&spots[from], to - from, complaints);
    }
}

static bool needs_program(const struct settings *settings, const struct expression *expression)
{
    for (size_t i = 0; i < expression->count; i++)
        if (!(expression->checks[i] & CHECK_BUILT_IN) &&
            expression->checks[i] < settings->check_count &&
            settings->checks[expression->checks[i]].settings.kind >= PROBE_HTTP)
            return true;
    return false;
}

/* What a thread cannot do it shall not be told to. */
static void compare_monitor(const struct settings *settings, struct complaints *complaints)
{
    for (size_t i = 0; i < settings->service_count; i++) {
        const struct service *service = &settings->services[i];
        bool gated = needs_program(settings, &service->failover.gate);
        if (service->strategy == STRATEGY_COMMAND)
            complain(
                complaints, service->line, service->name,
                "strategy = command needs `redisteer monitor`, which monitor = thread excludes");
        if (service->discover.dns || service->discover.srv[0])
            complain(complaints,
                     service->discover.dns ? service->discover.dns_line
                                           : service->discover.srv_line,
                     service->name,
                     "dns and srv need `redisteer monitor`, which monitor = thread excludes");
        for (size_t j = 0; j < service->endpoint_count; j++) {
            const struct endpoint *endpoint = &service->endpoints[j];
            if (gated || endpoint->tls.enabled || needs_program(settings, &endpoint->health.probe))
                complain(complaints, endpoint->line, endpoint->name,
                         "checks over TLS and of type http, lag or exec need `redisteer monitor`, "
                         "which monitor = thread excludes");
        }
    }
}

static bool same_source(const struct discover *a, const struct discover *b)
{
    return a->sentinel_count && b->sentinel_count && text_equal(a->master_name, b->master_name) &&
           text_equal(a->sentinels[0].host, b->sentinels[0].host) &&
           a->sentinels[0].port == b->sentinels[0].port;
}

/* What Sentinels name they will name for both services. */
static void compare_discovery(const struct settings *settings, struct complaints *complaints)
{
    for (size_t i = 1; i < settings->service_count; i++) {
        const struct service *service = &settings->services[i];
        for (size_t j = 0; service->resolve != RESOLVE_VIRTUAL && j < i; j++) {
            const struct service *other = &settings->services[j];
            if (other->resolve == RESOLVE_VIRTUAL ||
                !same_source(&service->discover, &other->discover))
                continue;
            complain(complaints, service->discover.line, service->discover.master_name,
                     "service %s follows the same master as service %s (line %u), so all but one "
                     "of them must say resolve = virtual",
                     service->name, other->name, other->discover.line);
            break;
        }
    }
}

int compare_services(const struct settings *settings, struct complaints *complaints)
{
    size_t matches = 0, endpoints = 0;
    struct spot *spots =
        calloc(settings->service_count + 1, MATCHES_MAX * sizeof(*spots)); /* >= ENDPOINTS_MAX */

    if (!spots)
        return -ENOMEM;
    for (size_t i = 0; i < settings->service_count; i++) {
        const struct service *service = &settings->services[i];
        for (size_t j = 0; j < service->match_count; j++)
            spots[matches++] = spot_of(service, &service->matches[j].at, service->matches[j].line);
    }
    each_equal(spots, matches, complaints, compare_matches);
    for (size_t i = 0; i < settings->service_count; i++) {
        const struct service *service = &settings->services[i];
        for (size_t j = 0; j < service->endpoint_count; j++) {
            const struct endpoint *endpoint = &service->endpoints[j];
            if (*endpoint->at.host) /* "" when its address was refused */
                spots[endpoints++] = spot_of(service, &endpoint->at, endpoint->address_line);
        }
    }
    each_equal(spots, endpoints, complaints, compare_endpoints);
    compare_discovery(settings, complaints);
    if (settings->monitor == MONITOR_THREAD)
        compare_monitor(settings, complaints);
    free(spots);
    return 0;
}

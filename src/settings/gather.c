#include "settings/gather.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "settings/merge.h"
#include "state/bank.h"
#include "state/discovery.h"

enum { READ_TRIES = 3 }; /* of settings in force that change meanwhile */

static void report_sentinel(const struct service *service, const struct lookup *lookup, bool kept,
                            void (*say)(const char *line))
{
    char line[ADDRESS_HOST_TEXT + NAME_TEXT + 160];

    snprintf(line, sizeof(line), "discover of service %s: %s does not resolve (%s); %s",
             service->name, lookup->host, lookup_why(lookup),
             kept ? "its last known address stays in use" : "it is not asked");
    say(line);
}

/* ---- what was published last ---- */

/* The address that a Sentinel had whose name does not resolve now. */
static void gather_sentinels(const struct discover_settings *before, const struct discover *wanted,
                             struct discover_settings *now)
{
    for (uint32_t i = 0; i < now->count; i++)
        for (uint32_t j = 0; now->sentinels[i].port == 0 && j < before->count; j++)
            if (text_equal(before->hosts[j], now->hosts[i]) &&
                before->sentinels[j].port == wanted->sentinels[i].port)
                now->sentinels[i] = before->sentinels[j];
}

/* The servers that Sentinels brought, where they were the same Sentinels. */
static void gather_found(const struct bank_view *view, const struct service_settings *service,
                         struct found *out)
{
    struct endpoint_settings endpoint;
    struct endpoint_label label;

    for (uint32_t j = 0; j < service->endpoint_count && out->count < ENDPOINTS_MAX; j++)
        if (bank_label(view, service->first_endpoint + j, &label) &&
            bank_endpoint(view, service->first_endpoint + j, &endpoint) &&
            text_equal(label.source, discovery_by_sentinel))
            out->servers[out->count++] = endpoint.addresses[0];
}

/* What SRV said last, where that was the same question. */
static void gather_offers(const struct bank_view *view, const struct service_settings *service,
                          struct lookup *lookup)
{
    struct endpoint_settings endpoint;
    struct endpoint_label label;

    for (uint32_t j = 0; j < service->endpoint_count && lookup->count < ENDPOINTS_MAX; j++) {
        struct offer *offer = &lookup->offers[lookup->count];

        if (!bank_label(view, service->first_endpoint + j, &label) ||
            !bank_endpoint(view, service->first_endpoint + j, &endpoint) ||
            !text_equal(label.source, discovery_by_srv))
            continue;
        text_copy(offer->host, sizeof(offer->host), label.host);
        offer->weight_milli = endpoint.weight_milli;
        offer->tier = endpoint.tier;
        offer->count = endpoint.address_count;
        memcpy(offer->addresses, endpoint.addresses, sizeof(offer->addresses));
        lookup->count += endpoint.address_count > 0;
    }
}

struct kept {
    struct discover_settings discover; /* its Sentinels' addresses; count 0: none */
    struct found found;
};

/* From one copy of the settings in force. */
static void gather_kept(const struct bank_view *view, const struct service *service,
                        uint64_t identity, struct kept *kept, struct lookup *srv)
{
    struct service_settings before;

    memset(kept, 0, sizeof(*kept));
    if (srv->error)
        srv->count = 0;
    if (!bank_service_named(view, service->name, &before) || before.discover == 0 ||
        !bank_discover(view, before.discover - 1, &kept->discover))
        return;
    if (kept->discover.identity == identity)
        gather_found(view, &before, &kept->found);
    if (srv->error && srv->offers && text_equal(kept->discover.srv, service->discover.srv))
        gather_offers(view, &before, srv);
}

/* What cannot be asked, or is not answered now, stays as it was. */
static void keep(const struct segment *segment, const struct service *service,
                 struct publish_service *out, struct lookup *srv, struct found *found)
{
    const struct discovery_live *live = discovery_of(segment, service->name);
    struct bank_view view;
    struct kept kept;

    if (srv->error && !srv->offers)
        srv->offers = calloc(ENDPOINTS_MAX, sizeof(*srv->offers));
    for (int tries = 0; tries < READ_TRIES; tries++) {
        if (!bank_open(segment, &view))
            break;
        gather_kept(&view, service, out->discover->identity, &kept, srv);
        if (!bank_valid(&view))
            continue;
        gather_sentinels(&kept.discover, &service->discover, out->discover);
        /* What was found since is the better; it may be half written, by one who was killed. */
        if (!live || !discovery_read(live, out->discover->identity, found))
            *found = kept.found;
        return;
    }
    if (srv->error)
        srv->count = 0;
}

static void report_srv(const struct service *service, const struct lookup *lookup,
                       void (*say)(const char *line))
{
    char line[ADDRESS_HOST_TEXT + NAME_TEXT + 160];

    snprintf(line, sizeof(line), "discover of service %s: %s: %s; %s", service->name, lookup->host,
             lookup_why(lookup),
             lookup->count ? "what it last said stays in use" : "it brings no endpoint");
    say(line);
}

void gather_report_left_out(const struct service *service, uint32_t count,
                            void (*say)(const char *line))
{
    char line[NAME_TEXT + 160];

    if (count == 0)
        return;
    snprintf(
        line, sizeof(line),
        "discover of service %s: %u more than the %d endpoints that a service can have; left out",
        service->name, (unsigned)count, (int)ENDPOINTS_MAX);
    say(line);
}

uint32_t gather_servers(const struct service *service, const struct gathered *lookups,
                        const struct segment *segment, struct publish_service *out,
                        struct publish_endpoint room[static ENDPOINTS_MAX], struct found *found,
                        void (*say)(const char *line))
{
    struct lookup no_srv = {0}, *srv = service->discover.srv[0] ? lookups->srv : &no_srv;
    uint32_t left_out;

    *found = (struct found){0};
    merge_describe(service, lookups->sentinels, out->discover);
    if (segment)
        keep(segment, service, out, srv, found);
    for (size_t i = 0; i < service->discover.sentinel_count; i++)
        if (lookups->sentinels[i].error)
            report_sentinel(service, &lookups->sentinels[i], out->discover->sentinels[i].port != 0,
                            say);
    left_out = merge_begin(out, service, lookups->endpoints, room);
    if (srv->error)
        report_srv(service, srv, say);
    return left_out + merge_offers(out, srv);
}

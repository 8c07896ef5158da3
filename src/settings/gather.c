#include "settings/gather.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "settings/merge.h"
#include "state/bank.h"
#include "state/discovery.h"

enum { READ_TRIES = 3 };

static void report_sentinel(const struct service *service, const struct lookup *lookup,
                            void (*say)(const char *line))
{
    char line[ADDRESS_HOST_TEXT + NAME_TEXT + 160];

    snprintf(line, sizeof(line), "discover of service %s: %s does not resolve (%s); %s",
             service->name, lookup->host, lookup_why(lookup),
             lookup->count ? "its last known address stays in use" : "it is not asked");
    say(line);
}

/* What is known of its servers already. */
static void known_servers(const struct segment *segment, const char *service, uint64_t identity,
                          struct found *out)
{
    const struct discovery_live *live = discovery_of(segment, service);

    /* Again where it was just being written. */
    for (int tries = 0; live && tries < READ_TRIES; tries++)
        if (discovery_read(live, identity, out))
            return;
    *out = (struct found){0};
}

/* What SRV said last, where that was the same question. */
static void gather_offers(const struct bank_view *view, const struct service *service,
                          struct lookup *lookup)
{
    struct discover_settings discover;
    struct endpoint_settings endpoint;
    struct endpoint_label label;
    struct service_settings found;

    for (uint32_t i = 0; bank_service(view, i, &found); i++) {
        if (!text_equal(found.name, service->name) || found.discover == 0 ||
            !bank_discover(view, found.discover - 1, &discover) ||
            !text_equal(discover.srv, service->discover.srv))
            continue;
        for (uint32_t j = 0; j < found.endpoint_count && lookup->count < ENDPOINTS_MAX; j++) {
            struct offer *offer = &lookup->offers[lookup->count];

            if (!bank_label(view, found.first_endpoint + j, &label) ||
                !bank_endpoint(view, found.first_endpoint + j, &endpoint) ||
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
}

static void keep_offers(const struct segment *segment, const struct service *service,
                        struct lookup *lookup)
{
    struct bank_view view;

    lookup->count = 0;
    if (!lookup->offers)
        lookup->offers = calloc(ENDPOINTS_MAX, sizeof(*lookup->offers));
    for (int tries = 0; lookup->offers && tries < READ_TRIES; tries++) {
        lookup->count = 0;
        if (!bank_open(segment, &view))
            return;
        gather_offers(&view, service, lookup);
        if (bank_valid(&view))
            return;
    }
    lookup->count = 0;
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

static void report_left_out(const struct service *service, uint32_t count,
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

void gather_servers(const struct service *service, const struct gathered *lookups,
                    const struct segment *segment, struct publish_service *out,
                    struct publish_endpoint room[static ENDPOINTS_MAX],
                    void (*say)(const char *line))
{
    struct found found = {0};
    uint32_t left_out;

    merge_describe(service, lookups->sentinels, out->discover);
    for (size_t i = 0; i < service->discover.sentinel_count; i++)
        if (lookups->sentinels[i].error)
            report_sentinel(service, &lookups->sentinels[i], say);
    left_out = merge_begin(out, service, lookups->endpoints, room);
    if (service->discover.srv[0]) {
        if (lookups->srv->error) {
            if (segment)
                keep_offers(segment, service, lookups->srv);
            report_srv(service, lookups->srv, say);
        }
        left_out += merge_offers(out, lookups->srv);
    }
    if (segment)
        known_servers(segment, service->name, out->discover->identity, &found);
    left_out += merge_found(out, &found);
    report_left_out(service, left_out, say);
}

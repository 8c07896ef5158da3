#include "settings/merge.h"

#include <string.h>

#include "base/hash.h"
#include "base/text.h"

void merge_describe(const struct service *service, const struct lookup *sentinels,
                    struct discover_settings *out)
{
    const struct discover *discover = &service->discover;

    text_copy(out->master_name, sizeof(out->master_name), discover->master_name);
    out->count = (uint32_t)discover->sentinel_count;
    out->quorum = discover->quorum ? discover->quorum : out->count / 2 + 1;
    out->refresh_ns = discover->refresh_ns;
    text_copy(out->srv, sizeof(out->srv), discover->srv);
    out->dns = discover->dns;
    for (uint32_t i = 0; i < out->count; i++) {
        text_copy(out->hosts[i], sizeof(out->hosts[i]), discover->sentinels[i].host);
        out->sentinels[i].port = discover->sentinels[i].port;
    }
    out->identity = discovery_identity(out);
    for (uint32_t i = 0; i < out->count; i++) {
        if (sentinels[i].count > 0)
            out->sentinels[i] = sentinels[i].addresses[0];
        out->sentinels[i].port = sentinels[i].count > 0 ? discover->sentinels[i].port : 0;
    }
    out->nat_count = (uint32_t)discover->nat_count;
    for (uint32_t i = 0; i < out->nat_count; i++) {
        text_copy(out->nat[i].host, sizeof(out->nat[i].host), discover->nat[i].from.host);
        out->nat[i].port = discover->nat[i].from.port;
        out->nat[i].to = discover->nat[i].to;
    }
}

static struct publish_endpoint *with_address(struct publish_endpoint *endpoints, uint32_t count,
                                             const struct address *address)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t a = 0; a < endpoints[i].settings.address_count; a++)
            if (address_equal(&endpoints[i].settings.addresses[a], address))
                return &endpoints[i];
    return NULL;
}

enum { NAME_CUT = NAME_TEXT - 10 };

/* "10.0.0.1-6379", "redis-1.example.com-6379": a name that people can type. */
static void name_of(const char *host, uint16_t port, char out[static NAME_TEXT])
{
    char whole[ADDRESS_HOST_TEXT + 8];
    size_t length = text_format(whole, sizeof(whole), "%s-%u", host, (unsigned)port);

    /* Where there is no room for all, what tells it from others stands at the end. */
    if (!text_copy(out, NAME_TEXT, whole))
        text_format(out + NAME_CUT, NAME_TEXT - NAME_CUT, "-%08x",
                    (unsigned)hash_bytes(whole, length));
    for (char *c = out; *c; c++)
        if (*c == ':' || *c == '%')
            *c = '-';
}

/* One more of `like`, or NULL: it is there already, or there is no room, which is counted. */
static struct publish_endpoint *add(struct publish_service *service,
                                    const struct publish_endpoint *like,
                                    const struct address *addresses, size_t count, uint32_t room,
                                    uint32_t *left_out)
{
    struct publish_endpoint *endpoint = &service->endpoints[service->endpoint_count];

    for (size_t i = 0; i < count; i++)
        if (with_address(service->endpoints, service->endpoint_count, &addresses[i]))
            return NULL;
    if (service->endpoint_count >= room) {
        ++*left_out;
        return NULL;
    }
    service->endpoint_count++;
    *endpoint = *like;
    endpoint->settings.address_count = (uint32_t)count;
    memset(endpoint->settings.addresses, 0, sizeof(endpoint->settings.addresses));
    memset(endpoint->label.ip_text, 0, sizeof(endpoint->label.ip_text));
    memset(endpoint->label.name, 0, sizeof(endpoint->label.name));
    for (size_t i = 0; i < count; i++) {
        endpoint->settings.addresses[i] = addresses[i];
        address_format_ip(&addresses[i], endpoint->label.ip_text[i]);
    }
    name_of(endpoint->label.ip_text[0], addresses[0].port, endpoint->label.name);
    return endpoint;
}

uint32_t merge_begin(struct publish_service *out, const struct service *service,
                     const struct lookup *lookups,
                     struct publish_endpoint room[static ENDPOINTS_MAX])
{
    const struct publish_endpoint *of_file = out->endpoints;
    uint32_t count = out->endpoint_count, left_out = 0;

    out->endpoints = room;
    out->endpoint_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct publish_endpoint like = of_file[i];
        struct address number;

        if (!service->discover.dns || lookups[i].count == 0 ||
            address_parse_ip(lookups[i].host, &number) == 0) {
            if (out->endpoint_count < ENDPOINTS_MAX)
                room[out->endpoint_count++] = like;
            else
                left_out++;
            continue;
        }
        memset(like.label.source, 0, sizeof(like.label.source));
        text_copy(like.label.source, sizeof(like.label.source), discovery_by_dns);
        /* Each of the file that follows has its place. */
        for (size_t a = 0; a < lookups[i].count; a++)
            add(out, &like, &lookups[i].addresses[a], 1, ENDPOINTS_MAX - (count - i - 1),
                &left_out);
    }
    return left_out;
}

/* What nothing is said of. */
static struct publish_endpoint plain(const struct publish_service *service, const char *source)
{
    struct publish_endpoint endpoint;

    memset(&endpoint, 0, sizeof(endpoint)); /* its padding, too: settings are compared as bytes */
    endpoint.settings.weight_milli = 1000;
    endpoint.settings.health = service->settings.health;
    endpoint.username = service->username;
    endpoint.password = service->password;
    text_copy(endpoint.label.source, sizeof(endpoint.label.source), source);
    return endpoint;
}

uint32_t merge_offers(struct publish_service *service, const struct lookup *srv)
{
    struct publish_endpoint like = plain(service, discovery_by_srv);
    uint32_t left_out = 0;

    for (size_t i = 0; srv->offers && i < srv->count; i++) {
        const struct offer *offer = &srv->offers[i];
        struct publish_endpoint *endpoint;

        like.settings.weight_milli = offer->weight_milli;
        like.settings.tier = offer->tier;
        endpoint = add(service, &like, offer->addresses, offer->count, ENDPOINTS_MAX, &left_out);
        if (!endpoint)
            continue;
        text_copy(endpoint->label.host, sizeof(endpoint->label.host), offer->host);
        memset(endpoint->label.name, 0, sizeof(endpoint->label.name));
        name_of(offer->host, offer->addresses[0].port, endpoint->label.name);
    }
    return left_out;
}

uint32_t merge_found(struct publish_service *service, const struct found *found)
{
    struct publish_endpoint like = plain(service, discovery_by_sentinel);
    uint32_t left_out = 0;

    for (uint32_t i = 0; i < found->count; i++) {
        struct publish_endpoint *endpoint =
            add(service, &like, &found->servers[i], 1, ENDPOINTS_MAX, &left_out);

        if (endpoint)
            text_copy(endpoint->label.host, sizeof(endpoint->label.host),
                      endpoint->label.ip_text[0]);
    }
    return left_out;
}

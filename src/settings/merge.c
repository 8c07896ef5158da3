#include "settings/merge.h"

#include <string.h>

#include "base/text.h"

void merge_describe(const struct service *service, const struct lookup *sentinels,
                    struct discover_settings *out)
{
    const struct discover *discover = &service->discover;

    text_copy(out->master_name, sizeof(out->master_name), discover->master_name);
    out->count = (uint32_t)discover->sentinel_count;
    out->quorum = discover->quorum ? discover->quorum : out->count / 2 + 1;
    out->refresh_ns = discover->refresh_ns;
    for (uint32_t i = 0; i < out->count; i++) {
        text_copy(out->hosts[i], sizeof(out->hosts[i]), discover->sentinels[i].host);
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
    out->identity = discovery_identity(out);
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

/* "10.0.0.1-6379", and of IPv6 the colons too as hyphens: a name that people can type. */
static void name_of(const struct address *address, char out[static NAME_TEXT])
{
    char ip[ADDRESS_IP_TEXT];

    address_format_ip(address, ip);
    text_format(out, NAME_TEXT, "%s-%u", ip, (unsigned)address->port);
    for (char *c = out; *c; c++)
        if (*c == ':' || *c == '%')
            *c = '-';
}

static void add(struct publish_service *service, const struct address *address)
{
    struct publish_endpoint *endpoint = &service->endpoints[service->endpoint_count++];

    memset(endpoint, 0, sizeof(*endpoint));
    endpoint->settings.weight_milli = 1000;
    endpoint->settings.health = service->settings.health;
    endpoint->settings.address_count = 1;
    endpoint->settings.addresses[0] = *address;
    endpoint->username = service->username;
    endpoint->password = service->password;
    name_of(address, endpoint->label.name);
    address_format_ip(address, endpoint->label.ip_text[0]);
    text_copy(endpoint->label.host, sizeof(endpoint->label.host), endpoint->label.ip_text[0]);
    text_copy(endpoint->label.source, sizeof(endpoint->label.source), discovery_by_sentinel);
}

void merge_found(struct publish_service *service, const struct found *found,
                 struct publish_endpoint room[static ENDPOINTS_MAX])
{
    memcpy(room, service->endpoints, service->endpoint_count * sizeof(*room));
    service->endpoints = room;
    for (uint32_t i = 0; i < found->count && service->endpoint_count < ENDPOINTS_MAX; i++)
        if (!with_address(room, service->endpoint_count, &found->servers[i]))
            add(service, &found->servers[i]);
}

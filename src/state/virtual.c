#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "state/slots.h"

/* 127.64.0.0/10: loopback, so nothing leaves the host, and above what people number by hand. */
enum { VIRTUAL_NETWORK = 127 << 24 | 64 << 16, VIRTUAL_HOST_BITS = 22 };

static struct address virtual_address(uint32_t host)
{
    uint32_t ip = (uint32_t)VIRTUAL_NETWORK | (host & ((1u << VIRTUAL_HOST_BITS) - 1));

    return (struct address){.ip = {[10] = 0xff,
                                   [11] = 0xff,
                                   [12] = (uint8_t)(ip >> 24),
                                   [13] = (uint8_t)(ip >> 16),
                                   [14] = (uint8_t)(ip >> 8),
                                   [15] = (uint8_t)ip}};
}

static bool is_virtual(const struct service_settings *settings)
{
    return settings->resolve == RESOLVE_VIRTUAL;
}

static bool endpoint_has(const struct endpoint_settings *settings, const struct address *address)
{
    for (uint32_t i = 0; i < settings->address_count; i++)
        if (address_same_ip(&settings->addresses[i], address))
            return true;
    for (uint32_t i = 0; i < settings->past_count; i++)
        if (address_same_ip(&settings->past[i], address))
            return true;
    return false;
}

static bool is_taken(const struct publication *publication, const struct address *address)
{
    for (uint32_t s = 0; s < publication->service_count; s++) {
        const struct publish_service *service = &publication->services[s];

        if (is_virtual(&service->settings) &&
            address_same_ip(&service->settings.virtual_address, address))
            return true;
        for (uint32_t e = 0; e < service->endpoint_count; e++)
            if (endpoint_has(&service->endpoints[e].settings, address))
                return true;
        for (uint32_t m = 0; m < service->match_count; m++)
            if (!service->matches[m].is_name &&
                address_same_ip(&service->matches[m].address, address))
                return true;
    }
    return false;
}

static bool was_virtual(const struct service_settings *before)
{
    static const struct address none;

    return before && is_virtual(before) && !address_same_ip(&before->virtual_address, &none);
}

void virtual_addresses_assign(struct publication *publication, const struct old_settings *old)
{
    for (uint32_t s = 0; s < publication->service_count; s++)
        memset(&publication->services[s].settings.virtual_address, 0, sizeof(struct address));

    /* First those that have one: a newcomer must not take it. */
    for (uint32_t s = 0; s < publication->service_count; s++) {
        struct service_settings *settings = &publication->services[s].settings;
        const struct service_settings *before = old_service(old, settings->name);

        if (is_virtual(settings) && was_virtual(before) &&
            !is_taken(publication, &before->virtual_address))
            settings->virtual_address = before->virtual_address;
    }
    for (uint32_t s = 0; s < publication->service_count; s++) {
        struct service_settings *settings = &publication->services[s].settings;
        uint32_t host = (uint32_t)hash_bytes(settings->name, strlen(settings->name));
        struct address address = virtual_address(host);

        if (!is_virtual(settings) || settings->virtual_address.ip[12] != 0)
            continue;
        while (is_taken(publication, &address))
            address = virtual_address(++host);
        settings->virtual_address = address;
    }
}

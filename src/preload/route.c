#include "preload/route.h"

#include "base/hash.h"
#include "base/hints.h"
#include "base/text.h"
#include "preload/learned.h"

enum {
    READ_TRIES = 3,   /* the settings would have to be published twice during each of them */
    CHAIN_MAX = 8192, /* a corrupt chain may be a ring */
};

static bool port_fits(const struct match_settings *match, uint16_t port)
{
    return match->any_port || match->port == port;
}

/* Did a look-up of one of the service's names lead this process to `destination`? */
static bool led_here(const struct bank_view *view, const struct service_settings *service,
                     const struct ip_entry *member, const struct address *destination)
{
    struct match_settings match;

    for (uint32_t i = 0; i < service->match_count && i < MATCHES_MAX; i++)
        if (bank_match(view, service->first_match + i, &match) && match.is_name &&
            (port_fits(&match, destination->port) || destination->port == member->address.port) &&
            learned_has(match.hash, destination))
            return true;
    return false;
}

/*
 * A virtual address belongs to one service, but a name may be several by port, and a look-up
 * without a port cannot tell: the service with that name and this port is meant.
 */
static uint32_t service_by_port(const struct bank_view *view,
                                const struct service_settings *service, uint32_t index,
                                uint16_t port)
{
    struct match_settings own, other;

    for (uint32_t i = 0; i < service->match_count && i < MATCHES_MAX; i++)
        if (bank_match(view, service->first_match + i, &own) && own.is_name &&
            port_fits(&own, port))
            return index;
    for (uint32_t i = 0; i < service->match_count && i < MATCHES_MAX; i++) {
        uint32_t next, links = 0;

        if (!bank_match(view, service->first_match + i, &own) || !own.is_name)
            continue;
        for (next = bank_name_first(view, own.hash); next && links < CHAIN_MAX; links++) {
            if (!bank_match(view, next - 1, &other))
                break;
            if (other.hash == own.hash && text_equal(other.host, own.host) &&
                port_fits(&other, port))
                return other.service;
            next = other.next;
        }
    }
    return UINT32_MAX;
}

/* UINT32_MAX: the entry does not make the destination ours. */
static uint32_t service_of_entry(const struct bank_view *view, const struct ip_entry *entry,
                                 const struct address *destination)
{
    struct service_settings service;

    if (!address_same_ip(&entry->address, destination))
        return UINT32_MAX;
    if (entry->kind == IP_MATCH)
        return entry->any_port || entry->address.port == destination->port ? entry->service
                                                                           : UINT32_MAX;
    if (!bank_service(view, entry->service, &service))
        return UINT32_MAX;
    if (entry->kind == IP_VIRTUAL)
        return service_by_port(view, &service, entry->service, destination->port);
    return led_here(view, &service, entry, destination) ? entry->service : UINT32_MAX;
}

/* Never a part of its caller, which goes on for long, and may be on a signal handler's stack. */
RARE bool route_address(const struct segment *segment, const struct address *destination,
                        struct service_view *out)
{
    for (unsigned tries = 0; tries < READ_TRIES; tries++) {
        struct bank_view view;
        struct ip_entry entry;
        uint32_t next, service = UINT32_MAX, links = 0;
        bool found;

        if (!bank_open(segment, &view))
            return false;
        for (next = bank_ip_first(&view, destination); next && links < CHAIN_MAX; links++) {
            if (!bank_ip(&view, next, &entry))
                break;
            service = service_of_entry(&view, &entry, destination);
            if (service != UINT32_MAX)
                break;
            next = entry.next;
        }
        found = service != UINT32_MAX && service_read(&view, service, out);
        if (bank_valid(&view))
            return found;
    }
    return false;
}

bool route_name(const struct segment *segment, const char *name, uint16_t port,
                struct named_service *out)
{
    size_t length = text_host_name(out->name, sizeof(out->name), name);

    if (length == 0)
        return false;
    out->name_hash = hash_bytes(out->name, length);
    for (unsigned tries = 0; tries < READ_TRIES; tries++) {
        struct bank_view view;
        struct match_settings match;
        uint32_t next, links = 0;
        bool found = false;

        if (!bank_open(segment, &view))
            return false;
        for (next = bank_name_first(&view, out->name_hash); next && links < CHAIN_MAX; links++) {
            if (!bank_match(&view, next - 1, &match))
                break;
            if (match.hash == out->name_hash && text_equal(match.host, out->name) &&
                (port == 0 || port_fits(&match, port))) {
                found = service_read(&view, match.service, &out->service) &&
                        out->service.settings.resolve != RESOLVE_REAL;
                if (found)
                    break;
            }
            next = match.next;
        }
        if (bank_valid(&view))
            return found;
    }
    return false;
}

void route_endpoint_name(const struct service_view *service, unsigned index,
                         char out[static NAME_TEXT])
{
    bank_slot_name(service->segment, service->endpoints[index].slot, out);
}

bool route_slots(const struct segment *segment, uint32_t service_slot, uint32_t endpoint_slot,
                 uint32_t generation, struct service_view *out, unsigned *index)
{
    for (unsigned tries = 0; tries < READ_TRIES; tries++) {
        struct bank_view view;
        struct service_settings service;
        bool found = false;

        if (!bank_open(segment, &view))
            return false;
        for (uint32_t i = 0; i < view.service_count && !found; i++) {
            if (!bank_service(&view, i, &service) || service.slot != service_slot ||
                !service_read(&view, i, out))
                continue;
            for (*index = 0; *index < out->count && !found; ++*index)
                found = out->endpoints[*index].slot == endpoint_slot &&
                        (out->endpoints[*index].generation & 0xffff) == generation;
        }
        if (found)
            --*index;
        if (bank_valid(&view))
            return found;
    }
    return false;
}

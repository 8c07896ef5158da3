#include "preload/lookup.h"

#include <errno.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/log.h"
#include "preload/describe.h"
#include "preload/learned.h"
#include "preload/process.h"
#include "preload/route.h"
#include "preload/shim.h"

static bool family_fits(const struct address *address, enum lookup_family family)
{
    bool v4 = address_is_v4(address);

    return family == LOOKUP_ANY || family == LOOKUP_V6_OR_MAPPED || v4 == (family == LOOKUP_V4);
}

/* A native IPv6 address where one is asked for, the first of the family otherwise. */
static const struct address *address_of(const struct endpoint_settings *endpoint,
                                        enum lookup_family family)
{
    const struct address *found = NULL;

    for (uint32_t i = 0; i < endpoint->address_count; i++) {
        const struct address *address = &endpoint->addresses[i];

        if (!family_fits(address, family))
            continue;
        if (!found ||
            (family == LOOKUP_V6_OR_MAPPED && address_is_v4(found) && !address_is_v4(address)))
            found = address;
    }
    return found;
}

/* The active endpoint's address, or, where it has none of the family, the first that has one. */
static const struct address *member_address(const struct service_view *service,
                                            enum lookup_family family)
{
    struct choice choice = service_decide(service, clock_boot_ns());
    const struct address *address = NULL;

    if (choice.endpoint >= 0)
        address = address_of(&service->endpoints[choice.endpoint], family);
    for (unsigned i = 0; !address && i < service->count; i++)
        address = address_of(&service->endpoints[i], family);
    return address;
}

bool lookup_name(const char *name, uint16_t port, enum lookup_family family, struct lookup *out)
{
    int saved = errno;
    const struct segment *segment = shim_segment_in_force(CALLER_RESOLVER);
    const struct address *address = NULL;
    struct named_service named;

    if (segment && route_name(segment, name, port, &named)) {
        enum service_mode mode = service_mode(&named.service, clock_boot_ns());

        if (mode == MODE_OBSERVE)
            log_info("observe %s: look-up of %s", named.service.settings.name, named.name);
        if (mode == MODE_STEER) {
            out->is_virtual = named.service.settings.resolve == RESOLVE_VIRTUAL;
            address = out->is_virtual ? &named.service.settings.virtual_address
                                      : member_address(&named.service, family);
        }
    }
    errno = saved;
    if (!address || !family_fits(address, family))
        return false;
    out->address = *address;
    out->name_hash = named.name_hash;
    describe_ip(address, out->text);
    log_debug("look-up of %s (%s): %s", named.name, named.service.settings.name, out->text);
    errno = saved;
    return true;
}

void lookup_given(const struct lookup *lookup)
{
    if (!lookup->is_virtual && process_is_ours() &&
        !learned_add(lookup->name_hash, &lookup->address))
        log_warn("a look-up was not remembered: too many names and addresses");
}

#include "preload/lookup.h"

#include <errno.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/describe.h"
#include "base/log.h"
#include "policy/spread.h"
#include "preload/await.h"
#include "preload/background.h"
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
static bool address_of(const struct service_view *service, unsigned index,
                       enum lookup_family family, struct address *out)
{
    SHARED64 struct address known[ADDRESSES_MAX];
    uint32_t count = service_addresses(service, index, known);
    bool found = false;

    for (uint32_t i = 0; i < count; i++) {
        const struct address *address = &known[i];

        if (!family_fits(address, family))
            continue;
        if (!found ||
            (family == LOOKUP_V6_OR_MAPPED && address_is_v4(out) && !address_is_v4(address)))
            *out = *address;
        found = true;
    }
    return found;
}

/* The active endpoint's address, or, where it has none of the family, the first that has one. */
static bool member_address(const struct service_view *service, enum lookup_family family,
                           struct address *out)
{
    uint64_t now_ns = clock_boot_ns();
    /* Where connections are spread, the turn belongs to the connection and not to its look-up. */
    struct choice choice = strategy_spreads((enum strategy)service->settings.strategy)
                               ? service_choice(service, now_ns)
                               : service_target(service, now_ns);
    bool found =
        choice.endpoint >= 0 && address_of(service, (unsigned)choice.endpoint, family, out);

    for (unsigned i = 0; !found && i < service->count; i++)
        found = address_of(service, i, family, out);
    return found;
}

bool lookup_name(const char *name, uint16_t port, enum lookup_family family, bool may_wait,
                 struct lookup *out)
{
    int saved = errno;
    const struct segment *segment = shim_segment_in_force(CALLER_RESOLVER);
    struct named_service named;
    bool found = false;

    if (segment && route_name(segment, name, port, &named)) {
        uint64_t now_ns = clock_boot_ns();
        enum service_mode mode = service_mode(&named.service, now_ns);

        if (mode == MODE_OBSERVE)
            log_info("observe %s: look-up of %s", named.service.settings.name, named.name);
        if (mode == MODE_STEER) {
            if (may_wait)
                await_verdicts_on(&named.service, now_ns);
            out->is_virtual = named.service.settings.resolve == RESOLVE_VIRTUAL;
            out->address = named.service.settings.virtual_address;
            found = out->is_virtual ? family_fits(&out->address, family)
                                    : member_address(&named.service, family, &out->address);
        }
    }
    if (found && process_is_ours())
        background_needed(segment, CALLER_RESOLVER, clock_boot_ns());
    errno = saved;
    if (!found)
        return false;
    out->name_hash = named.name_hash;
    describe_ip(&out->address, out->text);
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

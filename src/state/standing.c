#include "state/standing.h"

#include "base/clock.h"

static atomic_u64 *word_of(const struct service_view *service, uint32_t index)
{
    return &service->endpoint_live[index]->standing;
}

static struct standing standing_of(const struct service_view *service, uint32_t index)
{
    return standing_unpack(load_relaxed(word_of(service, index)));
}

static bool may_write(const struct service_view *service, uint32_t index)
{
    return service->segment->writable && index < service->count &&
           service_still_has(service, index);
}

void standing_saw(const struct service_view *service, uint32_t index, enum seen seen,
                  uint64_t now_ns)
{
    if (may_write(service, index))
        store_relaxed(word_of(service, index),
                      standing_pack(standing_after(standing_of(service, index), seen, now_ns)));
}

void standing_new_master(const struct service_view *service)
{
    for (uint32_t i = 0; i < service->count; i++)
        if (may_write(service, i))
            store_relaxed(word_of(service, i),
                          standing_pack(standing_superseded(standing_of(service, i))));
}

static bool has_address(const struct service_view *service, uint32_t index,
                        const struct address *address)
{
    SHARED64 struct address known[ADDRESSES_MAX];
    uint32_t count = service_addresses(service, index, known);

    for (uint32_t i = 0; i < count; i++)
        if (address_equal(&known[i], address))
            return true;
    return false;
}

/* The endpoint that a quorum names, or -1: none, or the settings have it not yet. */
static int named(const struct service_view *service, const struct found *found)
{
    for (uint32_t i = 0; found && found->master.port != 0 && i < service->count; i++)
        if (has_address(service, i, &found->master))
            return (int)i;
    return -1;
}

static bool is_well(const struct service_view *service, int index, uint64_t now_ns)
{
    return index >= 0 && standing_is_trusted(standing_of(service, (uint32_t)index)) &&
           service_health(service, (uint32_t)index, now_ns) == HEALTH_HEALTHY;
}

bool standing_doubts(const struct service_view *service)
{
    for (uint32_t i = 0; i < service->count; i++)
        if (standing_of(service, i).bar == BAR_RETURNED)
            return true;
    return false;
}

bool standing_judge(const struct service_view *service, const struct found *found, uint64_t calm_ns,
                    uint64_t now_ns)
{
    int master = named(service, found);
    struct agreement agreement = {
        .sentinels = found != NULL,
        .known = found && found->master.port != 0,
        .other_well = is_well(service, master, now_ns),
        .calm_ns = calm_ns,
    };
    bool changed = false;

    for (uint32_t i = 0; i < service->count; i++) {
        struct standing before = standing_of(service, i), after = {0};

        if (!may_write(service, i))
            continue;
        agreement.is_this = (int)i == master;
        /* Of one that need not be the master nothing is kept: who watches it later begins anew. */
        if (service->endpoints[i].role == ROLE_MASTER) {
            after = standing_vouched(before, agreement);
            after.bar = standing_bar(after, agreement, now_ns);
        }
        if (after.bar == before.bar && after.past == before.past)
            continue;
        store_relaxed(word_of(service, i), standing_pack(after));
        changed = changed || after.bar != before.bar;
    }
    return changed;
}

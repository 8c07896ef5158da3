#include "preload/leave.h"

#include <stddef.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/hash.h"
#include "state/bank.h"
#include "state/checked.h"
#include "state/decision.h"
#include "state/live.h"

/* All at once, and yet not all in the same instant: whoever is closed connects anew. */
#define CLOSE_JITTER_NS (250 * NS_PER_MS)

struct leave *leave_new(uint32_t endpoints)
{
    size_t size = sizeof(struct leave) + endpoints * sizeof(struct leave_entry);
    struct leave *leave =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (leave == MAP_FAILED)
        return NULL;
    leave->limit = endpoints;
    return leave;
}

/* The endpoint that was left by the last failback or manual switch. */
static bool was_left(const struct service_view *service, uint32_t index, uint64_t now_ns,
                     uint64_t *since_ns)
{
    struct last_switch last;
    uint64_t wall_ms = clock_wall_ns() / NS_PER_MS, ago_ms;

    if (!last_switch_read(service->live, &last) || last.from != service->endpoints[index].slot ||
        (last.reason != CHOICE_FAILBACK && last.reason != CHOICE_MANUAL))
        return false;
    ago_ms = wall_ms > last.wall_ms ? wall_ms - last.wall_ms : 0;
    *since_ns = now_ns > ago_ms * NS_PER_MS ? now_ns - ago_ms * NS_PER_MS : 0;
    return true;
}

static enum leave_how how_to_leave(const struct service_view *service, uint32_t index,
                                   uint64_t now_ns, uint64_t *since_ns)
{
    *since_ns = now_ns;
    if (service_mode(service, now_ns) != MODE_STEER)
        return LEAVE_NOT;
    if (checked_must_shut(service, index, now_ns))
        return LEAVE_NOW;
    if (!was_left(service, index, now_ns, since_ns))
        return LEAVE_NOT;
    switch ((enum existing)service->settings.failover.existing) {
    case EXISTING_IDLE:
        return LEAVE_WHEN_QUIET;
    case EXISTING_CLOSE:
        return LEAVE_CLOSE;
    case EXISTING_KEEP:
        break;
    }
    return LEAVE_NOT;
}

static uint64_t answered_ns(const struct endpoint_live *live)
{
    return verdict_unpack(load_relaxed(&live->health)).fell == 0 ? load_relaxed(&live->checked_ns)
                                                                 : 0;
}

static void add_service(struct leave *leave, const struct service_view *service, uint64_t now_ns)
{
    for (uint32_t i = 0; i < service->count && leave->count < leave->limit; i++) {
        struct leave_entry *entry = &leave->entries[leave->count++];

        *entry = (struct leave_entry){
            .endpoint_slot = service->endpoints[i].slot,
            .generation = service->endpoints[i].generation & 0xffff,
            .service_slot = service->settings.slot,
            .service = service->index,
            .endpoint = i,
            .spread_ns = service->settings.failover.existing == EXISTING_IDLE
                             ? service->settings.failover.spread_ns
                             : CLOSE_JITTER_NS,
            .connect = service->settings.connect,
            .answered_ns = answered_ns(service->endpoint_live[i]),
        };
        entry->how = how_to_leave(service, i, now_ns, &entry->since_ns);
        if (entry->how != LEAVE_NOT || entry->connect.max_age_ns)
            leave->any = true;
    }
}

/* Some endpoint is fit to take connections that must leave another. */
static bool has_eligible(const struct service_view *service, uint64_t now_ns)
{
    struct candidate candidates[ENDPOINTS_MAX];

    service_candidates(service, candidates, now_ns);
    for (uint32_t i = 0; i < service->count; i++)
        if (!candidate_why_not(candidates, service->count, i))
            return true;
    return false;
}

/* For sockets whose endpoint has gone from the settings. */
static void add_gone(struct leave *leave, const struct service_view *service, uint64_t now_ns)
{
    if (leave->count == leave->limit || !service->settings.failover.close_connections ||
        service_mode(service, now_ns) != MODE_STEER || !has_eligible(service, now_ns))
        return;
    leave->entries[leave->count++] = (struct leave_entry){
        .endpoint_slot = NO_SLOT,
        .service_slot = service->settings.slot,
        .service = service->index,
        .how = LEAVE_NOW,
    };
}

bool leave_read(struct leave *leave, const struct segment *segment, uint64_t now_ns)
{
    struct bank_view view;
    struct service_view service;

    leave->segment = segment;
    leave->read_ns = 0;
    leave->count = 0;
    leave->any = false;
    if (!bank_open(segment, &view))
        return false;
    for (uint32_t i = 0; i < view.service_count; i++) {
        if (!service_read(&view, i, &service))
            continue;
        add_service(leave, &service, now_ns);
        add_gone(leave, &service, now_ns);
    }
    if (!bank_valid(&view))
        return false;
    leave->read_ns = now_ns;
    return true;
}

/* Its endpoint was in the settings before these, or in a segment that they supersede (NO_SLOT). */
static bool had_endpoint(const struct leave *leave, const struct tracked *tracked)
{
    char name[NAME_TEXT];

    return tracked->endpoint_slot == NO_SLOT ||
           bank_slot_name(leave->segment, tracked->endpoint_slot, name);
}

/* Of a socket that is older than these settings are to us. */
static const struct leave_entry *find_gone(const struct leave *leave, const struct tracked *tracked)
{
    if (tracked->started_ns >= leave->read_ns)
        return NULL;
    for (uint32_t i = 0; i < leave->count; i++)
        if (leave->entries[i].endpoint_slot == NO_SLOT &&
            leave->entries[i].service_slot == tracked->service_slot)
            return had_endpoint(leave, tracked) ? &leave->entries[i] : NULL;
    return NULL;
}

const struct leave_entry *leave_find(const struct leave *leave, const struct tracked *tracked)
{
    if (tracked->endpoint_slot == NO_SLOT)
        return find_gone(leave, tracked);
    for (uint32_t i = 0; i < leave->count; i++)
        if (leave->entries[i].endpoint_slot == tracked->endpoint_slot &&
            leave->entries[i].generation == tracked->generation)
            return &leave->entries[i];
    return find_gone(leave, tracked);
}

uint64_t leave_due_ns(const struct leave_entry *entry, const struct tracked *tracked)
{
    return entry->since_ns + (entry->spread_ns ? hash_mix(tracked->cookie) % entry->spread_ns : 0);
}

#include "state/discovery.h"

#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "state/decision.h"
#include "state/live.h"

enum { READ_TRIES = 3 };

const char discovery_by_sentinel[] = "sentinel";
const char discovery_by_dns[] = "dns";
const char discovery_by_srv[] = "srv";

uint64_t discovery_identity(const struct discover_settings *settings)
{
    uint64_t identity = hash_bytes(settings->master_name, sizeof(settings->master_name));

    for (uint32_t i = 0; i < settings->count; i++) {
        identity = hash_mix(identity + hash_bytes(settings->hosts[i], strlen(settings->hosts[i])));
        identity = hash_mix(identity + settings->sentinels[i].port);
    }
    return identity | 1;
}

/* ---- what was found ---- */

static void read_address(const atomic_u64 from[3], struct address *out)
{
    SHARED64 struct address copy;

    shared_read(&copy, from, sizeof(copy));
    *out = copy;
}

static void write_address(atomic_u64 to[3], const struct address *address)
{
    SHARED64 struct address copy = *address;

    shared_write(to, &copy, sizeof(copy));
}

/* Never 0, which is what a fresh segment holds. */
static uint64_t seal_of(uint64_t identity, const struct found *found)
{
    uint64_t seal = hash_mix(identity + found->count);

    seal = hash_mix(seal + found->agreed_ms);
    seal = hash_mix(seal + hash_bytes(&found->master, sizeof(found->master)));
    seal += hash_bytes(found->servers, found->count * sizeof(found->servers[0]));
    return hash_mix(seal) | 1;
}

static bool read_once(const struct discovery_live *live, uint64_t identity, struct found *out)
{
    uint64_t seal = load_relaxed(&live->seal);

    memset(out, 0, sizeof(*out));
    out->count = (uint32_t)load_relaxed(&live->count);
    if (out->count == 0 || out->count > ENDPOINTS_MAX)
        return false;
    out->agreed_ms = load_relaxed(&live->agreed_ms);
    read_address(live->master, &out->master);
    for (uint32_t i = 0; i < out->count; i++)
        read_address(live->servers[i], &out->servers[i]);
    return seal == seal_of(identity, out);
}

bool discovery_read(const struct discovery_live *live, uint64_t identity, struct found *out)
{
    /* Again where it was just being written. */
    for (int tries = 0; tries < READ_TRIES; tries++)
        if (read_once(live, identity, out))
            return true;
    memset(out, 0, sizeof(*out));
    return false;
}

void discovery_write(struct discovery_live *live, uint64_t identity, const struct found *found)
{
    store_relaxed(&live->count, found->count);
    store_relaxed(&live->agreed_ms, found->agreed_ms);
    write_address(live->master, &found->master);
    for (uint32_t i = 0; i < found->count; i++)
        write_address(live->servers[i], &found->servers[i]);
    store_relaxed(&live->seal, seal_of(identity, found));
}

/* ---- its sources ---- */

void discovery_answered(struct source_live *live, const struct address *master, uint64_t now_ms)
{
    store_relaxed(&live->answered_ms, now_ms);
    store_relaxed(&live->troubled, 0);
    write_address(live->master, master);
}

void discovery_failed(struct source_live *live, enum check_cause cause, uint64_t now_ms)
{
    store_relaxed(&live->failed, last_error_pack((int)cause, now_ms * NS_PER_MS));
    store_relaxed(&live->troubled, 1);
}

void discovery_source(const struct source_live *live, struct source *out)
{
    int cause = last_error_unpack(load_relaxed(&live->failed), &out->failed_ms);

    out->cause = cause >= 0 && cause < CHECK_CAUSES ? (enum check_cause)cause : CHECK_FINE;
    out->answered_ms = load_relaxed(&live->answered_ms);
    out->next_ms = load_relaxed(&live->next_ms);
    out->troubled = load_relaxed(&live->troubled) != 0;
    read_address(live->master, &out->master);
}

uint64_t name_key(const char *name)
{
    return hash_bytes(name, strlen(name)) | 1;
}

bool discovery_name(const struct discovery_live *live, const char *name, struct name_found *out)
{
    uint64_t key = name_key(name);

    for (unsigned i = 0; i < NAMES_MAX; i++) {
        const struct name_live *from = &live->names[i];

        if (load_relaxed(&from->key) != key)
            continue;
        out->answered_ms = load_relaxed(&from->answered_ms);
        out->next_ms = load_relaxed(&from->next_ms);
        out->cause = last_error_unpack(load_relaxed(&from->failed), &out->failed_ms);
        out->troubled = load_relaxed(&from->troubled) != 0;
        return true;
    }
    return false;
}

/* ---- compared with the settings ---- */

static bool has_address(const struct found *found, const struct address *address)
{
    for (uint32_t i = 0; i < found->count; i++)
        if (address_equal(&found->servers[i], address))
            return true;
    return false;
}

static bool endpoint_has(const struct endpoint_settings *endpoint, const struct address *address)
{
    for (uint32_t i = 0; i < endpoint->address_count && i < ADDRESSES_MAX; i++)
        if (address_equal(&endpoint->addresses[i], address))
            return true;
    return false;
}

/* Every server found has an endpoint, and every discovered endpoint is among them. */
static bool service_differs(const struct bank_view *view, const struct service_settings *service,
                            const struct found *found)
{
    struct endpoint_settings endpoint;
    struct endpoint_label label;
    bool there[ENDPOINTS_MAX] = {false};

    for (uint32_t e = 0; e < service->endpoint_count; e++) {
        if (!bank_endpoint(view, service->first_endpoint + e, &endpoint) ||
            !bank_label(view, service->first_endpoint + e, &label))
            return false;
        if (text_equal(label.source, discovery_by_sentinel) &&
            !has_address(found, &endpoint.addresses[0]))
            return true;
        for (uint32_t i = 0; i < found->count; i++)
            there[i] = there[i] || endpoint_has(&endpoint, &found->servers[i]);
    }
    for (uint32_t i = 0; i < found->count; i++)
        if (!there[i] && service->endpoint_count < ENDPOINTS_MAX)
            return true;
    return false;
}

struct discovery_live *discovery_of(const struct segment *segment, const char *service)
{
    struct service_settings found;
    struct service_live *live;
    struct bank_view view;

    if (!bank_open(segment, &view) || !bank_service_named(&view, service, &found))
        return NULL;
    live = segment_service(segment, found.slot);
    return live && bank_valid(&view) ? &live->discovery : NULL;
}

bool discovery_differs(const struct segment *segment)
{
    struct service_settings service;
    struct discover_settings settings;
    struct bank_view view;
    struct found found;
    bool differs = false;

    if (!bank_open(segment, &view))
        return false;
    for (uint32_t i = 0; i < view.service_count && view.discover_count > 0 && !differs; i++) {
        const struct service_live *live;

        if (!bank_service(&view, i, &service))
            return false;
        live = segment_service(segment, service.slot);
        if (!live || service.discover == 0 ||
            !bank_discover(&view, service.discover - 1, &settings) ||
            !discovery_read(&live->discovery, settings.identity, &found))
            continue;
        differs = service_differs(&view, &service, &found);
    }
    return differs && bank_valid(&view);
}

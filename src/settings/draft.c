#include "settings/draft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static void draft_match(struct match_settings *out, const struct match_entry *entry)
{
    text_copy(out->host, sizeof(out->host), entry->at.host);
    out->address = entry->address;
    out->port = entry->at.port;
    out->any_port = entry->at.any_port;
    out->is_name = entry->is_name;
}

/* Whose certificate it must be: the first name that programs know the service by, or where it is.
 */
static const char *server_name(const struct service *service, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < service->match_count; i++)
        if (service->matches[i].is_name)
            return service->matches[i].at.host;
    return endpoint->at.host;
}

/* The number of such settings, made where it is new: index + 1, 0 for none. */
static uint32_t draft_tls(struct draft *draft, const struct tls *tls, const char *name)
{
    struct tls_settings *settings = &draft->tls[draft->tls_count];

    if (!tls->enabled)
        return 0;
    *settings = tls->settings;
    if (!settings->server_name[0])
        text_copy(settings->server_name, sizeof(settings->server_name), name);
    for (size_t i = 0; i < draft->tls_count; i++)
        if (memcmp(&draft->tls[i], settings, sizeof(*settings)) == 0)
            return (uint32_t)i + 1;
    return (uint32_t)++draft->tls_count;
}

static void draft_check(struct draft *draft, struct publish_check *out,
                        const struct check_block *block)
{
    struct tls tls = block->tls;

    out->settings = block->settings;
    tls.enabled = out->settings.kind == PROBE_HTTP || out->settings.kind == PROBE_LAG;
    out->settings.tls = draft_tls(draft, &tls, "");
}

static void draft_endpoint(struct publish_endpoint *out, const struct endpoint *endpoint,
                           const char *zone)
{
    out->settings.weight_milli = endpoint->weight_milli;
    out->settings.health = endpoint->health;
    out->settings.same_zone = *zone && text_equal(zone, endpoint->zone);
    text_copy(out->label.name, sizeof(out->label.name), endpoint->name);
    text_copy(out->label.zone, sizeof(out->label.zone), endpoint->zone);
    text_copy(out->label.host, sizeof(out->label.host), endpoint->at.host);
    text_copy(out->label.source, sizeof(out->label.source), "file");
}

static void draft_service(struct draft *draft, struct publish_service *out,
                          const struct service *service, const char *zone)
{
    text_copy(out->settings.name, sizeof(out->settings.name), service->name);
    out->settings.breaker = service->breaker;
    out->settings.connect = service->connect;
    out->settings.retry = service->retry;
    out->settings.failover = service->failover;
    out->settings.health = service->health;
    out->settings.wait_ns = service->wait_ns;
    out->settings.strategy = (uint8_t)service->strategy;
    out->settings.resolve = (uint8_t)service->resolve;
    out->settings.mode = (uint8_t)service->mode;
    out->settings.when_all_down = (uint8_t)service->when_all_down;

    out->matches = &draft->matches[draft->match_count];
    out->match_count = (uint32_t)service->match_count;
    for (size_t i = 0; i < service->match_count; i++)
        draft_match(&draft->matches[draft->match_count++], &service->matches[i]);

    out->endpoints = &draft->endpoints[draft->endpoint_count];
    out->endpoint_count = (uint32_t)service->endpoint_count;
    for (size_t i = 0; i < service->endpoint_count; i++) {
        const struct endpoint *endpoint = &service->endpoints[i];
        struct lookup *lookup = &draft->lookups[draft->endpoint_count];
        lookup->host = endpoint->at.host;
        lookup->port = endpoint->at.port;
        draft->endpoints[draft->endpoint_count].settings.tls =
            draft_tls(draft, &endpoint->tls, server_name(service, endpoint));
        draft_endpoint(&draft->endpoints[draft->endpoint_count++], endpoint, zone);
    }
}

static bool has_names(const struct service *service)
{
    struct address number;

    for (size_t i = 0; i < service->endpoint_count; i++)
        if (address_parse_ip(service->endpoints[i].at.host, &number) != 0)
            return true;
    for (size_t i = 0; i < service->discover.sentinel_count; i++)
        if (address_parse_ip(service->discover.sentinels[i].host, &number) != 0)
            return true;
    return service->discover.srv[0] != '\0';
}

static uint64_t shortest_refresh_ns(const struct settings *settings)
{
    uint64_t shortest_ns = 0;

    for (size_t i = 0; i < settings->service_count; i++) {
        uint64_t ns = settings->services[i].discover.refresh_ns;

        if (has_names(&settings->services[i]) && (shortest_ns == 0 || ns < shortest_ns))
            shortest_ns = ns;
    }
    return shortest_ns;
}

static void draft_front(struct bank *front, const struct settings *settings,
                        const struct place *place)
{
    front->file_mtime_ns = settings->stamp.mtime_ns;
    front->file_size = settings->stamp.size;
    front->file_inode = settings->stamp.inode;
    front->refresh_ns = shortest_refresh_ns(settings);
    text_copy(front->path, sizeof(front->path), settings->path);
    text_copy(front->instance, sizeof(front->instance), place->instance);
    text_copy(front->zone, sizeof(front->zone), settings->zone);
    front->monitor = (uint32_t)settings->monitor;
    front->only_count = (uint32_t)settings->only_count;
    front->skip_count = (uint32_t)settings->skip_count;
    memcpy(front->only, settings->only, sizeof(front->only));
    memcpy(front->skip, settings->skip, sizeof(front->skip));
}

bool draft_discovers(const struct service *service)
{
    const struct discover *discover = &service->discover;

    return discover->sentinel_count > 0 || discover->srv[0] || discover->dns;
}

/* What discovery needs; its look-ups stand behind those of endpoints. */
static int draft_discovery(struct draft *draft, const struct settings *settings)
{
    size_t services = 0;

    for (size_t i = 0; i < settings->service_count; i++) {
        const struct discover *discover = &settings->services[i].discover;

        services += draft_discovers(&settings->services[i]);
        for (size_t j = 0; j < discover->sentinel_count; j++) {
            struct lookup *lookup =
                &draft->lookups[draft->endpoint_count + draft->sentinel_count++];
            lookup->host = discover->sentinels[j].host;
            lookup->port = discover->sentinels[j].port;
        }
    }
    for (size_t i = 0; i < settings->service_count; i++) {
        const char *srv = settings->services[i].discover.srv;

        if (*srv)
            draft->lookups[draft->endpoint_count + draft->sentinel_count + draft->srv_count++] =
                (struct lookup){.host = srv, .srv = true};
    }
    draft->sentinel_secrets = calloc(settings->service_count + 1, sizeof(*draft->sentinel_secrets));
    draft->discovers = calloc(settings->service_count + 1, sizeof(*draft->discovers));
    draft->room = calloc(services * ENDPOINTS_MAX + 1, sizeof(*draft->room));
    draft->found = calloc(settings->service_count + 1, sizeof(*draft->found));
    draft->left_out = calloc(settings->service_count + 1, sizeof(*draft->left_out));
    draft->questions = calloc(services + 1, sizeof(*draft->questions));
    draft->asked = calloc(services + 1, sizeof(*draft->asked));
    return draft->sentinel_secrets && draft->discovers && draft->room && draft->found &&
                   draft->left_out && draft->questions && draft->asked
               ? 0
               : -ENOMEM;
}

int draft_make(struct draft *draft, const struct settings *settings, const struct place *place)
{
    size_t endpoints = 0, matches = 0, others = 0;

    for (size_t i = 0; i < settings->service_count; i++) {
        endpoints += settings->services[i].endpoint_count;
        matches += settings->services[i].match_count;
        others += settings->services[i].discover.sentinel_count + 1; /* 1: SRV */
    }
    draft->publication.services =
        calloc(settings->service_count + 1, sizeof(struct publish_service));
    draft->endpoints = calloc(endpoints + 1, sizeof(*draft->endpoints));
    draft->matches = calloc(matches + 1, sizeof(*draft->matches));
    draft->lookups = calloc(endpoints + others + 1, sizeof(*draft->lookups));
    draft->secrets = calloc(endpoints + 1, sizeof(*draft->secrets));
    draft->check_secrets = calloc(settings->check_count + 1, sizeof(*draft->check_secrets));
    draft->tls = calloc(endpoints + settings->check_count + 1, sizeof(*draft->tls));
    if (!draft->publication.services || !draft->endpoints || !draft->matches || !draft->lookups ||
        !draft->secrets || !draft->tls || !draft->check_secrets)
        return -ENOMEM;
    draft_front(&draft->publication.front, settings, place);
    draft->publication.share_group = settings->shared ? settings->share_group : (gid_t)-1;
    draft->publication.checks = calloc(settings->check_count + 1, sizeof(struct publish_check));
    if (!draft->publication.checks)
        return -ENOMEM;
    for (size_t i = 0; i < settings->check_count; i++)
        draft_check(draft, &draft->publication.checks[i], &settings->checks[i]);
    draft->publication.check_count = (uint32_t)settings->check_count;
    draft->publication.service_count = (uint32_t)settings->service_count;
    for (size_t i = 0; i < settings->service_count; i++)
        draft_service(draft, &draft->publication.services[i], &settings->services[i],
                      settings->zone);
    draft->publication.tls = draft->tls;
    draft->publication.tls_count = (uint32_t)draft->tls_count;
    return draft_discovery(draft, settings);
}

size_t draft_look_ups(const struct draft *draft)
{
    return draft->endpoint_count + draft->sentinel_count + draft->srv_count;
}

void draft_free(struct draft *draft)
{
    free(draft->publication.services);
    free(draft->publication.checks);
    free(draft->endpoints);
    free(draft->matches);
    for (size_t i = 0; draft->lookups && i < draft_look_ups(draft); i++)
        free(draft->lookups[i].offers);
    free(draft->lookups);
    free(draft->tls);
    if (draft->secrets)
        explicit_bzero(draft->secrets, draft->endpoint_count * sizeof(*draft->secrets));
    free(draft->secrets);
    if (draft->check_secrets)
        explicit_bzero(draft->check_secrets,
                       draft->publication.check_count * sizeof(*draft->check_secrets));
    free(draft->check_secrets);
    if (draft->sentinel_secrets)
        explicit_bzero(draft->sentinel_secrets,
                       draft->publication.service_count * sizeof(*draft->sentinel_secrets));
    free(draft->sentinel_secrets);
    free(draft->discovers);
    free(draft->room);
    free(draft->found);
    free(draft->left_out);
    free(draft->questions);
    free(draft->asked);
}

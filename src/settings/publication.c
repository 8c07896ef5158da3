#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "settings/gather.h"
#include "settings/merge.h"
#include "settings/resolve.h"
#include "settings/secret.h"
#include "state/bank.h"
#include "state/discovery.h"

#define ASK_NS (350 * NS_PER_MS) /* all Sentinels at once; enough for a quorum ends it */
#define SHARE_OF(patience_ns)                                                                      \
    ((patience_ns)*3 / 8) /* that names leave them, where time is short                            \
                           */

/* What publishing needs, in a few blocks of memory. */
struct draft {
    struct publication publication;
    struct publish_endpoint *endpoints;
    struct match_settings *matches;
    struct lookup *lookups; /* per endpoint, same order; per Sentinel; per service with SRV */
    struct secret *secrets; /* the same */
    struct secret *check_secrets;
    struct secret *sentinel_secrets;     /* one per service */
    struct discover_settings *discovers; /* the same */
    struct publish_endpoint *room;       /* ENDPOINTS_MAX per service that discovers some */
    struct found *found;                 /* one per service */
    uint32_t *left_out;                  /* the same: endpoints that have no room */
    struct discovery_question *questions;
    uint32_t *asked; /* the service of each question */
    uint64_t began_ns;
    struct tls_settings *tls;
    size_t endpoint_count, sentinel_count, srv_count, match_count, tls_count, question_count;
};

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

static bool discovers(const struct service *service)
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

        services += discovers(&settings->services[i]);
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

static int draft_all(struct draft *draft, const struct settings *settings,
                     const struct place *place)
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

static size_t look_ups(const struct draft *draft)
{
    return draft->endpoint_count + draft->sentinel_count + draft->srv_count;
}

static void draft_free(struct draft *draft)
{
    free(draft->publication.services);
    free(draft->publication.checks);
    free(draft->endpoints);
    free(draft->matches);
    for (size_t i = 0; draft->lookups && i < look_ups(draft); i++)
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

/* Those for Sentinels, and for the servers they name. */
static void add_sentinel_secrets(struct draft *draft, const struct settings *settings,
                                 void (*say)(const char *line))
{
    char why[SECRET_WHY], line[NAME_TEXT + SECRET_WHY + 64];

    for (size_t i = 0; i < settings->service_count; i++) {
        const struct service *service = &settings->services[i];
        struct secret *secret = &draft->sentinel_secrets[i];

        if (secret_of(service->discover.username, NULL, service->discover.password_file, secret,
                      why) != 0) {
            snprintf(line, sizeof(line), "discover of service %s: %s; Sentinels are asked without",
                     service->name, why);
            say(line);
        }
        draft->publication.services[i].username = secret->username;
        draft->publication.services[i].password = secret->password;
    }
}

/* A password that cannot be read must not keep connections from being steered. */
static void add_secrets(struct draft *draft, const struct settings *settings,
                        void (*say)(const char *line))
{
    char why[SECRET_WHY], line[2 * NAME_TEXT + SECRET_WHY + 64];
    size_t at = 0;

    for (size_t i = 0; i < settings->check_count; i++) {
        const struct check_block *block = &settings->checks[i];
        struct secret *secret = &draft->check_secrets[i];
        if (secret_of(block->username, NULL, block->password_file, secret, why) != 0) {
            snprintf(line, sizeof(line), "check %s: %s; it is made without", block->settings.name,
                     why);
            say(line);
        }
        draft->publication.checks[i].username = secret->username;
        draft->publication.checks[i].password = secret->password;
    }
    for (size_t i = 0; i < settings->service_count; i++) {
        const struct service *service = &settings->services[i];
        for (size_t j = 0; j < service->endpoint_count; j++, at++) {
            const struct endpoint *endpoint = &service->endpoints[j];
            struct secret *secret = &draft->secrets[at];
            if (secret_of(endpoint->username, endpoint->password, endpoint->password_file, secret,
                          why) != 0) {
                snprintf(line, sizeof(line), "endpoint %s of service %s: %s; it is checked without",
                         service->endpoints[j].name, service->name, why);
                say(line);
            }
            draft->endpoints[at].username = secret->username;
            draft->endpoints[at].password = secret->password;
        }
    }
}

/*
 * Adds the addresses that the endpoint has in one copy of the settings in force, or each of those
 * that were made of its name.
 */
static void gather_known(const struct bank_view *view, const struct publish_service *service,
                         const struct endpoint_label *wanted, struct lookup *lookup)
{
    struct service_settings found;
    struct endpoint_settings endpoint;
    struct endpoint_label label;

    for (uint32_t i = 0; bank_service(view, i, &found); i++) {
        for (uint32_t j = 0;
             text_equal(found.name, service->settings.name) && j < found.endpoint_count; j++) {
            if (!bank_label(view, found.first_endpoint + j, &label) ||
                !bank_endpoint(view, found.first_endpoint + j, &endpoint) ||
                !text_equal(label.host, wanted->host))
                continue;
            if (!text_equal(label.name, wanted->name) &&
                (!text_equal(label.source, discovery_by_dns) ||
                 endpoint.addresses[0].port != lookup->port))
                continue;
            for (uint32_t a = 0;
                 a < endpoint.address_count && a < ADDRESSES_MAX && lookup->count < ENDPOINTS_MAX;
                 a++)
                lookup->addresses[lookup->count++] = endpoint.addresses[a];
        }
    }
}

/* A name server that is down must not take away addresses that work. */
static void keep_known(const struct segment *segment, const struct publish_service *service,
                       const struct publish_endpoint *endpoint, struct lookup *lookup)
{
    struct bank_view view;

    for (int tries = 0; tries < 3; tries++) {
        lookup->count = 0;
        if (!bank_open(segment, &view))
            return;
        gather_known(&view, service, &endpoint->label, lookup);
        if (!bank_valid(&view))
            continue;
        for (size_t i = 0; i < lookup->count; i++)
            lookup->addresses[i].port = lookup->port;
        return;
    }
    lookup->count = 0;
}

static void report(const struct publish_service *service, const struct publish_endpoint *endpoint,
                   const struct lookup *lookup, void (*say)(const char *line))
{
    char line[ADDRESS_HOST_TEXT + 2 * NAME_TEXT + 160];

    snprintf(line, sizeof(line), "endpoint %s of service %s: %s does not resolve (%s); %s",
             endpoint->label.name, service->settings.name, lookup->host, lookup_why(lookup),
             lookup->count ? "its last known addresses stay in use"
                           : "it has no address and gets no connections");
    say(line);
}

static void fill_addresses(struct publish_endpoint *endpoint, const struct lookup *lookup)
{
    size_t count = lookup->count < ADDRESSES_MAX ? lookup->count : ADDRESSES_MAX;

    endpoint->settings.address_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        endpoint->settings.addresses[i] = lookup->addresses[i];
        address_format_ip(&lookup->addresses[i], endpoint->label.ip_text[i]);
    }
}

/* Sentinels may have to be asked afterwards. */
static uint64_t name_patience_ns(const struct draft *draft, const struct publish_ways *ways)
{
    uint64_t share_ns = SHARE_OF(ways->patience_ns);

    if (draft->sentinel_count == 0)
        return ways->patience_ns;
    return ways->patience_ns - (share_ns < ASK_NS ? share_ns : ASK_NS);
}

static uint64_t ask_patience_ns(const struct draft *draft, const struct publish_ways *ways)
{
    uint64_t gone_ns = clock_boot_ns() - draft->began_ns, left_ns;

    if (ways->patience_ns == 0)
        return ASK_NS;
    left_ns = ways->patience_ns > gone_ns ? ways->patience_ns - gone_ns : 0;
    return left_ns < ASK_NS ? left_ns : ASK_NS;
}

/* `segment`: what is published now; NULL: nothing. */
static void resolve_all(struct draft *draft, const struct segment *segment,
                        const struct publish_ways *ways)
{
    resolve(draft->lookups, look_ups(draft), name_patience_ns(draft, ways));
    for (uint32_t i = 0, at = 0; i < draft->publication.service_count; i++) {
        struct publish_service *service = &draft->publication.services[i];
        for (uint32_t j = 0; j < service->endpoint_count; j++, at++) {
            struct lookup *lookup = &draft->lookups[at];
            if (lookup->error) {
                if (segment)
                    keep_known(segment, service, &service->endpoints[j], lookup);
                report(service, &service->endpoints[j], lookup, ways->say);
            }
            fill_addresses(&service->endpoints[j], lookup);
        }
    }
}

static void gather_all(struct draft *draft, const struct settings *settings,
                       const struct segment *segment, const struct publish_ways *ways)
{
    struct gathered lookups = {
        .endpoints = draft->lookups,
        .sentinels = &draft->lookups[draft->endpoint_count],
        .srv = &draft->lookups[draft->endpoint_count + draft->sentinel_count],
    };
    struct publish_endpoint *room = draft->room;

    for (size_t i = 0; i < settings->service_count; i++) {
        const struct service *service = &settings->services[i];
        struct publish_service *out = &draft->publication.services[i];

        if (discovers(service)) {
            out->discover = &draft->discovers[i];
            draft->left_out[i] =
                gather_servers(service, &lookups, segment, out, room, &draft->found[i], ways->say);
            room += ENDPOINTS_MAX;
        }
        lookups.endpoints += service->endpoint_count;
        lookups.sentinels += service->discover.sentinel_count;
        lookups.srv += service->discover.srv[0] != '\0';
    }
}

static bool must_ask(const struct draft *draft, size_t service)
{
    const struct discover_settings *discover = draft->publication.services[service].discover;

    return discover && discover->count > 0 && draft->found[service].count == 0;
}

/* Sentinels of which nothing is known yet, before anybody relies on the settings. */
static void ask_sentinels(struct draft *draft, const struct publish_ways *ways)
{
    if (!ways->ask)
        return;
    for (uint32_t i = 0; i < draft->publication.service_count; i++) {
        if (!must_ask(draft, i))
            continue;
        draft->asked[draft->question_count] = i;
        draft->questions[draft->question_count++] = (struct discovery_question){
            .settings = &draft->discovers[i],
            .secret = &draft->sentinel_secrets[i],
        };
    }
    if (draft->question_count == 0)
        return;
    ways->ask(draft->questions, draft->question_count, ask_patience_ns(draft, ways));
    for (size_t i = 0; i < draft->question_count; i++)
        draft->found[draft->asked[i]] = draft->questions[i].found;
}

static void discover_all(struct draft *draft, const struct settings *settings,
                         const struct segment *segment, const struct publish_ways *ways)
{
    char line[NAME_TEXT + 80];

    gather_all(draft, settings, segment, ways);
    ask_sentinels(draft, ways);
    for (uint32_t i = 0; i < draft->publication.service_count; i++) {
        struct publish_service *service = &draft->publication.services[i];

        draft->left_out[i] += merge_found(service, &draft->found[i]);
        gather_report_left_out(&settings->services[i], draft->left_out[i], ways->say);
        if (service->discover && service->discover->count > 0 && service->endpoint_count == 0) {
            snprintf(line, sizeof(line),
                     "service %s has no endpoint: no quorum of its Sentinels has answered yet",
                     service->settings.name);
            ways->say(line);
        }
    }
}

/* What was asked, for whoever checks first, and for `status`. */
static void hand_on_found(const struct draft *draft, const struct place *place)
{
    struct segment segment;
    struct found found;
    const char *why;

    if (draft->question_count == 0 || segment_attach(&segment, place, &why) != 0)
        return;
    for (size_t i = 0; segment.writable && i < draft->question_count; i++) {
        const struct discovery_question *question = &draft->questions[i];
        const struct publish_service *service = &draft->publication.services[draft->asked[i]];
        struct discovery_live *live = discovery_of(&segment, service->settings.name);

        if (live && question->found.count > 0 &&
            !discovery_read(live, question->settings->identity, &found))
            discovery_write(live, question->settings->identity, &question->found);
    }
    segment_detach(&segment);
}

int settings_publish(const struct settings *settings, const struct place *place,
                     const struct publish_ways *ways, enum publish_result *result)
{
    struct draft draft = {.began_ns = clock_boot_ns()};
    struct segment segment = {0};
    const char *why = "not enough memory", *no_matter;
    int error = draft_all(&draft, settings, place);

    if (!error) {
        bool attached = segment_attach(&segment, place, &no_matter) == 0;

        add_secrets(&draft, settings, ways->say);
        add_sentinel_secrets(&draft, settings, ways->say);
        resolve_all(&draft, attached ? &segment : NULL, ways);
        discover_all(&draft, settings, attached ? &segment : NULL, ways);
        if (attached)
            segment_detach(&segment);
        error = publish(place, &draft.publication, result, &why);
    }
    if (error)
        ways->say(why);
    else
        hand_on_found(&draft, place);
    draft_free(&draft);
    return error;
}

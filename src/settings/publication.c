#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "settings/draft.h"
#include "settings/gather.h"
#include "settings/merge.h"
#include "state/bank.h"
#include "state/discovery.h"

#define ASK_NS (350 * NS_PER_MS) /* all Sentinels at once; enough for a quorum ends it */

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
    uint64_t share_ns = 3 * ways->patience_ns / 8;

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
    resolve(draft->lookups, draft_look_ups(draft), name_patience_ns(draft, ways));
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

        if (draft_discovers(service)) {
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
    int error = draft_make(&draft, settings, place);

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

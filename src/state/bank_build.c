#include "state/bank_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "policy/choose.h"
#include "policy/expression.h"
#include "policy/verdict.h"

enum { IP_SPARSENESS = 4, IP_BUCKETS_MIN = 1024 };

/* Where the parts go, and how to reach them while they are filled. */
struct builder {
    unsigned char *base;
    struct bank *bank;
    uint32_t next_endpoint, next_match, next_ip, next_discover;
};

static uint32_t power_of_two_from(uint32_t least)
{
    uint32_t power = 8;

    while (power < least)
        power *= 2;
    return power;
}

static void *part(const struct builder *builder, uint32_t at)
{
    return builder->base + at;
}

/* ---- how much ---- */

static uint32_t ips_of_endpoint(const struct endpoint_settings *settings)
{
    return settings->address_count + settings->past_count;
}

static void count_service(const struct publish_service *service, struct bank *counts)
{
    bool member = service->settings.resolve == RESOLVE_MEMBER;

    counts->endpoint_count += service->endpoint_count;
    counts->match_count += service->match_count;
    counts->discover_count += service->discover != NULL;
    for (uint32_t i = 0; i < service->match_count; i++)
        counts->ip_count += !service->matches[i].is_name;
    for (uint32_t i = 0; member && i < service->endpoint_count; i++)
        counts->ip_count += ips_of_endpoint(&service->endpoints[i].settings);
    counts->ip_count += service->settings.resolve == RESOLVE_VIRTUAL;
}

static uint32_t reserve(size_t *size, size_t count, size_t element)
{
    size_t at = *size;

    *size = (at + count * element + 7) & ~(size_t)7;
    return (uint32_t)at;
}

static size_t lay_out(const struct publication *publication, struct bank *bank)
{
    size_t size = sizeof(*bank);

    bank->service_count = publication->service_count;
    bank->endpoint_count = 0;
    bank->match_count = 0;
    bank->ip_count = 0;
    bank->discover_count = 0;
    for (uint32_t i = 0; i < publication->service_count; i++)
        count_service(&publication->services[i], bank);
    bank->label_count = bank->endpoint_count;
    bank->check_count = publication->check_count;
    bank->tls_count = publication->tls_count;
    /* Sparse: whoever lands in a bucket that is taken pays for a closer look (bank_may_have_ip). */
    bank->ip_buckets = power_of_two_from(IP_SPARSENESS * bank->ip_count);
    if (bank->ip_buckets < IP_BUCKETS_MIN)
        bank->ip_buckets = IP_BUCKETS_MIN;
    bank->name_buckets = power_of_two_from(2 * bank->match_count);

    bank->services_at = reserve(&size, bank->service_count, sizeof(struct service_settings));
    bank->endpoints_at = reserve(&size, bank->endpoint_count, sizeof(struct endpoint_settings));
    bank->labels_at = reserve(&size, bank->label_count, sizeof(struct endpoint_label));
    bank->matches_at = reserve(&size, bank->match_count, sizeof(struct match_settings));
    bank->ips_at = reserve(&size, bank->ip_count, sizeof(struct ip_entry));
    bank->ip_table_at = reserve(&size, bank->ip_buckets, sizeof(uint32_t));
    bank->name_table_at = reserve(&size, bank->name_buckets, sizeof(uint32_t));
    bank->checks_at = reserve(&size, bank->check_count, sizeof(struct check_settings));
    bank->tls_at = reserve(&size, bank->tls_count, sizeof(struct tls_settings));
    bank->discovers_at = reserve(&size, bank->discover_count, sizeof(struct discover_settings));
    bank->size = size;
    return size;
}

/* ---- how long verdicts last, and who can give them ---- */

static const struct check_settings *check_of(const struct publication *publication, uint8_t check)
{
    return !(check & CHECK_BUILT_IN) && check < publication->check_count
               ? &publication->checks[check].settings
               : NULL;
}

/* As long as that of the slowest of its checks. */
static uint64_t lasts_ns(const struct publication *publication, const struct checklist *list,
                         const struct health_rules *health)
{
    uint64_t longest_ns = 0;

    for (unsigned i = 0; i < list->count; i++) {
        const struct check_settings *check = check_of(publication, list->checks[i]);
        struct health_rules rules = *health;
        uint64_t ns;

        if (check && check->interval_ns)
            rules.interval_ns = check->interval_ns;
        if (check && check->timeout_ns)
            rules.timeout_ns = check->timeout_ns;
        ns = verdict_lasts_ns(&rules);
        longest_ns = ns > longest_ns ? ns : longest_ns;
    }
    return longest_ns;
}

static bool needs_program(const struct publication *publication, const struct checklist *list,
                          bool tls)
{
    bool needs = tls && list->count > 0;

    for (unsigned i = 0; i < list->count; i++) {
        const struct check_settings *check = check_of(publication, list->checks[i]);

        needs = needs || (check && check->kind >= PROBE_HTTP);
    }
    return needs;
}

/* ---- filling ---- */

static void add_ip(struct builder *builder, const struct address *address, uint32_t service,
                   uint32_t endpoint, enum ip_kind kind, bool any_port)
{
    struct ip_entry *entries = part(builder, builder->bank->ips_at);

    entries[builder->next_ip++] = (struct ip_entry){
        .address = *address,
        .service = service,
        .endpoint = endpoint,
        .kind = (uint8_t)kind,
        .any_port = any_port,
    };
}

static void fill_matches(struct builder *builder, const struct publish_service *service,
                         uint32_t index)
{
    struct match_settings *matches = part(builder, builder->bank->matches_at);

    for (uint32_t i = 0; i < service->match_count; i++) {
        struct match_settings *match = &matches[builder->next_match++];

        *match = service->matches[i];
        match->hash = hash_bytes(match->host, strlen(match->host));
        match->service = index;
        match->next = 0;
        if (match->is_name)
            continue;
        match->address.port = match->any_port ? 0 : match->port;
        add_ip(builder, &match->address, index, UINT32_MAX, IP_MATCH, match->any_port != 0);
    }
}

static void fill_endpoints(struct builder *builder, const struct publication *publication,
                           const struct publish_service *service, uint32_t index)
{
    struct checklist gate = checklist_of_gate(&service->settings.failover.gate);
    struct endpoint_settings *endpoints = part(builder, builder->bank->endpoints_at);
    struct endpoint_label *labels = part(builder, builder->bank->labels_at);
    bool member = service->settings.resolve == RESOLVE_MEMBER;
    struct candidate candidates[ENDPOINTS_MAX];

    for (uint32_t e = 0; e < service->endpoint_count; e++)
        candidates[e] = (struct candidate){
            .weight_milli = service->endpoints[e].settings.weight_milli,
            .same_zone = service->endpoints[e].settings.same_zone != 0,
            .tier = service->endpoints[e].settings.tier,
        };
    for (uint32_t e = 0; e < service->endpoint_count; e++) {
        const struct endpoint_settings *settings = &service->endpoints[e].settings;
        struct checklist list = checklist_of_health(&settings->health);
        uint32_t at = builder->next_endpoint++;

        endpoints[at] = *settings;
        endpoints[at].unrivalled =
            choose_unrivalled(service->settings.strategy, candidates, service->endpoint_count, e);
        endpoints[at].role = settings->health.role;
        endpoints[at].health_lasts_ns = lasts_ns(publication, &list, &settings->health);
        endpoints[at].needs_program =
            settings->health.enabled && needs_program(publication, &list, settings->tls != 0);
        if (endpoints[at].needs_program || needs_program(publication, &gate, settings->tls != 0))
            builder->bank->needs_program = 1;
        labels[at] = service->endpoints[e].label;
        for (uint32_t i = 0; member && i < settings->address_count; i++)
            add_ip(builder, &settings->addresses[i], index, at, IP_MEMBER, false);
    }
}

/* Behind all others: what is another service's address now means that service. */
static void fill_past(struct builder *builder, const struct publish_service *service,
                      uint32_t index)
{
    const struct service_settings *services = part(builder, builder->bank->services_at);

    for (uint32_t e = 0; e < service->endpoint_count; e++) {
        const struct endpoint_settings *settings = &service->endpoints[e].settings;

        for (uint32_t i = 0; i < settings->past_count; i++)
            add_ip(builder, &settings->past[i], index, services[index].first_endpoint + e,
                   IP_MEMBER, false);
    }
}

static uint64_t gate_lasts_ns(const struct publication *publication,
                              const struct service_settings *settings)
{
    struct checklist gate = checklist_of_gate(&settings->failover.gate);
    struct health_rules rules = settings->health;

    rules.enabled = true;
    return lasts_ns(publication, &gate, &rules);
}

static void fill_checks(const struct builder *builder, const struct publication *publication)
{
    struct check_settings *checks = part(builder, builder->bank->checks_at);
    struct tls_settings *tls = part(builder, builder->bank->tls_at);

    for (uint32_t i = 0; i < publication->check_count; i++)
        checks[i] = publication->checks[i].settings;
    for (uint32_t i = 0; i < publication->tls_count; i++)
        tls[i] = publication->tls[i];
}

static void fill_discover(struct builder *builder, const struct publish_service *service,
                          struct service_settings *settings)
{
    struct discover_settings *discovers = part(builder, builder->bank->discovers_at);

    settings->discover = settings->sentinels = 0;
    if (!service->discover)
        return;
    discovers[builder->next_discover] = *service->discover;
    if (service->discover->dns || service->discover->srv[0])
        builder->bank->needs_program = 1;
    settings->discover = ++builder->next_discover;
    settings->sentinels = service->discover->count;
}

static void fill_service(struct builder *builder, const struct publication *publication,
                         const struct publish_service *service, uint32_t index)
{
    struct service_settings *services = part(builder, builder->bank->services_at);
    struct service_settings *settings = &services[index];

    *settings = service->settings;
    settings->first_endpoint = builder->next_endpoint;
    settings->endpoint_count = service->endpoint_count;
    settings->first_match = builder->next_match;
    settings->match_count = service->match_count;
    settings->failover.gate_lasts_ns = gate_lasts_ns(publication, &service->settings);
    if (settings->strategy == STRATEGY_COMMAND)
        builder->bank->needs_program = 1;
    fill_discover(builder, service, settings);
    fill_matches(builder, service, index);
    fill_endpoints(builder, publication, service, index);
    if (settings->resolve == RESOLVE_VIRTUAL)
        add_ip(builder, &settings->virtual_address, index, UINT32_MAX, IP_VIRTUAL, true);
}

/* From the last entry to the first, each put in front: so every chain leads forwards. */
static void chain_ips(const struct builder *builder)
{
    struct ip_entry *entries = part(builder, builder->bank->ips_at);
    uint32_t *table = part(builder, builder->bank->ip_table_at);

    for (uint32_t i = builder->bank->ip_count; i-- > 0;) {
        uint32_t *first =
            &table[address_hash_ip(&entries[i].address) & (builder->bank->ip_buckets - 1)];

        entries[i].next = *first;
        *first = i + 1;
    }
}

static void chain_names(const struct builder *builder)
{
    struct match_settings *matches = part(builder, builder->bank->matches_at);
    uint32_t *table = part(builder, builder->bank->name_table_at);

    for (uint32_t i = builder->bank->match_count; i-- > 0;) {
        uint32_t *first = &table[matches[i].hash & (builder->bank->name_buckets - 1)];

        if (!matches[i].is_name)
            continue;
        matches[i].next = *first;
        *first = i + 1;
    }
}

int bank_build(const struct publication *publication, struct bank_image *out)
{
    struct bank front = publication->front;
    struct builder builder = {0};

    out->size = lay_out(publication, &front);
    out->bank = calloc(1, out->size);
    if (!out->bank)
        return -ENOMEM;
    *out->bank = front;
    builder.bank = out->bank;
    builder.base = (void *)out->bank;
    for (uint32_t i = 0; i < publication->service_count; i++)
        fill_service(&builder, publication, &publication->services[i], i);
    for (uint32_t i = 0; i < publication->service_count; i++)
        if (publication->services[i].settings.resolve == RESOLVE_MEMBER)
            fill_past(&builder, &publication->services[i], i);
    fill_checks(&builder, publication);
    chain_ips(&builder);
    chain_names(&builder);
    return 0;
}

void bank_image_free(struct bank_image *image)
{
    free(image->bank);
    image->bank = NULL;
}

bool bank_image_equals(const struct bank_image *image, const struct bank *bank, size_t size)
{
    const size_t behind =
        offsetof(struct bank, published_wall_ns) + sizeof(image->bank->published_wall_ns);
    const unsigned char *ours = (const void *)image->bank;
    const unsigned char *theirs = (const void *)bank;

    return image->size <= size &&
           memcmp(ours, theirs, offsetof(struct bank, published_wall_ns)) == 0 &&
           memcmp(ours + behind, theirs + behind, image->size - behind) == 0;
}

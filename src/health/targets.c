#include "health/targets.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "state/decision.h"

_Static_assert((int)CREDENTIAL_TEXT == (int)SECRET_TEXT, "credentials fit");

enum { TARGETS_PER_BLOCK = 16 };

static void *map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

/* ---- memory: three arrays for as many targets as there can be, and blocks of targets ---- */

static size_t arrays_size(uint32_t limit)
{
    return limit * (sizeof(struct target *) + sizeof(struct pollfd) + sizeof(struct member));
}

int targets_open(struct targets *targets, const struct segment *segment, const char *secrets_path)
{
    uint32_t limit = segment->endpoint_slots;
    unsigned char *at;

    memset(targets, 0, sizeof(*targets));
    targets->segment = segment;
    targets->secrets_path = secrets_path;
    /* Rounded up to whole blocks: the list is filled by blocks. */
    targets->limit = (limit + TARGETS_PER_BLOCK - 1) / TARGETS_PER_BLOCK * TARGETS_PER_BLOCK;
    targets->block = at = map(arrays_size(targets->limit));
    if (!at)
        return -ENOMEM;
    targets->list = (void *)at;
    at += targets->limit * sizeof(struct target *);
    targets->members = (void *)at;
    at += targets->limit * sizeof(struct member);
    targets->polls = (void *)at;
    return 0;
}

static size_t aligned(size_t size)
{
    return (size + 63) / 64 * 64;
}

static size_t block_size(void)
{
    return TARGETS_PER_BLOCK * (aligned(sizeof(struct target)) + aligned(probe_size()));
}

static int add_block(struct targets *targets)
{
    unsigned char *at;

    if (targets->count == targets->limit || !(at = map(block_size())))
        return -ENOMEM;
    for (unsigned i = 0; i < TARGETS_PER_BLOCK; i++) {
        struct target *target = (void *)at;

        at += aligned(sizeof(struct target));
        target->probe = (void *)at;
        at += aligned(probe_size());
        targets->list[targets->count++] = target;
    }
    return 0;
}

static void drop(struct target *target)
{
    struct probe *probe = target->probe;

    probe_close(probe);
    memset(target, 0, sizeof(*target)); /* its password too */
    target->probe = probe;
}

void targets_close(struct targets *targets)
{
    for (uint32_t i = 0; i < targets->count; i++)
        if (targets->list[i]->in_use)
            drop(targets->list[i]);
    for (uint32_t i = 0; i < targets->count; i += TARGETS_PER_BLOCK)
        munmap(targets->list[i], block_size());
    if (targets->block)
        munmap(targets->block, arrays_size(targets->limit));
    memset(targets, 0, sizeof(*targets));
}

/* ---- building the set ---- */

bool targets_outdated(const struct targets *targets, bool look_at_secrets)
{
    struct secrets_stamp now;

    /* Acquire, as bank_open() does: a glance, the real look comes there. */
    if (!targets->built || atomic_load_explicit(&targets->segment->head->sequence,
                                                memory_order_acquire) != targets->sequence)
        return true;
    if (!look_at_secrets)
        return false;
    now = secrets_stamp(targets->secrets_path);
    return now.inode != targets->secrets.inode || now.mtime_ns != targets->secrets.mtime_ns;
}

static void describe(const struct endpoint_settings *endpoint, int secrets,
                     struct probe_target *out)
{
    struct secret secret;

    memset(out, 0, sizeof(*out)); /* padding included: they are compared as bytes */
    out->address_count =
        endpoint->address_count < ADDRESSES_MAX ? endpoint->address_count : ADDRESSES_MAX;
    for (uint32_t i = 0; i < out->address_count; i++)
        out->addresses[i] = endpoint->addresses[i];
    out->kind =
        endpoint->health.probe <= PROBE_ECHO ? (enum probe_kind)endpoint->health.probe : PROBE_PING;
    if (secrets < 0 || !secrets_read(secrets, endpoint->slot, endpoint->generation, &secret))
        return;
    memcpy(out->username, secret.username, sizeof(out->username));
    memcpy(out->password, secret.password, sizeof(out->password));
}

static bool is_same(const struct target *target, const struct probe_target *what, uint64_t hash,
                    const struct health_rules *rules)
{
    return target->in_use && target->hash == hash &&
           memcmp(&target->what, what, sizeof(*what)) == 0 &&
           memcmp(&target->schedule.rules, rules, sizeof(*rules)) == 0;
}

/* The target that does this already, else a free one; NULL: out of memory. */
static struct target *find(struct targets *targets, const struct probe_target *what, uint64_t hash,
                           const struct health_rules *rules)
{
    struct target *spare = NULL;

    for (uint32_t i = 0; i < targets->count; i++) {
        struct target *target = targets->list[i];

        if (is_same(target, what, hash, rules))
            return target;
        if (!target->in_use && !spare)
            spare = target;
    }
    if (!spare && add_block(targets) == 0)
        spare = targets->list[targets->count - TARGETS_PER_BLOCK];
    return spare;
}

static bool is_unknown(const struct endpoint_live *live)
{
    return verdict_unpack(load_relaxed(&live->health)).health == HEALTH_UNKNOWN;
}

/*
 * What nobody knows, or should have been checked by now, is checked at once; the rest goes on in
 * the rhythm of the prober before.
 */
static uint64_t first_check_ns(const struct endpoint_live *live, const struct health_rules *rules,
                               uint64_t now_ns)
{
    uint64_t next_ns = load_relaxed(&live->checked_ns) + rules->interval_ns;

    if (is_unknown(live) || next_ns <= now_ns || next_ns > now_ns + rules->interval_ns)
        return now_ns;
    return next_ns;
}

/* Values that the configuration would refuse must not hurt the host either. */
static struct health_rules sane(struct health_rules rules)
{
    if (rules.probes < 1 || rules.probes > PROBES_IN_FLIGHT)
        rules.probes = 1;
    return rules;
}

static int add_member(struct targets *targets, const struct service_view *service, uint32_t index,
                      int secrets, uint64_t now_ns)
{
    struct endpoint_settings endpoint;
    struct health_rules rules;
    struct member *member = &targets->members[targets->member_count];
    struct probe_target what;
    struct target *target;
    uint64_t hash;

    if (targets->member_count == targets->limit)
        return -EAGAIN; /* more than the segment has room for: a mix */
    if (!service_endpoint(service, index, &endpoint))
        return -EAGAIN;
    rules = sane(endpoint.health);
    describe(&endpoint, secrets, &what);
    hash = hash_bytes(&what, sizeof(what));
    target = find(targets, &what, hash, &rules);
    if (!target)
        return -ENOMEM;
    if (!target->in_use) {
        target->what = what;
        target->hash = hash;
        target->in_use = true;
        probe_init(target->probe, &target->what);
        schedule_init(&target->schedule, &rules,
                      first_check_ns(service->endpoint_live[index], &rules, now_ns));
    } else if (is_unknown(service->endpoint_live[index])) {
        schedule_hurry(&target->schedule, now_ns);
    }
    *member = (struct member){
        .service = service->index,
        .index = index,
        .next = target->first_member,
        .live = service->endpoint_live[index],
    };
    target->first_member = ++targets->member_count;
    return 0;
}

static int add_members(struct targets *targets, const struct bank_view *view, int secrets,
                       uint64_t now_ns)
{
    struct service_view service;
    int error = 0;

    targets->member_count = 0;
    for (uint32_t i = 0; i < targets->count; i++)
        targets->list[i]->first_member = 0;
    for (uint32_t s = 0; s < view->service_count; s++) {
        if (!service_read(view, s, &service))
            return -EAGAIN;
        for (uint32_t e = 0; e < service.count && !error; e++)
            if (service.endpoints[e].health_lasts_ns != 0)
                error = add_member(targets, &service, e, secrets, now_ns);
        if (error)
            return error;
    }
    return bank_valid(view) ? 0 : -EAGAIN;
}

int targets_build(struct targets *targets, uint64_t now_ns)
{
    struct secrets_stamp stamp = secrets_stamp(targets->secrets_path);
    struct bank_view view;
    int secrets, error;

    targets->built = false;
    if (!bank_open(targets->segment, &view))
        return -EAGAIN;
    secrets = secrets_open(targets->secrets_path);
    error = add_members(targets, &view, secrets, now_ns);
    if (secrets >= 0)
        close(secrets);
    if (error)
        return error;
    for (uint32_t i = 0; i < targets->count; i++)
        if (targets->list[i]->in_use && targets->list[i]->first_member == 0)
            drop(targets->list[i]);
    targets->built = true;
    targets->sequence = view.sequence;
    targets->secrets = stamp;
    return 0;
}

#include "health/targets.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/wipe.h"
#include "health/describe.h"
#include "state/decision.h"

enum {
    TARGETS_PER_BLOCK = 4,                        /* a probe has its buffers: 90 KiB together */
    CHECKS_PER_ENDPOINT = 2 * EXPRESSION_MAX + 1, /* health.probe, health.role, failback.probe */
};

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

int targets_open(struct targets *targets, const struct segment *segment, const char *secrets_path,
                 enum lease_class class)
{
    uint32_t limit = segment->endpoint_slots * CHECKS_PER_ENDPOINT;
    unsigned char *at;

    memset(targets, 0, sizeof(*targets));
    targets->segment = segment;
    targets->class = class;
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
    unsigned char *at, *probes;

    if (targets->count == targets->limit || !(at = map(block_size())))
        return -ENOMEM;
    /* The probes behind: of those that nobody uses not a page is touched. */
    probes = at + TARGETS_PER_BLOCK * aligned(sizeof(struct target));
    for (unsigned i = 0; i < TARGETS_PER_BLOCK; i++) {
        struct target *target = (void *)(at + i * aligned(sizeof(struct target)));

        target->probe = (void *)(probes + i * aligned(probe_size()));
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

/* ---- several checks of one endpoint ---- */

/* A check that has not come to a result for long says nothing. */
static bool is_fresh(const struct target *target, uint64_t now_ns)
{
    uint64_t lasts_ns = verdict_lasts_ns(&target->schedule.rules);

    return now_ns <= target->decided_ns || now_ns - target->decided_ns <= lasts_ns;
}

enum health member_health(const struct targets *targets, const struct member *member,
                          uint64_t now_ns)
{
    enum health parts[EXPRESSION_MAX + 1];

    for (unsigned i = 0; i < member->list.count; i++) {
        const struct target *target = targets->members[member->first + i].target;

        parts[i] = is_fresh(target, now_ns) ? (enum health)target->verdict.health : HEALTH_UNKNOWN;
    }
    return checklist_health(&member->list, parts);
}

bool member_gate(const struct targets *targets, const struct member *member,
                 enum check_cause *cause, uint64_t now_ns)
{
    enum health parts[EXPRESSION_MAX + 1];

    *cause = CHECK_FINE;
    for (unsigned i = 0; i < member->list.count; i++) {
        const struct target *target = targets->members[member->first + i].target;

        parts[i] = is_fresh(target, now_ns) && target->passed ? HEALTH_HEALTHY : HEALTH_UNHEALTHY;
        if (!target->passed && target->verdict.cause != CHECK_FINE)
            *cause = (enum check_cause)target->verdict.cause;
    }
    return checklist_health(&member->list, parts) == HEALTH_HEALTHY;
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

static bool is_same(const struct target *target, const struct described *wanted, uint64_t hash)
{
    /* Both began as zeros, gaps included, and were filled in by the same hand. */
    /* NOLINTBEGIN(bugprone-suspicious-memory-comparison) */
    return target->in_use && target->hash == hash &&
           memcmp(&target->what, &wanted->target, sizeof(wanted->target)) == 0 &&
           memcmp(&target->schedule.rules, &wanted->rules, sizeof(wanted->rules)) == 0;
    /* NOLINTEND(bugprone-suspicious-memory-comparison) */
}

/* The target that does this already, else a free one; NULL: out of memory. */
static struct target *find(struct targets *targets, const struct described *wanted, uint64_t hash)
{
    struct target *spare = NULL;

    for (uint32_t i = 0; i < targets->count; i++) {
        struct target *target = targets->list[i];

        if (is_same(target, wanted, hash))
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

static void begin(struct target *target, const struct described *wanted, uint64_t hash,
                  const struct endpoint_live *live, uint64_t now_ns)
{
    struct verdict known = verdict_unpack(load_relaxed(&live->health));

    target->what = wanted->target;
    target->hash = hash;
    target->in_use = true;
    /* What the prober before found out together goes for each of them until it is known better. */
    target->verdict = (struct verdict){.health = known.health};
    target->decided_ns = load_relaxed(&live->checked_ns);
    target->passed = false;
    probe_init(target->probe, &target->what);
    schedule_init(&target->schedule, &wanted->rules, first_check_ns(live, &wanted->rules, now_ns));
}

/* Where the set is built, and of what. */
struct building {
    struct targets *targets;
    const struct bank_view *view;
    int secrets;
    uint64_t now_ns;
    struct described described; /* large: one for all */
};

static int add_member(struct building *building, const struct service_view *service,
                      const struct member *as, const struct endpoint_settings *endpoint,
                      unsigned check)
{
    struct targets *targets = building->targets;
    struct member *member = &targets->members[targets->member_count];
    struct endpoint_live *live = service->endpoint_live[as->index];
    const struct described *wanted = &building->described;
    struct target *target;
    uint64_t hash;

    if (targets->member_count == targets->limit)
        return -EAGAIN; /* more than the segment has room for: a mix */
    if (!describe_check(building->view, service, as->index, endpoint, as->list.checks[check],
                        building->secrets, &building->described))
        return -EAGAIN;
    hash = hash_bytes(&wanted->target, sizeof(wanted->target));
    target = find(targets, wanted, hash);
    if (!target)
        return -ENOMEM;
    if (!target->in_use)
        begin(target, wanted, hash, live, building->now_ns);
    else if (is_unknown(live))
        schedule_hurry(&target->schedule, building->now_ns);
    *member = *as;
    member->target = target;
    member->next = target->first_member;
    target->first_member = ++targets->member_count;
    return 0;
}

/* Whether this process can make all of them: some would not tell how the endpoint is. */
static int can_all(struct building *building, const struct service_view *service, uint32_t index,
                   const struct endpoint_settings *endpoint, const struct checklist *list,
                   bool *can)
{
    *can = true;
    for (unsigned i = 0; i < list->count && *can; i++) {
        if (!describe_check(building->view, service, index, endpoint, list->checks[i],
                            building->secrets, &building->described))
            return -EAGAIN;
        *can = probe_can(&building->described.target);
    }
    return 0;
}

static int add_checks(struct building *building, const struct service_view *service, uint32_t index,
                      const struct endpoint_settings *endpoint, struct checklist list, bool gate)
{
    struct member as = {
        .service = service->index,
        .index = index,
        .first = building->targets->member_count,
        .gate = gate,
        .is_to_be_replica = endpoint->health.role == ROLE_REPLICA,
        .list = list,
        .live = service->endpoint_live[index],
    };
    bool can;
    int error = can_all(building, service, index, endpoint, &list, &can);

    for (unsigned i = 0; can && i < list.count && !error; i++)
        error = add_member(building, service, &as, endpoint, i);
    return error;
}

static int add_endpoint(struct building *building, const struct service_view *service,
                        uint32_t index)
{
    struct checklist gate = checklist_of_gate(&service->settings.failover.gate);
    struct endpoint_settings endpoint;
    int error = 0;

    if (!service_endpoint(service, index, &endpoint))
        return -EAGAIN;
    if (endpoint.health_lasts_ns != 0)
        error = add_checks(building, service, index, &endpoint,
                           checklist_of_health(&endpoint.health), false);
    if (!error)
        error = add_checks(building, service, index, &endpoint, gate, true);
    return error;
}

static int add_members(struct building *building)
{
    struct targets *targets = building->targets;
    struct service_view service;
    int error = 0;

    targets->member_count = 0;
    for (uint32_t i = 0; i < targets->count; i++)
        targets->list[i]->first_member = 0;
    if (targets->class == LEASE_THREAD && bank_monitor(building->view) == MONITOR_PROCESS)
        return bank_valid(building->view) ? 0 : -EAGAIN;
    for (uint32_t s = 0; s < building->view->service_count; s++) {
        if (!service_read(building->view, s, &service))
            return -EAGAIN;
        for (uint32_t e = 0; e < service.count && !error; e++)
            error = add_endpoint(building, &service, e);
        if (error)
            return error;
    }
    return bank_valid(building->view) ? 0 : -EAGAIN;
}

int targets_build(struct targets *targets, uint64_t now_ns)
{
    struct secrets_stamp stamp = secrets_stamp(targets->secrets_path);
    struct bank_view view;
    struct building building = {.targets = targets, .view = &view, .now_ns = now_ns};
    int error;

    targets->built = false;
    if (!bank_open(targets->segment, &view))
        return -EAGAIN;
    building.secrets = secrets_open(targets->secrets_path);
    error = add_members(&building);
    if (building.secrets >= 0)
        close(building.secrets);
    wipe(&building.described, sizeof(building.described)); /* there may be a password in it */
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

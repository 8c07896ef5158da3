#include "state/checked.h"

#include "base/clock.h"
#include "base/text.h"
#include "state/events.h"
#include "state/futex.h"
#include "state/gate.h"
#include "state/live.h"

#define HINT_PAUSE_NS (40 * NS_PER_MS)

/* ---- the verdict ---- */

static const char *health_word(enum health health)
{
    switch (health) {
    case HEALTH_HEALTHY:
        return "healthy";
    case HEALTH_UNHEALTHY:
        return "unhealthy";
    case HEALTH_UNKNOWN:
        break;
    }
    return "unknown";
}

static void describe(struct event *event, struct verdict verdict, const struct check *check)
{
    if (!check->passed)
        text_format(event->detail, sizeof(event->detail), "failed checks in a row: %u",
                    (unsigned)verdict.fell);
    else
        text_format(event->detail, sizeof(event->detail),
                    "passed checks in a row: %u; answered in %llu us", (unsigned)verdict.rose,
                    (unsigned long long)(check->rtt_ns / NS_PER_US));
}

static void record_health(const struct service_view *service, uint32_t index, enum health from,
                          struct verdict to, const struct check *check)
{
    struct event event = {.type = EVENT_HEALTH};

    text_copy(event.service, sizeof(event.service), service->settings.name);
    bank_slot_name(service->segment, service->endpoints[index].slot, event.endpoint);
    text_copy(event.from, sizeof(event.from), health_word(from));
    text_copy(event.to, sizeof(event.to), health_word((enum health)to.health));
    text_copy(event.reason, sizeof(event.reason), check_cause_text(check->cause));
    describe(&event, to, check);
    event_write(service->segment, &event);
}

/* A later holder's stamp is on the word: by distance, because 16 bits of the epoch wrap. */
static bool is_overtaken(uint16_t epoch, struct verdict verdict)
{
    return (int16_t)(uint16_t)(verdict.epoch - epoch) > 0;
}

/* A verdict that has run out is none: the check decides as it does for a new endpoint. */
static struct verdict still_valid(struct verdict verdict, enum health in_force)
{
    if (in_force == HEALTH_UNKNOWN && verdict.health != HEALTH_UNKNOWN) {
        verdict.health = HEALTH_UNKNOWN;
        verdict.fell = 0;
        verdict.rose = 0;
    }
    return verdict;
}

/* The one word that is fenced. `decided`: by other checks too; NULL: by this one. False: the epoch
 * is no longer in force. */
static bool swap_health(const struct service_view *service, uint32_t index,
                        const struct health_rules *rules, uint16_t epoch, const struct check *check,
                        const enum health *decided, uint64_t now_ns, enum health *before,
                        struct verdict *after)
{
    struct endpoint_live *live = service->endpoint_live[index];
    uint64_t word = load_relaxed(&live->health);
    struct verdict verdict;

    do {
        verdict = verdict_unpack(word);
        if (is_overtaken(epoch, verdict))
            return false;
        verdict = still_valid(verdict, service_health(service, index, now_ns));
        *before = (enum health)verdict.health;
        *after = verdict_after(verdict, rules, check->passed, check->cause);
        if (decided) {
            after->health = (uint8_t)*decided;
            after->changes = (uint16_t)(verdict.changes + (after->health != verdict.health));
        }
        after->epoch = epoch;
        /* Release: who sees the verdict sees what it rests on. */
    } while (!atomic_compare_exchange_weak_explicit(&live->health, &word, verdict_pack(*after),
                                                    memory_order_release, memory_order_relaxed));
    return true;
}

static bool record(const struct service_view *service, uint32_t index, uint16_t epoch,
                   const struct check *check, const enum health *decided, uint64_t now_ns)
{
    struct endpoint_settings settings;
    struct endpoint_live *live;
    enum health before;
    struct verdict after;
    bool changed;

    if (!service->segment->writable)
        return false;
    /* Of an endpoint that has gone meanwhile: nobody's result, and no reason to step down. */
    if (index >= service->count || !service_still_has(service, index) ||
        !service_endpoint(service, index, &settings))
        return true;
    if (!swap_health(service, index, &settings.health, epoch, check, decided, now_ns, &before,
                     &after))
        return false;
    live = service->endpoint_live[index];
    live_raise(&live->checked_ns, now_ns);
    history_add(live, check);
    if (!check->passed)
        store_relaxed(&live->last_error,
                      last_error_pack(LAST_ERROR_CHECK + (int)check->cause, clock_wall_ns()));

    changed = (enum health)after.health != before;
    if (changed) {
        live_raise(&live->since_ns, now_ns);
        if (before == HEALTH_UNHEALTHY && after.health == HEALTH_HEALTHY)
            live_raise(&live->recovered_ns, now_ns);
        if (after.health == HEALTH_UNHEALTHY)
            service_start_grace(service, index, now_ns);
        record_health(service, index, before, after, check);
    }
    if (check->passed && service_passed_check(service, index, check->rtt_ns, now_ns))
        changed = true;
    /* Each time, because time is evidence as well: a grace may be over. */
    service_decide(service, now_ns);
    if (changed)
        bell_ring(service->segment);
    return true;
}

bool checked_record(const struct service_view *service, uint32_t index, uint16_t epoch,
                    const struct check *check, uint64_t now_ns)
{
    return record(service, index, epoch, check, NULL, now_ns);
}

bool checked_record_part(const struct service_view *service, uint32_t index, uint16_t epoch,
                         const struct check *check, enum health health, uint64_t now_ns)
{
    return record(service, index, epoch, check, &health, now_ns);
}

static bool may_write(const struct service_view *service, uint32_t index)
{
    return service->segment->writable && index < service->count &&
           service_still_has(service, index);
}

void checked_gate(const struct service_view *service, uint32_t index, bool holds,
                  enum check_cause cause, uint64_t now_ns)
{
    struct event event = {.type = EVENT_CHECK};
    enum check_cause before;
    bool held;

    if (!may_write(service, index))
        return;
    held = gate_holds(service->endpoint_live[index], UINT64_MAX, now_ns, &before);
    gate_store(service->endpoint_live[index], holds, cause, now_ns);
    if (!holds)
        checked_void(service, index, cause);
    if (holds != held || (!holds && cause != before)) {
        text_copy(event.service, sizeof(event.service), service->settings.name);
        bank_slot_name(service->segment, service->endpoints[index].slot, event.endpoint);
        text_copy(event.reason, sizeof(event.reason), check_cause_text(cause));
        text_copy(event.detail, sizeof(event.detail),
                  holds ? "failback.probe holds" : "failback.probe does not hold");
        event_write(service->segment, &event);
    }
    if (holds)
        service_decide(service, now_ns);
}

void checked_void(const struct service_view *service, uint32_t index, enum check_cause cause)
{
    if (may_write(service, index))
        store_relaxed(&service->endpoint_live[index]->last_error,
                      last_error_pack(LAST_ERROR_CHECK + (int)cause, clock_wall_ns()));
}

void checked_role(const struct service_view *service, uint32_t index, enum role_wanted role)
{
    if (may_write(service, index))
        store_relaxed(&service->endpoint_live[index]->role, role);
}

bool checked_is_active_replica(const struct service_view *service, uint32_t index)
{
    struct active active = active_unpack(load_relaxed(&service->live->active));

    return index < service->count && service->endpoints[index].slot == active.slot &&
           load_relaxed(&service->endpoint_live[index]->role) == ROLE_REPLICA;
}

void checked_warn_of_replica(const struct service_view *service, uint32_t index)
{
    struct event event = {.type = EVENT_CHECK};

    if (!may_write(service, index))
        return;
    text_copy(event.service, sizeof(event.service), service->settings.name);
    bank_slot_name(service->segment, service->endpoints[index].slot, event.endpoint);
    text_copy(event.reason, sizeof(event.reason), "replica");
    text_copy(event.detail, sizeof(event.detail),
              "the active endpoint is a replica: it takes no writes");
    event_write(service->segment, &event);
}

void checked_complain(const struct service_view *service, uint32_t index, enum check_cause cause)
{
    struct event event = {.type = EVENT_CHECK};

    if (index >= service->count)
        return;
    text_copy(event.service, sizeof(event.service), service->settings.name);
    bank_slot_name(service->segment, service->endpoints[index].slot, event.endpoint);
    text_copy(event.reason, sizeof(event.reason), check_cause_text(cause));
    text_copy(event.detail, sizeof(event.detail), "it answers, so it counts as alive");
    event_write(service->segment, &event);
}

/* ---- hints ---- */

atomic_u32 *checked_hint_word(const struct segment *segment)
{
    return &segment_live_head(segment)->hint;
}

uint64_t checked_last_hint(const struct endpoint_live *live)
{
    return load_relaxed(&live->hinted_ns);
}

void checked_hint(const struct service_view *service, uint32_t index, uint64_t now_ns)
{
    atomic_u64 *hinted_ns;
    atomic_u32 *word;
    uint64_t last_ns;

    if (!service->segment->writable || index >= service->count)
        return;
    hinted_ns = &service->endpoint_live[index]->hinted_ns;
    last_ns = load_relaxed(hinted_ns);
    /* Of many processes with the same trouble one wins the swap, and wakes the prober. */
    if ((last_ns != 0 && now_ns < last_ns + HINT_PAUSE_NS) ||
        !atomic_compare_exchange_strong_explicit(hinted_ns, &last_ns, now_ns, memory_order_relaxed,
                                                 memory_order_relaxed))
        return;
    word = checked_hint_word(service->segment);
    /* Release: the prober that sees the count sees which endpoint it is about. */
    atomic_fetch_add_explicit(word, 1, memory_order_release);
    futex_wake(word, 1);
}

/* ---- consequences ---- */

static bool is_to_be_left(const struct candidate *candidate)
{
    return candidate->health == HEALTH_UNHEALTHY || candidate->admin != ADMIN_READY ||
           candidate_is_barred(candidate);
}

bool checked_must_shut(const struct service_view *service, uint32_t index, uint64_t now_ns)
{
    struct candidate candidates[ENDPOINTS_MAX];

    if (index >= service->count || !service->settings.failover.close_connections ||
        service_mode(service, now_ns) != MODE_STEER)
        return false;
    service_candidates(service, candidates, now_ns);
    if (!is_to_be_left(&candidates[index]))
        return false;
    for (uint32_t i = 0; i < service->count; i++)
        if (i != index && !candidate_why_not(candidates, service->count, i))
            return true;
    return false;
}

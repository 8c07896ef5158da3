#include "state/decision.h"

#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/hints.h"
#include "base/text.h"
#include "policy/spread.h"
#include "policy/standing.h"
#include "policy/verdict.h"
#include "state/bell.h"
#include "state/events.h"
#include "state/fence.h"
#include "state/gate.h"
#include "state/history.h"
#include "state/lease.h"
#include "state/live.h"

enum { DECIDE_ROUNDS = 4, READ_TRIES = 3 };
#define RAMP_NS (10 * NS_PER_S)

bool service_read(const struct bank_view *view, uint32_t index, struct service_view *out)
{
    if (!bank_service(view, index, &out->settings))
        return false;
    out->segment = view->segment;
    out->only = NULL;
    out->bank = *view;
    out->index = index;
    out->first_endpoint = out->settings.first_endpoint;
    out->count = out->settings.endpoint_count;
    out->live = segment_service(view->segment, out->settings.slot);
    if (!out->live)
        return false;
    for (uint32_t i = 0; i < out->count; i++) {
        if (!bank_brief(view, out->first_endpoint + i, &out->endpoints[i]))
            return false;
        out->endpoint_live[i] = segment_endpoint(view->segment, out->endpoints[i].slot);
        if (!out->endpoint_live[i])
            return false;
    }
    return true;
}

bool service_endpoint(const struct service_view *service, uint32_t index,
                      struct endpoint_settings *out)
{
    struct bank_view view;

    for (int tries = 0; index < service->count && tries < READ_TRIES; tries++) {
        if (!bank_open(service->segment, &view) ||
            !bank_endpoint(&view, service->first_endpoint + index, out))
            return false;
        if (bank_valid(&view))
            return out->slot == service->endpoints[index].slot &&
                   out->generation == service->endpoints[index].generation;
    }
    return false;
}

/* Apart, because of the stack. */
static __attribute__((noinline)) uint32_t read_addresses(const struct service_view *service,
                                                         uint32_t index,
                                                         struct address out[static ADDRESSES_MAX])
{
    struct endpoint_settings endpoint;
    uint32_t count;

    count = bank_addresses(&service->bank, service->first_endpoint + index, out);
    if (bank_valid(&service->bank))
        return count;
    /* The settings have changed since. */
    if (!service_endpoint(service, index, &endpoint))
        return 0;
    memcpy(out, endpoint.addresses, endpoint.address_count * sizeof(*out));
    return endpoint.address_count;
}

HOT uint32_t service_addresses(const struct service_view *service, uint32_t index,
                               struct address out[static ADDRESSES_MAX])
{
    const struct address *only = service->only;

    if (UNLIKELY(index >= service->count))
        return 0;
    if (UNLIKELY(!only || only[index].port == 0 || !bank_valid(&service->bank)))
        return read_addresses(service, index, out);
    out[0] = only[index];
    return 1;
}

enum service_mode service_mode(const struct service_view *service, uint64_t now_ns)
{
    enum service_mode configured = (enum service_mode)service->settings.mode;
    uint64_t word = load_relaxed(&service->live->mode);

    return LIKELY(mode_is_unset(word)) ? configured : service_mode_now(word, configured, now_ns);
}

/* ---- choosing ---- */

static int index_of_slot(const struct service_view *service, uint32_t slot)
{
#pragma GCC unroll 1 /* it is found at once: the rest would only take up room */
    for (uint32_t i = 0; i < service->count; i++)
        if (service->endpoints[i].slot == slot)
            return (int)i;
    return -1;
}

enum health service_health(const struct service_view *service, uint32_t index, uint64_t now_ns)
{
    const struct endpoint_live *live = service->endpoint_live[index];
    uint64_t lasts_ns = service->endpoints[index].health_lasts_ns;
    uint64_t checked_ns = load_relaxed(&live->checked_ns);

    if (lasts_ns == 0 || (now_ns > checked_ns && now_ns - checked_ns > lasts_ns))
        return HEALTH_UNKNOWN;
    return (enum health)verdict_unpack(load_relaxed(&live->health)).health;
}

static enum admin admin_of(const struct endpoint_live *live)
{
    uint64_t admin = load_relaxed(&live->admin);

    return admin <= ADMIN_MAINT ? (enum admin)admin : ADMIN_READY;
}

/*
 * A grace far longer than the rules give is of a clock that is not the host's: over. Twice as long
 * is believed, because `now` may be a little old.
 */
static uint64_t grace_until(const struct service_view *service, const struct endpoint_live *live,
                            uint64_t now_ns)
{
    uint64_t until = load_relaxed(&live->grace_until_ns);

    return until > now_ns && until - now_ns > 2 * service->settings.failover.grace_ns ? 0 : until;
}

/* How much of its part an endpoint gets that is well again: from a tenth, evenly, to all. */
static uint16_t ramp_of(const struct endpoint_live *live, uint64_t now_ns)
{
    uint64_t since_ns = load_relaxed(&live->recovered_ns), part;

    if (since_ns == 0 || now_ns < since_ns || now_ns - since_ns >= RAMP_NS)
        return RAMP_WHOLE;
    part = (now_ns - since_ns) * RAMP_WHOLE / RAMP_NS;
    return part > RAMP_WHOLE / 10 ? (uint16_t)part : RAMP_WHOLE / 10;
}

/* What only one strategy goes by. */
static void add_measures(const struct service_view *service, const struct endpoint_live *live,
                         struct candidate *candidate, uint64_t now_ns)
{
    switch ((enum strategy)service->settings.strategy) {
    case STRATEGY_PRIORITY:
    case STRATEGY_FIRST:
        break;
    case STRATEGY_COMMAND:
        candidate->rank = (uint32_t)load_relaxed(&live->rank);
        break;
    case STRATEGY_LATENCY:
        candidate->latency_us = history_latency_us(live);
        break;
    case STRATEGY_LEAST_CONNECTIONS:
        candidate->connections = live_connections(live);
        candidate->ramp = ramp_of(live, now_ns);
        break;
    case STRATEGY_ROUND_ROBIN:
    case STRATEGY_RANDOM:
    case STRATEGY_WEIGHTED:
        candidate->ramp = ramp_of(live, now_ns);
        break;
    }
}

/* Without what only one strategy goes by. Inline: service_kept() has no use for most of it. */
static inline __attribute__((always_inline)) struct candidate
candidate_of(const struct service_view *service, uint32_t index, struct held held, uint64_t now_ns)
{
    const struct endpoint_brief *endpoint = &service->endpoints[index];
    const struct endpoint_live *live = service->endpoint_live[index];
    struct candidate candidate = {
        .held = endpoint->slot == held.slot && endpoint->generation == held.generation,
        .grace_until_ns = grace_until(service, live, now_ns),
        .weight_milli = endpoint->weight_milli,
        .health = service_health(service, index, now_ns),
        .breaker = breaker_state(&live->breaker, &service->settings.breaker, now_ns),
        .admin = admin_of(live),
        .same_zone = endpoint->same_zone != 0,
        .tier = endpoint->tier,
        .gated = service->settings.failover.gate.count > 0 &&
                 !gate_holds(live, service->settings.failover.gate_lasts_ns, now_ns, NULL),
        .bar = standing_unpack(load_relaxed(&live->standing)).bar,
    };

    /* Of an endpoint that nobody checks nobody knows what it is; and other settings may have left
     * a bar behind. */
    if (UNLIKELY(candidate.bar != BAR_NONE)) {
        if (candidate.health == HEALTH_UNKNOWN || endpoint->role != ROLE_MASTER)
            candidate.bar = BAR_NONE;
        candidate.gated = candidate.gated || candidate.bar == BAR_FAILBACK;
    }
    return candidate;
}

static void fill_candidates(const struct service_view *service, struct candidate out[ENDPOINTS_MAX],
                            uint64_t now_ns)
{
    struct held held = service_held(service->live, now_ns);

    for (uint32_t i = 0; i < service->count; i++) {
        out[i] = candidate_of(service, i, held, now_ns);
        add_measures(service, service->endpoint_live[i], &out[i], now_ns);
    }
}

int service_candidates(const struct service_view *service, struct candidate out[ENDPOINTS_MAX],
                       uint64_t now_ns)
{
    fill_candidates(service, out, now_ns);
    return index_of_slot(service, active_unpack(load_relaxed(&service->live->active)).slot);
}

/* The endpoint that has been faster than the active one for long enough, or -1. */
static int proven_challenger(const struct service_view *service, uint64_t now_ns)
{
    struct challenger word = challenger_unpack(load_relaxed(&service->live->challenger));

    if (word.slot == NO_SLOT || now_ns < word.since_ms * NS_PER_MS ||
        now_ns - word.since_ms * NS_PER_MS < LATENCY_PROOF_NS)
        return -1;
    return index_of_slot(service, word.slot);
}

/* Time counts from when somebody first saw it ahead, without a break. */
RARE static void keep_challenger(const struct service_view *service, uint64_t now_ns)
{
    struct candidate candidates[ENDPOINTS_MAX];
    int current = service_candidates(service, candidates, now_ns);
    int fastest = choose_faster(candidates, service->count, current, now_ns);
    uint32_t slot = fastest >= 0 ? service->endpoints[fastest].slot : NO_SLOT;
    struct challenger word = challenger_unpack(load_relaxed(&service->live->challenger));

    if (slot == word.slot)
        return;
    word = (struct challenger){.slot = slot, .since_ms = slot == NO_SLOT ? 0 : now_ns / NS_PER_MS};
    store_relaxed(&service->live->challenger, challenger_pack(word));
}

struct choice_rules service_choice_rules(const struct service_view *service, uint64_t turn,
                                         uint64_t now_ns)
{
    enum strategy strategy = (enum strategy)service->settings.strategy;

    return (struct choice_rules){
        .strategy = strategy,
        .failback = service->settings.failover.failback != 0,
        .challenger = strategy == STRATEGY_LATENCY ? proven_challenger(service, now_ns) : -1,
        .turn = turn,
    };
}

/* `*current`: the index of the active endpoint, or -1. */
static struct choice choice_given(const struct service_view *service, struct active active,
                                  int *current, uint64_t turn, uint64_t now_ns)
{
    struct candidate candidates[ENDPOINTS_MAX];
    struct choice_rules rules = service_choice_rules(service, turn, now_ns);
    struct choice choice;

    fill_candidates(service, candidates, now_ns);
    *current = index_of_slot(service, active.slot);
    choice = choose(&rules, candidates, service->count, *current, now_ns);
    if (choice.reason == CHOICE_FIRST && active.slot != NO_SLOT)
        choice.reason = CHOICE_REMOVED;
    return choice;
}

struct choice service_choice(const struct service_view *service, uint64_t now_ns)
{
    int current;

    return choice_given(service, active_unpack(load_relaxed(&service->live->active)), &current,
                        load_relaxed(&service->live->turns), now_ns);
}

/* ---- putting the choice in place ---- */

/* Only ever grows: whoever reports late with an old `now` cannot shorten it. */
void service_start_grace(const struct service_view *service, uint32_t index, uint64_t now_ns)
{
    struct endpoint_live *live = service->endpoint_live[index];
    uint64_t wanted = now_ns + service->settings.failover.grace_ns;
    uint64_t old = load_relaxed(&live->grace_until_ns);

    while (grace_until(service, live, now_ns) < wanted)
        if (atomic_compare_exchange_weak_explicit(&live->grace_until_ns, &old, wanted,
                                                  memory_order_relaxed, memory_order_relaxed))
            return;
}

static bool is_failure(enum choice_reason reason)
{
    return reason == CHOICE_HEALTH || reason == CHOICE_BREAKER;
}

static void describe(enum choice_reason reason, enum strategy strategy, struct event *event)
{
    const char *what = "";

    switch (reason) {
    case CHOICE_HEALTH:
        what = "unhealthy";
        break;
    case CHOICE_BREAKER:
        what = "breaker open";
        break;
    case CHOICE_ADMIN:
        what = "drained or in maintenance";
        break;
    case CHOICE_REMOVED:
        what = "no longer in the settings";
        break;
    case CHOICE_SENTINEL:
        what = "Sentinels name another master";
        break;
    case CHOICE_FAILBACK:
        if (strategy == STRATEGY_LATENCY)
            text_format(event->detail, sizeof(event->detail), "%s: faster for %d s", event->to,
                        (int)(LATENCY_PROOF_NS / NS_PER_S));
        else if (strategy == STRATEGY_COMMAND)
            text_format(event->detail, sizeof(event->detail), "%s: preferred by the selector",
                        event->to);
        else
            text_format(event->detail, sizeof(event->detail), "%s: well again and preferred",
                        event->to);
        return;
    case CHOICE_MANUAL: /* says all there is to say */
    case CHOICE_KEPT:
    case CHOICE_FIRST:
        return;
    }
    text_format(event->detail, sizeof(event->detail), "%s: %s",
                event->from[0] ? event->from : "the active endpoint", what);
}

static enum event_type type_of(enum choice_reason reason)
{
    if (reason == CHOICE_MANUAL)
        return EVENT_SWITCH;
    return reason == CHOICE_FAILBACK ? EVENT_FAILBACK : EVENT_FAILOVER;
}

/* The winner of the swap tells the others. The first choice is no switch: nothing was left. */
RARE static void record_switch(const struct service_view *service, struct active from,
                               struct active to, enum choice_reason reason)
{
    struct event event = {
        .wall_ns = clock_wall_ns(),
        .type = type_of(reason),
    };
    struct last_switch what = {
        .wall_ms = event.wall_ns / NS_PER_MS,
        .from = from.slot,
        .to = to.slot,
        .reason = reason,
    };

    count_up(&service->live->switches);
    last_switch_write(service->live, what, to.epoch);
    text_copy(event.service, sizeof(event.service), service->settings.name);
    bank_slot_name(service->segment, from.slot, event.from);
    bank_slot_name(service->segment, to.slot, event.to);
    text_copy(event.endpoint, sizeof(event.endpoint), event.to);
    text_copy(event.reason, sizeof(event.reason), choice_reason_name(reason));
    describe(reason, (enum strategy)service->settings.strategy, &event);
    event_write(service->segment, &event);
    bell_ring(service->segment);
}

/* Moves `active` from `word` to the choice, unless somebody was faster. */
static void swap_active(const struct service_view *service, uint64_t word, int current,
                        struct choice choice, uint64_t now_ns)
{
    struct active from = active_unpack(word);
    struct active to = {
        .epoch = from.epoch + 1,
        .slot = service->endpoints[choice.endpoint].slot,
    };

    /* Before the swap: whoever sees the new active endpoint also sees the old one's grace. */
    if (current >= 0 && is_failure(choice.reason))
        service_start_grace(service, (uint32_t)current, now_ns);
    if (!atomic_compare_exchange_strong_explicit(&service->live->active, &word, active_pack(to),
                                                 memory_order_acq_rel, memory_order_relaxed))
        return;
    if (from.slot != NO_SLOT)
        record_switch(service, from, to, choice.reason);
}

struct choice service_decide(const struct service_view *service, uint64_t now_ns)
{
    bool may_swap =
        service->segment->writable && !strategy_spreads((enum strategy)service->settings.strategy);
    struct choice choice;

    if (service->settings.strategy == STRATEGY_LATENCY && service->segment->writable)
        keep_challenger(service, now_ns);
    /* Won or lost, a swap may rest on states that changed meanwhile: look again until it stands. */
    for (int round = 0; round < DECIDE_ROUNDS; round++) {
        uint64_t word;
        int current;

        fence_evidence();
        word = atomic_load_explicit(&service->live->active, memory_order_acquire);
        choice = choice_given(service, active_unpack(word), &current,
                              load_relaxed(&service->live->turns), now_ns);
        if (!may_swap || choice.endpoint < 0 || choice.endpoint == current)
            break;
        swap_active(service, word, current, choice, now_ns);
    }
    return choice;
}

/* Of this connection, over the whole host. */
static uint64_t next_turn(const struct service_view *service, uint64_t now_ns)
{
    if (!service->segment->writable) /* nobody else can know: any will do */
        return hash_mix(now_ns ^ (uintptr_t)&now_ns);
    /* Relaxed: only that no two get the same. */
    return atomic_fetch_add_explicit(&service->live->turns, 1, memory_order_relaxed);
}

HOT int service_kept(const struct service_view *service, uint64_t now_ns)
{
    const struct held none = {.slot = NO_SLOT};
    int current = index_of_slot(service, active_unpack(load_relaxed(&service->live->active)).slot);
    struct candidate active;

    /* Where connections are spread none is unrivalled; and the operator may hold another. */
    if (UNLIKELY(current < 0 || !service->endpoints[current].unrivalled))
        return -1;
    if (UNLIKELY(!mode_is_unset(load_relaxed(&service->live->mode))) &&
        service_held(service->live, now_ns).slot != NO_SLOT)
        return -1;
    active = candidate_of(service, (uint32_t)current, none, now_ns);
    return LIKELY(choose_keeps(&active)) ? current : -1;
}

struct choice service_target(const struct service_view *service, uint64_t now_ns)
{
    int kept = service_kept(service, now_ns), current;

    if (kept >= 0)
        return (struct choice){.endpoint = kept, .trial = -1, .reason = CHOICE_KEPT};
    if (strategy_spreads((enum strategy)service->settings.strategy))
        return choice_given(service, (struct active){.slot = NO_SLOT}, &current,
                            next_turn(service, now_ns), now_ns);
    return service_decide(service, now_ns);
}

/* ---- evidence ---- */

/* Unlike in each process and thread; no system call. */
static uint32_t random_bits(uint64_t now_ns, uint64_t took_ns)
{
    uintptr_t here = (uintptr_t)&now_ns;

    return (uint32_t)hash_mix(now_ns ^ took_ns << 32 ^ (uint64_t)here << 24);
}

RARE static void record_breaker(const struct service_view *service, uint32_t index,
                                struct breaker_event change)
{
    bool opened = change.change != BREAKER_RECOVERED;
    enum breaker_state from = change.change == BREAKER_OPENED ? BREAKER_CLOSED : BREAKER_HALF_OPEN;
    struct event event = {.type = EVENT_BREAKER};

    text_copy(event.service, sizeof(event.service), service->settings.name);
    bank_slot_name(service->segment, service->endpoints[index].slot, event.endpoint);
    text_copy(event.from, sizeof(event.from), breaker_state_name(from));
    text_copy(event.to, sizeof(event.to),
              breaker_state_name(opened ? BREAKER_OPEN : BREAKER_CLOSED));
    if (opened) {
        text_copy(event.reason, sizeof(event.reason), breaker_cause_name(change.cause));
        text_format(event.detail, sizeof(event.detail), "open for %llums",
                    (unsigned long long)(change.open_ns / NS_PER_MS));
    } else {
        text_copy(event.reason, sizeof(event.reason), "trials succeeded");
    }
    event_write(service->segment, &event);
}

/* The slot went to another endpoint since the settings were read: not his to answer for. */
bool service_still_has(const struct service_view *service, uint32_t index)
{
    return (uint32_t)load_relaxed(&service->endpoint_live[index]->generation) ==
           service->endpoints[index].generation;
}

/* True when the breaker changed. */
static bool tell_breaker(const struct service_view *service, uint32_t index, enum outcome outcome,
                         uint64_t took_ns, uint64_t now_ns)
{
    struct endpoint_live *live = service->endpoint_live[index];
    struct breaker_event change =
        breaker_record(&live->breaker, &service->settings.breaker, outcome, took_ns, now_ns,
                       random_bits(now_ns, took_ns));

    if (change.change == BREAKER_UNCHANGED)
        return false;
    store_relaxed(&live->since_ns, now_ns);
    if (change.change == BREAKER_RECOVERED)
        live_raise(&live->recovered_ns, now_ns);
    if (change.change != BREAKER_RECOVERED)
        service_start_grace(service, index, now_ns);
    record_breaker(service, index, change);
    return true;
}

/* What may change something. */
static __attribute__((noinline)) void weigh(const struct service_view *service, uint32_t index,
                                            enum outcome outcome, uint64_t took_ns, uint64_t now_ns)
{
    if (!tell_breaker(service, index, outcome, took_ns, now_ns))
        return;
    service_decide(service, now_ns);
    /* Now that it is well again, another's connections may be worth shutting. */
    if (outcome == OUTCOME_OK)
        bell_ring(service->segment);
}

HOT void service_report(const struct service_view *service, uint32_t index, int error,
                        uint64_t took_ns, uint64_t now_ns)
{
    enum outcome outcome = outcome_of(error);
    struct endpoint_live *live;

    if (!service->segment->writable || index >= service->count || outcome == OUTCOME_LOCAL ||
        !service_still_has(service, index))
        return;
    live = service->endpoint_live[index];
    count_up(&live->connects[outcome]);
    if (outcome != OUTCOME_OK)
        store_relaxed(&live->last_error, last_error_pack(error, clock_wall_ns()));
    else if (breaker_record_calm(&live->breaker, &service->settings.breaker, took_ns, now_ns))
        return;
    weigh(service, index, outcome, took_ns, now_ns);
}

bool service_passed_check(const struct service_view *service, uint32_t index, uint64_t took_ns,
                          uint64_t now_ns)
{
    const struct breaker_rules *rules = &service->settings.breaker;
    enum breaker_state state =
        breaker_state(&service->endpoint_live[index]->breaker, rules, now_ns);
    bool slow = rules->slow_call_ns > 0 && took_ns >= rules->slow_call_ns;

    return (state == BREAKER_HALF_OPEN || (state == BREAKER_CLOSED && slow)) &&
           tell_breaker(service, index, OUTCOME_OK, took_ns, now_ns);
}

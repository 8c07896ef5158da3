#include "state/slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "policy/verdict.h"
#include "state/bank.h"
#include "state/live.h"

/* ---- the settings in force ---- */

static bool copy_out(const struct bank_view *view, struct old_settings *out)
{
    for (uint32_t i = 0; i < view->service_count; i++) {
        struct service_settings *service = &out->services[i];

        if (!bank_service(view, i, service) || service->first_endpoint > view->endpoint_count ||
            service->endpoint_count > view->endpoint_count - service->first_endpoint)
            return false;
    }
    for (uint32_t i = 0; i < view->endpoint_count; i++)
        if (!bank_endpoint(view, i, &out->endpoints[i]) || !bank_label(view, i, &out->labels[i]))
            return false;
    return true;
}

int old_settings_read(const struct segment *segment, struct old_settings *out)
{
    struct bank_view view;

    memset(out, 0, sizeof(*out));
    if (!segment)
        return 0;
    if (!bank_open(segment, &view))
        return -EBADMSG;
    out->service_count = view.service_count;
    out->endpoint_count = view.endpoint_count;
    out->services = calloc(view.service_count + 1, sizeof(*out->services));
    out->endpoints = calloc(view.endpoint_count + 1, sizeof(*out->endpoints));
    out->labels = calloc(view.endpoint_count + 1, sizeof(*out->labels));
    if (!out->services || !out->endpoints || !out->labels) {
        old_settings_free(out);
        return -ENOMEM;
    }
    if (!copy_out(&view, out)) {
        old_settings_free(out);
        return -EBADMSG;
    }
    return 0;
}

void old_settings_free(struct old_settings *old)
{
    free(old->services);
    free(old->endpoints);
    free(old->labels);
    memset(old, 0, sizeof(*old));
}

const struct service_settings *old_service(const struct old_settings *old, const char *name)
{
    for (uint32_t i = 0; i < old->service_count; i++)
        if (text_equal(old->services[i].name, name))
            return &old->services[i];
    return NULL;
}

/* The endpoint of this name, wherever it led. */
static const struct endpoint_settings *old_namesake(const struct old_settings *old,
                                                    const struct publish_service *service,
                                                    const struct publish_endpoint *endpoint,
                                                    const struct endpoint_label **label)
{
    const struct service_settings *before = old_service(old, service->settings.name);

    if (!before)
        return NULL;
    for (uint32_t i = 0; i < before->endpoint_count; i++) {
        *label = &old->labels[before->first_endpoint + i];
        if (text_equal((*label)->name, endpoint->label.name))
            return &old->endpoints[before->first_endpoint + i];
    }
    return NULL;
}

const struct endpoint_settings *old_endpoint(const struct old_settings *old,
                                             const struct publish_service *service,
                                             const struct publish_endpoint *endpoint)
{
    const struct endpoint_label *label;
    const struct endpoint_settings *before = old_namesake(old, service, endpoint, &label);

    if (!before || !bank_same_endpoint(before, label, &endpoint->settings, &endpoint->label))
        return NULL;
    return before;
}

/* ---- past addresses ---- */

static void add_past(struct endpoint_settings *settings, const struct address *address)
{
    for (uint32_t i = 0; i < settings->address_count; i++)
        if (address_equal(&settings->addresses[i], address))
            return;
    for (uint32_t i = 0; i < settings->past_count; i++)
        if (address_equal(&settings->past[i], address))
            return;
    if (settings->past_count < PAST_ADDRESSES_MAX)
        settings->past[settings->past_count++] = *address;
}

static bool has_now(const struct publish_service *service, const struct address *address)
{
    for (uint32_t e = 0; e < service->endpoint_count; e++) {
        const struct endpoint_settings *now = &service->endpoints[e].settings;

        for (uint32_t i = 0; i < now->address_count; i++)
            if (address_equal(&now->addresses[i], address))
                return true;
    }
    return false;
}

/* To one that has room for it; where none has, the oldest of one goes. */
static void adopt_past(struct publish_service *service, const struct address *address)
{
    struct endpoint_settings *now;

    if (service->endpoint_count == 0 || has_now(service, address))
        return;
    for (uint32_t e = 0; e < service->endpoint_count; e++) {
        now = &service->endpoints[e].settings;
        for (uint32_t i = 0; i < now->past_count; i++)
            if (address_equal(&now->past[i], address))
                return;
    }
    for (uint32_t e = 0; e < service->endpoint_count; e++) {
        now = &service->endpoints[e].settings;
        if (now->past_count == PAST_ADDRESSES_MAX)
            continue;
        now->past[now->past_count++] = *address;
        return;
    }
    now = &service->endpoints[address_hash_ip(address) % service->endpoint_count].settings;
    now->past[PAST_ADDRESSES_MAX - 1] = *address;
}

static bool is_gone(const struct publish_service *service, const struct endpoint_label *label)
{
    for (uint32_t e = 0; e < service->endpoint_count; e++)
        if (text_equal(service->endpoints[e].label.name, label->name))
            return false;
    return true;
}

/* Programs that were given an address keep it for ever, and it goes on to mean the service. */
static void adopt_all(struct publish_service *service, const struct old_settings *old)
{
    const struct service_settings *before = old_service(old, service->settings.name);

    for (uint32_t i = 0; before && i < before->endpoint_count; i++) {
        uint32_t at = before->first_endpoint + i;
        const struct endpoint_settings *endpoint = &old->endpoints[at];

        if (!is_gone(service, &old->labels[at]))
            continue;
        for (uint32_t a = 0; a < endpoint->address_count; a++)
            adopt_past(service, &endpoint->addresses[a]);
        for (uint32_t a = 0; a < endpoint->past_count; a++)
            adopt_past(service, &endpoint->past[a]);
    }
}

void slots_keep_past(struct publication *publication, const struct old_settings *old)
{
    for (uint32_t s = 0; s < publication->service_count; s++) {
        struct publish_service *service = &publication->services[s];

        for (uint32_t e = 0; e < service->endpoint_count; e++) {
            struct endpoint_settings *now = &service->endpoints[e].settings;
            const struct endpoint_label *label;
            const struct endpoint_settings *before =
                old_namesake(old, service, &service->endpoints[e], &label);

            now->past_count = 0;
            memset(now->past, 0, sizeof(now->past));
            if (!before)
                continue;
            for (uint32_t i = 0; i < before->address_count; i++)
                add_past(now, &before->addresses[i]);
            for (uint32_t i = 0; i < before->past_count; i++)
                add_past(now, &before->past[i]);
        }
        adopt_all(service, old);
    }
}

/* ---- picking slots ---- */

struct usage {
    bool services[SERVICES_MAX];
    bool endpoints[ENDPOINT_SLOTS_MAX];
};

static void note_old_usage(struct usage *usage, const struct old_settings *old)
{
    memset(usage, 0, sizeof(*usage));
    for (uint32_t i = 0; i < old->service_count; i++)
        if (old->services[i].slot < SERVICES_MAX)
            usage->services[old->services[i].slot] = true;
    for (uint32_t i = 0; i < old->endpoint_count; i++)
        if (old->endpoints[i].slot < ENDPOINT_SLOTS_MAX)
            usage->endpoints[old->endpoints[i].slot] = true;
}

/* Of free slots: a never used one, else the one retired first. */
struct pick {
    uint32_t slot;
    uint64_t retired_ns;
};

static void consider(struct pick *best, uint32_t slot, uint64_t uses, uint64_t retired_ns)
{
    uint64_t age = uses == 0 ? 0 : retired_ns + 1;

    if (best->slot != NO_SLOT && best->retired_ns <= age)
        return;
    best->slot = slot;
    best->retired_ns = age;
}

static uint32_t free_service_slot(const struct segment *segment, const struct usage *usage)
{
    struct pick best = {.slot = NO_SLOT};

    for (uint32_t i = 0; i < segment->service_slots; i++) {
        const struct service_live *live = segment_service(segment, i);

        if (!usage->services[i])
            consider(&best, i, load_relaxed(&live->uses), load_relaxed(&live->retired_ns));
    }
    return best.slot;
}

static uint32_t free_endpoint_slot(const struct segment *segment, const struct usage *usage)
{
    struct pick best = {.slot = NO_SLOT};

    for (uint32_t i = 0; i < segment->endpoint_slots; i++) {
        const struct endpoint_live *live = segment_endpoint(segment, i);

        if (!usage->endpoints[i])
            consider(&best, i, load_relaxed(&live->generation), load_relaxed(&live->retired_ns));
    }
    return best.slot;
}

static int pick_for_endpoint(struct endpoint_settings *settings,
                             const struct endpoint_settings *before, const struct segment *segment,
                             struct usage *usage)
{
    const struct endpoint_live *live;

    if (before) {
        settings->slot = before->slot;
        settings->generation = before->generation;
        return segment_endpoint(segment, before->slot) ? 0 : -ENOSPC;
    }
    settings->slot = free_endpoint_slot(segment, usage);
    live = segment_endpoint(segment, settings->slot);
    if (!live)
        return -ENOSPC;
    usage->endpoints[settings->slot] = true;
    settings->generation = (uint32_t)load_relaxed(&live->generation) + 1;
    return 0;
}

static int pick_for_service(struct publish_service *service, const struct old_settings *old,
                            const struct segment *segment, struct usage *usage)
{
    const struct service_settings *before = old_service(old, service->settings.name);
    int error = 0;

    service->settings.slot = before ? before->slot : free_service_slot(segment, usage);
    if (!segment_service(segment, service->settings.slot))
        return -ENOSPC;
    usage->services[service->settings.slot] = true;
    for (uint32_t i = 0; i < service->endpoint_count && !error; i++) {
        struct publish_endpoint *endpoint = &service->endpoints[i];

        error = pick_for_endpoint(&endpoint->settings, old_endpoint(old, service, endpoint),
                                  segment, usage);
    }
    return error;
}

int slots_pick(struct publication *publication, const struct old_settings *old,
               const struct segment *segment)
{
    struct usage usage;
    int error = 0;

    note_old_usage(&usage, old);
    for (uint32_t i = 0; i < publication->service_count && !error; i++)
        error = pick_for_service(&publication->services[i], old, segment, &usage);
    return error;
}

void slots_number(struct publication *publication)
{
    uint32_t next = 0;

    for (uint32_t s = 0; s < publication->service_count; s++) {
        struct publish_service *service = &publication->services[s];

        service->settings.slot = s;
        for (uint32_t e = 0; e < service->endpoint_count; e++) {
            service->endpoints[e].settings.slot = next++;
            service->endpoints[e].settings.generation = 1;
        }
    }
}

/* ---- live state ---- */

static void clear_words(void *live, size_t size)
{
    atomic_u64 *words = live;

    for (size_t i = 0; i < size / sizeof(*words); i++)
        store_relaxed(&words[i], 0);
}

static void clear_service(struct service_live *live)
{
    uint64_t uses = load_relaxed(&live->uses);
    /* Epochs go on: a process with the settings before last must lose its compare-and-swap. */
    struct active none = {
        .epoch = active_unpack(load_relaxed(&live->active)).epoch + 1,
        .slot = NO_SLOT,
    };

    clear_words(live, sizeof(*live));
    store_relaxed(&live->active, uses == 0 ? 0 : active_pack(none));
    store_relaxed(&live->uses, uses + 1);
}

/*
 * The epoch of the lease stays: a prober that was stopped must find its compare-and-swap refused,
 * and the one in force need not know of the change.
 */
static void clear_health(atomic_u64 *health)
{
    uint64_t word = load_relaxed(health);
    struct verdict before;
    struct verdict none;

    do {
        before = verdict_unpack(word);
        none = (struct verdict){.epoch = before.epoch};
        if (word != 0)
            none.changes = before.changes + 1;
    } while (!atomic_compare_exchange_weak_explicit(health, &word, verdict_pack(none),
                                                    memory_order_relaxed, memory_order_relaxed));
}

static void clear_endpoint(struct endpoint_live *live, uint32_t generation)
{
    clear_health(&live->health);
    clear_words((unsigned char *)(void *)live + sizeof(live->health),
                sizeof(*live) - sizeof(live->health));
    store_relaxed(&live->generation, generation);
}

static void retire(const struct old_settings *old, const struct usage *kept,
                   const struct segment *segment)
{
    uint64_t now_ns = clock_boot_ns();

    for (uint32_t i = 0; i < old->service_count; i++) {
        struct service_live *live = segment_service(segment, old->services[i].slot);

        if (live && !kept->services[old->services[i].slot])
            store_relaxed(&live->retired_ns, now_ns);
    }
    for (uint32_t i = 0; i < old->endpoint_count; i++) {
        struct endpoint_live *live = segment_endpoint(segment, old->endpoints[i].slot);

        if (live && !kept->endpoints[old->endpoints[i].slot])
            store_relaxed(&live->retired_ns, now_ns);
    }
}

void slots_prepare(const struct publication *publication, const struct old_settings *old,
                   const struct segment *segment)
{
    struct usage before;
    struct usage kept;

    note_old_usage(&before, old);
    memset(&kept, 0, sizeof(kept));
    for (uint32_t s = 0; s < publication->service_count; s++) {
        const struct publish_service *service = &publication->services[s];

        kept.services[service->settings.slot] = true;
        if (!before.services[service->settings.slot])
            clear_service(segment_service(segment, service->settings.slot));
        for (uint32_t e = 0; e < service->endpoint_count; e++) {
            const struct endpoint_settings *settings = &service->endpoints[e].settings;

            kept.endpoints[settings->slot] = true;
            if (!before.endpoints[settings->slot])
                clear_endpoint(segment_endpoint(segment, settings->slot), settings->generation);
        }
    }
    retire(old, &kept, segment);
}

/* ---- into another segment ---- */

static uint32_t moved_slot(uint32_t slot, const struct publish_service *service,
                           const struct old_settings *old)
{
    for (uint32_t i = 0; i < service->endpoint_count; i++) {
        const struct endpoint_settings *before = old_endpoint(old, service, &service->endpoints[i]);

        if (before && before->slot == slot)
            return service->endpoints[i].settings.slot;
    }
    return NO_SLOT;
}

static void carry_service(const struct publish_service *service, const struct old_settings *old,
                          const struct service_live *from, struct service_live *to)
{
    struct active active = active_unpack(load_relaxed(&from->active));
    struct held held = held_unpack(load_relaxed(&from->held));
    struct last_switch last;

    active.slot = moved_slot(active.slot, service, old);
    store_relaxed(&to->active, active_pack(active));
    store_relaxed(&to->switches, load_relaxed(&from->switches));
    held.slot = moved_slot(held.slot, service, old);
    held.generation = 1; /* as slots_number() has it */
    store_relaxed(&to->held, held_pack(held));
    store_relaxed(&to->mode, load_relaxed(&from->mode));
    shared_read(&to->discovery, &from->discovery, sizeof(to->discovery));
    if (last_switch_read(from, &last)) {
        last.from = moved_slot(last.from, service, old);
        last.to = moved_slot(last.to, service, old);
        last_switch_write(to, last, active.epoch);
    }
}

/* Others go on counting in the old one meanwhile; what they add from now on is lost. */
static void carry_endpoint(const struct endpoint_live *from, struct endpoint_live *to,
                           uint32_t generation)
{
    shared_read(to, from, sizeof(*to));
    store_relaxed(&to->generation, generation);
}

/* The lease's epoch goes on, nobody holds it, and no health word is ahead of it. */
static void carry_lease(const struct segment *from, const struct segment *to)
{
    uint64_t epoch = load_relaxed(&segment_live_head(from)->lease) >> 32;

    store_relaxed(&segment_live_head(to)->lease, epoch << 32);
    for (uint32_t i = 0; i < to->endpoint_slots; i++) {
        atomic_u64 *health = &segment_endpoint(to, i)->health;
        struct verdict verdict = verdict_unpack(load_relaxed(health));

        verdict.epoch = (uint16_t)epoch;
        store_relaxed(health, verdict_pack(verdict));
    }
}

static void carry_events(const struct segment *from, const struct segment *to)
{
    store_relaxed(segment_event_head(to), load_relaxed(segment_event_head(from)));
    for (uint64_t i = 0; i < EVENT_SLOTS; i++)
        shared_read(segment_event(to, i), segment_event(from, i), sizeof(struct event_slot));
}

void slots_carry_over(const struct publication *publication, const struct old_settings *old,
                      const struct segment *from, const struct segment *to)
{
    carry_events(from, to);
    for (uint32_t s = 0; s < publication->service_count; s++) {
        const struct publish_service *service = &publication->services[s];
        const struct service_settings *before = old_service(old, service->settings.name);
        const struct service_live *live = before ? segment_service(from, before->slot) : NULL;

        if (!live)
            continue;
        carry_service(service, old, live, segment_service(to, service->settings.slot));
        for (uint32_t e = 0; e < service->endpoint_count; e++) {
            const struct endpoint_settings *now = &service->endpoints[e].settings;
            const struct endpoint_settings *was =
                old_endpoint(old, service, &service->endpoints[e]);
            const struct endpoint_live *state = was ? segment_endpoint(from, was->slot) : NULL;

            if (state)
                carry_endpoint(state, segment_endpoint(to, now->slot), now->generation);
        }
    }
    carry_lease(from, to);
}

#include "preload/moved.h"

#include <sys/mman.h>

#include "state/bank.h"

enum { READ_TRIES = 3 };

/* endpoint_slot_now is NO_SLOT where the service has that endpoint no longer. */
struct moved_slot {
    uint32_t segment, endpoint_slot, generation; /* as tracked */
    uint32_t service_slot_now, endpoint_slot_now, generation_now;
};

/* In its service, endpoint `index` of another bank. */
static bool find_endpoint(const struct bank_view *view, const struct service_settings *service,
                          const struct bank_view *other, uint32_t index,
                          const struct endpoint_settings *before, struct endpoint_settings *out)
{
    struct endpoint_label wanted, label;

    if (!bank_label(other, index, &wanted))
        return false;
    for (uint32_t i = 0; i < service->endpoint_count; i++)
        if (bank_label(view, service->first_endpoint + i, &label) &&
            bank_endpoint(view, service->first_endpoint + i, out) &&
            bank_same_endpoint(before, &wanted, out, &label))
            return true;
    return false;
}

static void add_service(struct moved *moved, unsigned number, const struct bank_view *from,
                        const struct service_settings *before, const struct bank_view *to)
{
    struct service_settings service;
    struct endpoint_settings was, is;

    if (!bank_service_named(to, before->name, &service))
        return;
    for (uint32_t i = 0; i < before->endpoint_count; i++) {
        if (!bank_endpoint(from, before->first_endpoint + i, &was))
            continue;
        if (!find_endpoint(to, &service, from, before->first_endpoint + i, &was, &is)) {
            is.slot = NO_SLOT;
            is.generation = 0;
        }
        moved->slots[moved->count++] = (struct moved_slot){
            .segment = number,
            .endpoint_slot = was.slot,
            .generation = was.generation & 0xffff,
            .service_slot_now = service.slot,
            .endpoint_slot_now = is.slot,
            .generation_now = is.generation & 0xffff,
        };
    }
}

/* `room`: for this many endpoints more. A damaged bank may name more of them than it has. */
static void add_segment(struct moved *moved, unsigned number, const struct bank_view *from,
                        const struct bank_view *to, uint32_t room)
{
    struct service_settings before;

    for (uint32_t i = 0; i < from->service_count; i++) {
        if (!bank_service(from, i, &before) || before.endpoint_count > room)
            continue;
        room -= before.endpoint_count;
        add_service(moved, number, from, &before, to);
    }
}

/* False: the settings in force have changed meanwhile. */
static bool read_once(struct moved *moved, const struct segment *segments,
                      const struct bank_view *to, uint32_t room)
{
    struct bank_view from;

    moved->count = 0;
    for (unsigned i = 0; i < moved->segment; i++)
        if (bank_open(&segments[i], &from) && from.endpoint_count <= room - moved->count)
            add_segment(moved, i, &from, to, from.endpoint_count);
    return bank_valid(to);
}

/*
 * Room for so many. Only ever grown, and what was too small is not given back: the few bytes do no
 * harm.
 */
static bool make_room(struct moved *moved, uint32_t count)
{
    void *memory;

    if (count <= moved->room)
        return true;
    memory = mmap(NULL, count * sizeof(struct moved_slot), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    moved->slots = memory;
    moved->room = count;
    return true;
}

void moved_read(struct moved *moved, const struct segment *segments, unsigned in_force)
{
    struct bank_view from, to;
    uint32_t count = 0;

    if (moved->segment == in_force &&
        (!bank_open(&segments[in_force], &to) || moved->sequence == to.sequence))
        return;
    moved->segment = in_force;
    moved->sequence = 0;
    moved->count = 0;
    for (unsigned i = 0; i < in_force; i++)
        if (bank_open(&segments[i], &from))
            count += from.endpoint_count;
    if (!make_room(moved, count))
        return;
    for (int tries = 0; tries < READ_TRIES; tries++)
        if (bank_open(&segments[in_force], &to) && read_once(moved, segments, &to, count)) {
            moved->sequence = to.sequence;
            return;
        }
    moved->count = 0;
}

bool moved_translate(const struct moved *moved, struct tracked *tracked)
{
    if (tracked->segment == moved->segment)
        return true;
    for (uint32_t i = 0; i < moved->count; i++) {
        const struct moved_slot *slot = &moved->slots[i];

        if (slot->segment != tracked->segment || slot->endpoint_slot != tracked->endpoint_slot ||
            slot->generation != tracked->generation)
            continue;
        tracked->segment = moved->segment;
        tracked->service_slot = slot->service_slot_now;
        tracked->endpoint_slot = slot->endpoint_slot_now;
        tracked->generation = slot->generation_now;
        return true;
    }
    return false;
}

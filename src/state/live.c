#include "state/live.h"

#include "base/clock.h"
#include "policy/verdict.h"

enum { LOW16 = 0xffff };

static uint64_t slot_code(uint32_t slot)
{
    return slot >= NO_SLOT ? 0 : slot + 1;
}

static uint32_t code_slot(uint64_t code)
{
    return (code & LOW16) == 0 ? NO_SLOT : (uint32_t)(code & LOW16) - 1;
}

struct active active_unpack(uint64_t word)
{
    return (struct active){.epoch = (uint32_t)(word >> 32), .slot = code_slot(word)};
}

uint64_t active_pack(struct active active)
{
    return (uint64_t)active.epoch << 32 | slot_code(active.slot);
}

uint64_t runtime_mode_pack(enum runtime_mode mode, uint64_t until_boot_ms)
{
    return until_boot_ms << 16 | (uint64_t)mode;
}

enum runtime_mode runtime_mode_unpack(uint64_t mode_word, uint64_t *until_boot_ms)
{
    uint64_t mode = mode_word & LOW16;

    *until_boot_ms = mode_word >> 16;
    return mode <= RUNTIME_MANUAL ? (enum runtime_mode)mode : RUNTIME_NONE;
}

enum service_mode service_mode_now(uint64_t mode_word, enum service_mode configured,
                                   uint64_t now_ns)
{
    uint64_t until_ms;
    enum runtime_mode mode = runtime_mode_unpack(mode_word, &until_ms);

    if (until_ms != 0 && now_ns / NS_PER_MS >= until_ms)
        return configured;
    switch (mode) {
    case RUNTIME_AUTO:
        return MODE_STEER;
    case RUNTIME_OBSERVE:
        return MODE_OBSERVE;
    case RUNTIME_OFF:
        return MODE_OFF;
    case RUNTIME_MANUAL: /* it says which endpoint, not whether */
    case RUNTIME_NONE:
        break;
    }
    return configured;
}

uint64_t held_pack(struct held held)
{
    return (uint64_t)held.generation << 32 | slot_code(held.slot);
}

struct held held_unpack(uint64_t word)
{
    return (struct held){.slot = code_slot(word), .generation = (uint32_t)(word >> 32)};
}

struct held service_held(const struct service_live *live, uint64_t now_ns)
{
    const struct held none = {.slot = NO_SLOT};
    uint64_t until_ms, word;

    /* Acquire; partner: the release in service_hold(). */
    word = atomic_load_explicit(&live->mode, memory_order_acquire);
    if (runtime_mode_unpack(word, &until_ms) != RUNTIME_MANUAL ||
        (until_ms != 0 && now_ns / NS_PER_MS >= until_ms))
        return none;
    return held_unpack(load_relaxed(&live->held));
}

void service_hold(struct service_live *live, struct held held, uint64_t until_boot_ms)
{
    store_relaxed(&live->held, held_pack(held));
    /* Release: whoever reads the mode finds the endpoint that it means. */
    atomic_store_explicit(&live->mode, runtime_mode_pack(RUNTIME_MANUAL, until_boot_ms),
                          memory_order_release);
}

struct challenger challenger_unpack(uint64_t word)
{
    return (struct challenger){.slot = code_slot(word >> 48),
                               .since_ms = word & (UINT64_MAX >> 16)};
}

uint64_t challenger_pack(struct challenger challenger)
{
    return slot_code(challenger.slot) << 48 | (challenger.since_ms & (UINT64_MAX >> 16));
}

uint32_t live_connections(const struct endpoint_live *live)
{
    uint64_t census = load_relaxed(&live->census);

    return (uint32_t)census + ((uint32_t)load_relaxed(&live->steered) - (uint32_t)(census >> 32));
}

void live_count_connections(struct endpoint_live *live, uint32_t connections)
{
    store_relaxed(&live->census, load_relaxed(&live->steered) << 32 | connections);
}

/* Two winners may write at the same time: the later epoch stays, whoever comes last. */
static void store_newer(atomic_u64 *word, uint64_t value)
{
    uint64_t old = load_relaxed(word);

    while (old == 0 || (int16_t)(uint16_t)((value & LOW16) - (old & LOW16)) > 0)
        if (atomic_compare_exchange_weak_explicit(word, &old, value, memory_order_relaxed,
                                                  memory_order_relaxed))
            return;
}

void last_switch_write(struct service_live *live, struct last_switch what, uint32_t epoch)
{
    uint64_t low = epoch & LOW16;

    store_newer(&live->last_switch, slot_code(what.from) << 48 | slot_code(what.to) << 32 |
                                        (uint64_t)what.reason << 16 | low);
    store_newer(&live->last_switch_ms, what.wall_ms << 16 | low);
}

bool last_switch_read(const struct service_live *live, struct last_switch *out)
{
    uint64_t what = load_relaxed(&live->last_switch);
    uint64_t when = load_relaxed(&live->last_switch_ms);
    uint64_t reason = what >> 16 & LOW16;

    if (what == 0 || (what & LOW16) != (when & LOW16) || reason > CHOICE_SENTINEL)
        return false;
    out->wall_ms = when >> 16;
    out->from = code_slot(what >> 48);
    out->to = code_slot(what >> 32);
    out->reason = (enum choice_reason)reason;
    return true;
}

uint64_t last_error_pack(int error, uint64_t wall_ns)
{
    uint64_t wall_ms = wall_ns / NS_PER_MS & (UINT64_MAX >> 16);

    return (uint64_t)(uint16_t)error << 48 | wall_ms;
}

int last_error_unpack(uint64_t word, uint64_t *wall_ms)
{
    *wall_ms = word & (UINT64_MAX >> 16);
    return (int)(word >> 48);
}

const char *last_error_check_text(int error)
{
    return error >= LAST_ERROR_CHECK
               ? check_cause_text((enum check_cause)(error - LAST_ERROR_CHECK))
               : NULL;
}

void live_raise(atomic_u64 *word, uint64_t value)
{
    uint64_t old = load_relaxed(word);

    while (old < value)
        if (atomic_compare_exchange_weak_explicit(word, &old, value, memory_order_relaxed,
                                                  memory_order_relaxed))
            return;
}

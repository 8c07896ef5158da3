#include "preload/learned.h"

#include "base/hash.h"
#include "base/hints.h"
#include "base/shared.h"

enum { LEARNED_MAX = 2048, PROBES_MAX = 64 };

static atomic_u64 fingerprints[LEARNED_MAX]; /* 0 = empty; set once, by CAS */

static HOT_DATA atomic_u32 count;

uint32_t learned_count(void)
{
    /* Acquire; partner: the release below. Who sees the count sees what was learned. */
    return atomic_load_explicit(&count, memory_order_acquire);
}

static uint64_t fingerprint(uint64_t name_hash, const struct address *address)
{
    return hash_mix(name_hash ^ (address_hash_ip(address) << 1)) | 1;
}

bool learned_add(uint64_t name_hash, const struct address *address)
{
    uint64_t wanted = fingerprint(name_hash, address);

    for (unsigned i = 0; i < PROBES_MAX; i++) {
        atomic_u64 *slot = &fingerprints[(wanted + i) % LEARNED_MAX];
        uint64_t held = load_relaxed(slot);

        if (held == 0 &&
            atomic_compare_exchange_strong_explicit(slot, &held, wanted, memory_order_relaxed,
                                                    memory_order_relaxed)) {
            atomic_fetch_add_explicit(&count, 1, memory_order_release);
            return true;
        }
        if (held == wanted)
            return true;
    }
    return false;
}

bool learned_has(uint64_t name_hash, const struct address *address)
{
    uint64_t wanted = fingerprint(name_hash, address);

    for (unsigned i = 0; i < PROBES_MAX; i++) {
        uint64_t held = load_relaxed(&fingerprints[(wanted + i) % LEARNED_MAX]);

        if (held == wanted)
            return true;
        if (held == 0)
            return false;
    }
    return false;
}

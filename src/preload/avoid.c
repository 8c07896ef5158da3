#include "preload/avoid.h"

#include "base/shared.h"

/* Slots that share a place share the hint, which costs an endpoint its turn and no more. */
enum { PLACES = 256 };

static atomic_u64 until[PLACES];

void avoid_remember(uint32_t endpoint_slot, uint64_t until_ns)
{
    store_relaxed(&until[endpoint_slot % PLACES], until_ns);
}

void avoid_forget(uint32_t endpoint_slot)
{
    if (load_relaxed(&until[endpoint_slot % PLACES]) != 0)
        store_relaxed(&until[endpoint_slot % PLACES], 0);
}

bool avoid_holds(uint32_t endpoint_slot, uint64_t now_ns)
{
    return load_relaxed(&until[endpoint_slot % PLACES]) > now_ns;
}

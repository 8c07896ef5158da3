#include "policy/spread.h"

#include "base/hash.h"

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio (Knuth, volume 3, 6.4) */

bool strategy_spreads(enum strategy strategy)
{
    switch (strategy) {
    case STRATEGY_ROUND_ROBIN:
    case STRATEGY_RANDOM:
    case STRATEGY_WEIGHTED:
    case STRATEGY_LEAST_CONNECTIONS:
        return true;
    case STRATEGY_PRIORITY:
    case STRATEGY_FIRST:
    case STRATEGY_LATENCY:
    case STRATEGY_COMMAND:
        break;
    }
    return false;
}

/* The n-th of those in `set`, which holds more than n. */
static int member(uint32_t set, unsigned n)
{
    while (n-- > 0)
        set &= set - 1;
    return __builtin_ctz(set);
}

/* Its part, in thousandths of a thousandth. */
static uint64_t share(enum strategy strategy, const struct candidate *candidate)
{
    uint64_t weight = strategy == STRATEGY_WEIGHTED ? candidate->weight_milli : 1000;

    return weight * candidate->ramp;
}

/* Where `fraction`, of 2^64, of all parts laid end to end is. 24 bits of it: they fit any weights.
 */
static int pick_share(enum strategy strategy, const struct candidate candidates[], unsigned count,
                      uint32_t set, uint64_t fraction)
{
    uint64_t total = 0, at;

    for (unsigned i = 0; i < count; i++)
        if (set & 1u << i)
            total += share(strategy, &candidates[i]);
    if (total == 0) /* weights of 0 only */
        return member(set, (unsigned)(fraction >> 32) % (unsigned)__builtin_popcount(set));
    at = (fraction >> 40) * total >> 24;
    for (unsigned i = 0; i < count; i++) {
        uint64_t own = set & 1u << i ? share(strategy, &candidates[i]) : 0;

        if (at < own)
            return (int)i;
        at -= own;
    }
    return -1;
}

static bool ramps(const struct candidate candidates[], unsigned count, uint32_t set)
{
    for (unsigned i = 0; i < count; i++)
        if (set & 1u << i && candidates[i].ramp != RAMP_WHOLE)
            return true;
    return false;
}

/* Connections as if the ramp were over; +1 so that an empty one counts, too. */
static uint64_t load_of(const struct candidate *candidate)
{
    return ((uint64_t)candidate->connections + 1) * RAMP_WHOLE /
           (candidate->ramp ? candidate->ramp : 1);
}

static int pick_least(const struct candidate candidates[], unsigned count, uint32_t set,
                      uint64_t turn)
{
    uint64_t least = UINT64_MAX;
    uint32_t equals = 0;

    for (unsigned i = 0; i < count; i++) {
        uint64_t own = load_of(&candidates[i]);

        if (!(set & 1u << i) || own > least)
            continue;
        if (own < least)
            equals = 0;
        least = own;
        equals |= 1u << i;
    }
    return member(equals, (unsigned)(turn % (unsigned)__builtin_popcount(equals)));
}

int spread_pick(enum strategy strategy, const struct candidate candidates[], unsigned count,
                uint32_t set, uint64_t turn)
{
    if (set == 0)
        return -1;
    switch (strategy) {
    case STRATEGY_LEAST_CONNECTIONS:
        return pick_least(candidates, count, set, turn);
    case STRATEGY_WEIGHTED:
        return pick_share(strategy, candidates, count, set, turn * GOLDEN);
    case STRATEGY_RANDOM:
        return pick_share(strategy, candidates, count, set, hash_mix(turn * GOLDEN));
    case STRATEGY_ROUND_ROBIN:
    case STRATEGY_PRIORITY:
    case STRATEGY_FIRST:
    case STRATEGY_LATENCY:
    case STRATEGY_COMMAND:
        break;
    }
    if (ramps(candidates, count, set))
        return pick_share(strategy, candidates, count, set, turn * GOLDEN);
    return member(set, (unsigned)(turn % (unsigned)__builtin_popcount(set)));
}

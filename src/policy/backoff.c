#include "policy/backoff.h"

uint64_t backoff_ns(uint64_t first_ns, uint32_t factor_milli, unsigned round, uint64_t most_ns)
{
    uint64_t pause = first_ns;

    for (; round > 0 && pause < most_ns; round--) {
        uint64_t next;

        /* In two parts, so that only what is out of every range overflows. */
        if (__builtin_mul_overflow(pause / 1000, (uint64_t)factor_milli, &next) ||
            __builtin_add_overflow(next, pause % 1000 * factor_milli / 1000, &next))
            return most_ns;
        if (next <= pause) /* it stays like this however many rounds are left */
            break;
        pause = next;
    }
    return pause < most_ns ? pause : most_ns;
}

/* value * fraction / 2^32, without a 128-bit product */
static uint64_t part_of(uint64_t value, uint32_t fraction)
{
    return (value >> 32) * fraction + (((value & UINT32_MAX) * fraction) >> 32);
}

uint64_t jitter_ns(uint64_t ns, uint32_t share, uint32_t random)
{
    uint64_t span;

    if (share > 10000)
        share = 10000;
    span = ns / 10000 * share + ns % 10000 * share / 10000;
    if (span > UINT64_MAX - ns)
        span = UINT64_MAX - ns;
    return ns - span + part_of(2 * span, random);
}

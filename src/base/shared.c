#include "base/shared.h"

/*
 * Relaxed on both sides: the caller's sequence number, with its own acquire and release, is what
 * tells a whole copy from a torn one.
 */
void shared_read(void *to, const void *from, size_t size)
{
    const atomic_u64 *source = from;
    uint64_t *target = to;

#pragma GCC unroll 8
    for (size_t i = 0; i < size / 8; i++)
        target[i] = load_relaxed(&source[i]);
}

void shared_write(void *to, const void *from, size_t size)
{
    atomic_u64 *target = to;
    const uint64_t *source = from;

    for (size_t i = 0; i < size / 8; i++)
        store_relaxed(&target[i], source[i]);
}

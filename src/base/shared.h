/*
 * shared: how words that several processes see are read and written.
 *
 * A 32-bit and a 64-bit process may share them, so 64-bit fields are aligned by hand: i386 would
 * put a plain uint64_t at offset 4. All functions are [hook].
 */
#ifndef BASE_SHARED_H
#define BASE_SHARED_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Declares a 64-bit field: SHARED64 uint64_t x; SHARED64 atomic_u64 y; */
#define SHARED64 _Alignas(8)

typedef _Atomic(uint64_t) atomic_u64;
typedef _Atomic(uint32_t) atomic_u32;

_Static_assert(sizeof(atomic_u64) == 8 && sizeof(atomic_u32) == 4, "shared words have no lock");

static inline uint64_t load_relaxed(const atomic_u64 *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void store_relaxed(atomic_u64 *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* Only for words of which nothing else is concluded: counters. */
static inline void count_up(atomic_u64 *word)
{
    atomic_fetch_add_explicit(word, 1, memory_order_relaxed);
}

/*
 * Copies plain data into or out of memory that another process may be reading or rewriting, word by
 * word with relaxed atomics, so a torn copy is possible and a torn word is not. Whether the copy
 * was whole is for the caller to find out: his sequence number, with its own acquire and release,
 * tells a whole copy from a torn one. Both sides and `size` are multiples of 8.
 */
static inline void shared_read(void *to, const void *from, size_t size)
{
    const atomic_u64 *source = from;
    uint64_t *target = to;

    for (size_t i = 0; i < size / 8; i++)
        target[i] = load_relaxed(&source[i]);
}

static inline void shared_write(void *to, const void *from, size_t size)
{
    atomic_u64 *target = to;
    const uint64_t *source = from;

    for (size_t i = 0; i < size / 8; i++)
        store_relaxed(&target[i], source[i]);
}

#endif

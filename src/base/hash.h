/*
 * hash: small non-cryptographic hashes for tables whose content the operator wrote himself.
 * FNV-1a (Fowler, Noll, Vo) over bytes, finished with the 64-bit mix of MurmurHash3 (Appleby).
 * All are [hook] and pure: the same in every process that shares a segment.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t hash_mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ (x >> 33);
}

static inline uint64_t hash_bytes(const void *data, size_t length)
{
    const unsigned char *byte = data;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash_mix(hash);
}

#endif

/*
 * secrets_file: the bytes of the file of secrets. Only for secrets.c and secrets_write.c.
 */
#ifndef STATE_SECRETS_FILE_H
#define STATE_SECRETS_FILE_H

#include "state/secrets.h"

#define SECRETS_MAGIC "rdsecret"

struct secrets_head {
    char magic[8]; /* without the NUL */
    uint32_t entry_size;
    uint32_t count; /* of endpoints that have a secret */
};

/* All zero where a slot has no secret: the file has a hole there. */
struct secrets_record {
    uint32_t generation;
    uint32_t present; /* 1 */
    struct secret secret;
};

_Static_assert(sizeof(struct secrets_record) == 8 + 2 * SECRET_TEXT, "same in every process");

static inline uint64_t secrets_at(uint32_t slot)
{
    return sizeof(struct secrets_head) + (uint64_t)slot * sizeof(struct secrets_record);
}

#endif

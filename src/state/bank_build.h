/*
 * bank_build: the bytes of a bank, made in private memory from a publication whose slots and
 * virtual addresses are in place. For publishing only.
 */
#ifndef STATE_BANK_BUILD_H
#define STATE_BANK_BUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "state/publish.h"

struct bank_image {
    struct bank *bank; /* malloc()ed */
    size_t size;       /* a multiple of 8 */
};

/* 0 or -ENOMEM. */
int bank_build(const struct publication *publication, struct bank_image *out);
void bank_image_free(struct bank_image *image);

/* True when `bank`, of at least `size` bytes, says the same, the time of publishing apart. */
bool bank_image_equals(const struct bank_image *image, const struct bank *bank, size_t size);

#endif

/*
 * create: a new segment, made complete under a temporary name and then put into place at once.
 * For publishing only, under the lock.
 */
#ifndef STATE_CREATE_H
#define STATE_CREATE_H

#include "state/bank_build.h"
#include "state/slots.h"

struct creation {
    const struct publication *publication; /* slots numbered */
    const struct bank_image *image;
    const struct old_settings *old;
    const struct segment *carry; /* whose live state goes on in the new one, or NULL */
    bool replace;                /* take the place of what is there; else fail with -EEXIST */
};

/*
 * 0 or -errno with `*why`. What is replaced is marked superseded first: a process that looks in
 * between finds no segment for a moment, and never stays behind on the old one for good.
 */
int segment_create(const struct place *place, const struct creation *creation, const char **why);

/* Removes what publishers that died left under temporary names. */
void segment_clean_up(const struct place *place);

#endif

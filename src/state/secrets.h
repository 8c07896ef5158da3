/*
 * secrets: user names and passwords of endpoints and checks, in a 0600 file beside the segment that
 * only the prober opens. Never in the segment, an event, a log line, argv or the environment.
 *
 * The file is an array with one entry per live slot, so what belongs to a slot is found by one
 * pread(). An entry counts when its generation is the endpoint's. The publisher replaces the file
 * as a whole, before it puts the settings in force: old settings then find new passwords, and new
 * settings theirs. Its identity (struct secrets_stamp) tells the prober that a password alone has
 * changed.
 */
#ifndef STATE_SECRETS_H
#define STATE_SECRETS_H

#include <stdbool.h>
#include <stdint.h>

#include "state/layout.h"
#include "state/place.h"

/* Slots: those of the endpoints, then one per check block, then one per service for its Sentinels.
 */
enum { SECRET_TEXT = 256, SECRETS_MAX = ENDPOINT_SLOTS_MAX + CHECKS_MAX + SERVICES_MAX };

struct secret {
    char username[SECRET_TEXT]; /* "" = the default user */
    char password[SECRET_TEXT]; /* "" = none */
};

/* ---- for the prober; [hook] ---- */

/* 0 everywhere: there is no such file. */
struct secrets_stamp {
    uint64_t inode;
    uint64_t mtime_ns;
};
struct secrets_stamp secrets_stamp(const char *path);

/*
 * A descriptor for secrets_read(), to be closed. -ENOENT: no endpoint has a secret; -EPERM: the
 * file is not ours (or root's), or others may read it; -EBADMSG: not such a file; or open's errno.
 */
int secrets_open(const char *path);

/* False, with both texts empty, when that endpoint has no secret. */
bool secrets_read(int fd, uint32_t slot, uint32_t generation, struct secret *out);

/* ---- for the publisher, under its lock ---- */

struct secret_entry {
    uint32_t slot;
    uint32_t generation;
    struct secret secret;
};

/*
 * Puts exactly these in place; leaves a file that says so already alone, and removes it when there
 * are none. 0 or -errno.
 */
int secrets_write(const struct place *place, const struct secret_entry *entries, uint32_t count);

#endif

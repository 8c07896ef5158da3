/*
 * slots: what stays the same from one publication to the next: which live slot a service and an
 * endpoint have, the addresses that old look-ups still know, and the address that stands for a
 * service which resolves virtually. For publishing only.
 */
#ifndef STATE_SLOTS_H
#define STATE_SLOTS_H

#include "state/publish.h"

/* The settings in force, copied out of the segment. */
struct old_settings {
    uint32_t service_count;
    uint32_t endpoint_count;
    struct service_settings *services;
    struct endpoint_settings *endpoints;
    struct endpoint_label *labels;
};

/* 0, -ENOMEM, or -EBADMSG: nothing in there can be believed. Empty with a NULL segment. */
int old_settings_read(const struct segment *segment, struct old_settings *out);
void old_settings_free(struct old_settings *old);

/* NULL when there was none. An endpoint is the same while service, name, host and port are. */
const struct service_settings *old_service(const struct old_settings *old, const char *name);
const struct endpoint_settings *old_endpoint(const struct old_settings *old,
                                             const struct publish_service *service,
                                             const struct publish_endpoint *endpoint);

/*
 * Fills `past`: addresses that the endpoint of this name had and has no longer, newest first; and
 * where there is room those of endpoints that the service has no longer.
 */
void slots_keep_past(struct publication *publication, const struct old_settings *old);

/*
 * Picks slots in the segment in use: the old one for what was there before, else one that was never
 * used, else the one unused for longest; never one that the settings in force still use. Writes
 * nothing to the segment. 0, or -ENOSPC: it has no room.
 */
int slots_pick(struct publication *publication, const struct old_settings *old,
               const struct segment *segment);

/* Numbers the slots of a new segment from 0. */
void slots_number(struct publication *publication);

/*
 * Before picked slots are published: clears those that the settings in force do not use, and dates
 * those that they use for the last time.
 */
void slots_prepare(const struct publication *publication, const struct old_settings *old,
                   const struct segment *segment);

/* Into a new segment whose slots are numbered: the live state of what was in the old one. */
void slots_carry_over(const struct publication *publication, const struct old_settings *old,
                      const struct segment *from, const struct segment *to);

/*
 * Gives each service with resolve = virtual an address in 127.64.0.0/10: the one it had, else one
 * made from its name; never one that an endpoint, a match or another service has.
 */
void virtual_addresses_assign(struct publication *publication, const struct old_settings *old);

#endif

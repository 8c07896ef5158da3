/*
 * learned: which addresses this process was given for which service names.
 *
 * A look-up of a service's name answers an endpoint's address; a later connect() to that address
 * then means the service, however much later (JVMs and pools keep addresses for ever). A set of
 * fingerprints of (name, IP): only ever added to, so a forked child keeps what its parent knew, and
 * a reload of the settings changes nothing. When it is full, further names are not learned. All
 * [hook], lock-free; each word stands for itself, so relaxed.
 */
#ifndef PRELOAD_LEARNED_H
#define PRELOAD_LEARNED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"

/* `name_hash` as in struct match_settings. False: the set is full. */
bool learned_add(uint64_t name_hash, const struct address *address);
bool learned_has(uint64_t name_hash, const struct address *address);

/* How often something new was learned: while it is the same, so is every answer above. */
uint32_t learned_count(void);

#endif

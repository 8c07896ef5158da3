/*
 * lookup: answers for the resolver hooks. A name of a service becomes the text of an endpoint's
 * address, with which the hook calls the real resolver function: libc owns the memory and its flags
 * keep their meaning. For resolver hooks only; errno untouched.
 */
#ifndef PRELOAD_LOOKUP_H
#define PRELOAD_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"

struct lookup {
    char text[ADDRESS_IP_TEXT]; /* what the real function is to be asked for */
    struct address address;     /* the same, with the endpoint's port */
    uint64_t name_hash;
    bool is_virtual;
};

enum lookup_family { LOOKUP_ANY, LOOKUP_V4, LOOKUP_V6, LOOKUP_V6_OR_MAPPED };

/*
 * False: the name is not ours for this port (0: not said), or no endpoint has an address of that
 * family: make the call as it was. `may_wait`: for checks (await.h), as look-ups may.
 */
bool lookup_name(const char *name, uint16_t port, enum lookup_family family, bool may_wait,
                 struct lookup *out);

/* The answer has been given: connections to it now mean the name. */
void lookup_given(const struct lookup *lookup);

#endif

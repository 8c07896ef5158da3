/*
 * resolve: the addresses of endpoints, looked up all at once so that a slow name delays only
 * itself.
 */
#ifndef SETTINGS_RESOLVE_H
#define SETTINGS_RESOLVE_H

#include "settings/settings.h"

struct lookup {
    const char *host; /* a name, or an IP literal */
    uint16_t port;    /* given to each address */
    int error;        /* EAI_*; 0 = found */
    size_t count;     /* without repetition, in the order of their bytes */
    struct address addresses[ADDRESSES_MAX];
};

/*
 * Looks up all of them, in a few threads. What is not known after `patience_ns` is left as
 * EAI_AGAIN, and its thread to itself; 0: waits for all.
 */
void resolve(struct lookup *lookups, size_t count, uint64_t patience_ns);

#endif

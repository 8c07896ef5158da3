/*
 * resolve: the addresses of endpoints, and the hosts that offer a service, looked up all at once so
 * that a slow name delays only itself.
 */
#ifndef SETTINGS_RESOLVE_H
#define SETTINGS_RESOLVE_H

#include "settings/settings.h"

/* What SRV says of a host. */
struct offer {
    char host[ADDRESS_HOST_TEXT];
    uint32_t weight_milli; /* the heaviest of a tier has 1000 */
    uint8_t tier;          /* by priority: 0 is the best */
    size_t count;          /* never 0 */
    struct address addresses[ADDRESSES_MAX];
};

struct lookup {
    const char *host; /* a name, or an IP literal */
    uint16_t port;    /* given to each address; of SRV, which brings its own, 0 */
    bool srv;
    bool known;                              /* answered before: it is not looked up */
    int error;                               /* EAI_*; 0 = found */
    const char *why;                         /* static text that says more than `error`, or NULL */
    size_t count;                            /* of addresses; SRV: of offers */
    struct address addresses[ENDPOINTS_MAX]; /* without repetition, in the order of their bytes */
    struct offer *offers; /* SRV: the best first, ENDPOINTS_MAX at most; else NULL. For free() */
};

/* Why it failed, for people. */
const char *lookup_why(const struct lookup *lookup);

/* Who can tell more than the C library. Any thread may ask it. */
struct name_driver {
    /* False: it leaves that to the C library. */
    bool (*ask)(struct lookup *lookup, uint64_t patience_ns);
    /* What it has been told already, at once. False: nothing. The publisher's thread alone. */
    bool (*known)(struct lookup *lookup);
};

/* NULL: the C library alone, and no SRV. */
extern const struct name_driver *name_driver;

/*
 * Looks up all of them that are not known, in a few threads. What is not found after `patience_ns`
 * is left as EAI_AGAIN, and its thread to itself; 0: waits for all.
 */
void resolve(struct lookup *lookups, size_t count, uint64_t patience_ns);

#endif

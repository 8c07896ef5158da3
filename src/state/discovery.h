/*
 * discovery: what was found out about a service's servers, in the live part of the segment. Written
 * by the holder of the lease (or by a publisher that finds nothing there yet), read by publishers
 * and by `redisteer status`. Survives publishers and probers. All functions are [hook].
 *
 * The words of one service are written under a sequence lock; what is read counts when it was whole
 * and of the very discover block that is asked for.
 */
#ifndef STATE_DISCOVERY_H
#define STATE_DISCOVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/verdict.h"
#include "state/bank.h"
#include "state/layout.h"

struct found {
    uint32_t count;                        /* 0: nothing is known yet */
    struct address servers[ENDPOINTS_MAX]; /* in the order in which they were found */
    struct address master;                 /* that a quorum agrees on; port 0 = none yet */
    uint64_t agreed_ms;                    /* CLOCK_REALTIME when a quorum was last heard */
};

/* What tells a discover block from all others; everything but the secret is filled in. */
uint64_t discovery_identity(const struct discover_settings *settings);

/* False: nothing was found for that block, or it is being written. */
bool discovery_read(const struct discovery_live *live, uint64_t identity, struct found *out);
/* Forgets what was found for another block. */
void discovery_write(struct discovery_live *live, uint64_t identity, const struct found *found);

/* What one Sentinel answered, or that it did not. Times are CLOCK_REALTIME ms. */
void discovery_answered(struct source_live *live, const struct address *master, uint64_t now_ms);
void discovery_failed(struct source_live *live, enum check_cause cause, uint64_t now_ms);

struct source {
    uint64_t answered_ms; /* 0 = never */
    uint64_t next_ms;     /* 0 = not known */
    uint64_t failed_ms;   /* 0 = never */
    enum check_cause cause;
    bool troubled; /* it has not answered since it failed */
    struct address master;
};
void discovery_source(const struct source_live *live, struct source *out);

/* True when the settings in force have not all the servers that were found, or others. */
bool discovery_differs(const struct segment *segment);

/* What came of a name that the monitor asks name servers for. Times as above. */
struct name_found {
    uint64_t answered_ms, next_ms, failed_ms;
    int cause; /* enum dns_cause of the last failure */
    bool troubled;
};
uint64_t name_key(const char *name);
/* False: it was not asked for yet. */
bool discovery_name(const struct discovery_live *live, const char *name, struct name_found *out);

/* The source of an endpoint in its label. */
extern const char discovery_by_sentinel[], discovery_by_dns[], discovery_by_srv[];

/* Of a service by its name. NULL: there is none in the settings in force, or they are changing. */
struct discovery_live *discovery_of(const struct segment *segment, const char *service);

#endif

/*
 * discovery: what was found out about a service's servers, in the live part of the segment. Written
 * by the holder of the lease (or by a publisher that finds nothing there yet), read by publishers
 * and by `redisteer status`. Survives publishers and probers. All functions are [hook].
 *
 * The words of one service carry a seal: a hash of them all and of the discover block that they
 * were found for. What is read counts when the seal is that of what was read. So nothing needs an
 * order or a lock: a writer that is stopped, killed or overtaken half-way, and two that write at
 * once, leave words that nobody believes until the next answer of a Sentinel writes them anew.
 */
#ifndef STATE_DISCOVERY_H
#define STATE_DISCOVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/verdict.h"
#include "state/bank.h"
#include "state/layout.h"
#include "state/secrets.h"

struct found {
    uint32_t count;                        /* 0: nothing is known yet */
    struct address servers[ENDPOINTS_MAX]; /* in the order in which they were found */
    struct address master;                 /* that a quorum agrees on; port 0 = none yet */
    uint64_t agreed_ms;                    /* CLOCK_REALTIME when a quorum was last heard */
};

/*
 * What tells a discover block from all others: the master's name, and the Sentinels as the file has
 * them, for which `sentinels` need only their ports. What their names resolve to plays no part.
 */
uint64_t discovery_identity(const struct discover_settings *settings);

/* False, and `out` is empty: nothing was found for that block, or it is being written. */
bool discovery_read(const struct discovery_live *live, uint64_t identity, struct found *out);
/* In the place of what was found before, for this block or another. */
void discovery_write(struct discovery_live *live, uint64_t identity, const struct found *found);

/* What is to be asked before anybody relies on the answer, and that answer. */
struct discovery_question {
    const struct discover_settings *settings;
    const struct secret *secret; /* for its Sentinels */
    struct found found;          /* count 0: no quorum has answered */
};

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

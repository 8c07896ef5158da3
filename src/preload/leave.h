/*
 * leave: which endpoints this host's connections have to leave now, and how.
 *
 *     down, drained, gone from the settings
 *                         at once, whatever they are doing            (failover.close_connections)
 *     left by failback    as failback.existing says, over failback.spread
 *     old                 older than connect.max_age, when quiet
 *
 * A snapshot, made by the guard whenever it wakes up.
 */
#ifndef PRELOAD_LEAVE_H
#define PRELOAD_LEAVE_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/rules.h"
#include "preload/track.h"
#include "state/segment.h"

enum leave_how { LEAVE_NOT, LEAVE_NOW, LEAVE_WHEN_QUIET, LEAVE_CLOSE };

struct leave_entry {
    uint32_t endpoint_slot; /* NO_SLOT: of any endpoint that the service has no longer */
    uint32_t generation;    /* low 16 bits, as tracked */
    uint32_t service_slot;
    uint32_t service;   /* index in the settings */
    uint32_t endpoint;  /* index in the service */
    enum leave_how how; /* LEAVE_NOT: only watched */
    uint64_t since_ns;  /* CLOCK_BOOTTIME of the switch, for the spread */
    uint64_t spread_ns;
    struct connect_rules connect;
    uint64_t answered_ns; /* CLOCK_BOOTTIME of the last check, where that passed; else 0 */
};

struct leave {
    const struct segment *segment;
    uint64_t read_ns; /* CLOCK_BOOTTIME; 0: the snapshot is not whole */
    uint32_t limit;
    uint32_t count;
    bool any;                     /* some entry is not LEAVE_NOT, or has a max_age */
    struct leave_entry entries[]; /* limit */
};

/* Memory for a snapshot of as many endpoints and services, from mmap; NULL: none to be had. */
struct leave *leave_new(uint32_t endpoints);

/* Fills the snapshot. False: the settings were changing; try again. */
bool leave_read(struct leave *leave, const struct segment *segment, uint64_t now_ns);

/* What is to be done about a tracked socket's endpoint; NULL: nothing is known of it. */
const struct leave_entry *leave_find(const struct leave *leave, const struct tracked *tracked);

/* When this socket is to be left by failback: the switch, plus its share of the spread. */
uint64_t leave_due_ns(const struct leave_entry *entry, const struct tracked *tracked);

#endif

/*
 * targets: what is to be checked. One target, with one probe, for each distinct combination of
 * addresses, check, credentials and health rules; what it finds goes to every endpoint that it
 * stands for (its members). An endpoint with several checks, of health.probe and failback.probe, is
 * a member of several targets. One whose checks are not all within this process's means (probe_can)
 * is a member of none; and a thread has no targets at all where only the program is to check.
 *
 * When the settings change the set is built anew, and targets that stay keep their connection and
 * their checks under way. The memory is this module's own, from mmap(): the loop runs in strangers'
 * processes. [hook], save that it maps memory and opens the file of secrets.
 */
#ifndef HEALTH_TARGETS_H
#define HEALTH_TARGETS_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "health/schedule.h"
#include "policy/expression.h"
#include "probe/probe.h"
#include "state/bank.h"
#include "state/lease.h"
#include "state/secrets.h"

/* An endpoint that a target stands for; one of `list.count` neighbours, one for each check. */
struct member {
    uint32_t service; /* index in the bank */
    uint32_t index;   /* of the endpoint, in its service */
    uint32_t next;    /* index of the next member + 1, 0 = end */
    uint32_t first;   /* index of the first neighbour */
    bool gate;        /* of failback.probe, else of health.probe */
    bool is_to_be_replica;
    bool warned; /* in the first neighbour: it is active, though a replica, and that was said */
    struct checklist list;
    struct target *target;
    const struct endpoint_live *live;
};

struct target {
    struct probe_target what;
    uint64_t hash; /* of `what` */
    struct schedule schedule;
    struct verdict verdict; /* of this check alone */
    uint64_t decided_ns;    /* its last result */
    bool passed;            /* that was */
    uint32_t first_member;  /* index + 1; 0: nobody wants it any more */
    bool in_use;
    uint32_t polled;          /* place in `polls` + 1; 0: it had no descriptor */
    bool full;                /* as many checks under way as a probe can have */
    enum check_cause trouble; /* of the credentials, already told */
    struct probe *probe;
};

struct targets {
    const struct segment *segment;
    const char *secrets_path;
    struct secrets_stamp secrets;
    enum lease_class class; /* whose checks they are */
    bool built;             /* of these settings: */
    uint64_t sequence;
    uint32_t count; /* of `list`, some of it not in use */
    uint32_t limit; /* targets, and members, that there can be */
    struct target **list;
    struct pollfd *polls; /* as many, for the loop */
    uint32_t member_count;
    struct member *members;
    void *block; /* the three arrays */
};

/* 0 or -ENOMEM. Empty until targets_build(). */
int targets_open(struct targets *targets, const struct segment *segment, const char *secrets_path,
                 enum lease_class class);
void targets_close(struct targets *targets);

/* True when settings or secrets are others than those it was built from. */
bool targets_outdated(const struct targets *targets, bool look_at_secrets);

/* What the checks of the member's endpoint come to, this one among them. */
enum health member_health(const struct targets *targets, const struct member *member,
                          uint64_t now_ns);
/* The same for failback.probe, of which the last results count; `*cause`: of one that failed. */
bool member_gate(const struct targets *targets, const struct member *member,
                 enum check_cause *cause, uint64_t now_ns);

/* 0; -EAGAIN: the settings are changing at this moment, so try again; -ENOMEM. */
int targets_build(struct targets *targets, uint64_t now_ns);

#endif

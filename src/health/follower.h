/*
 * follower: keeps up with the Sentinels of one service. Part of follow: see there.
 */
#ifndef HEALTH_FOLLOWER_H
#define HEALTH_FOLLOWER_H

#include <poll.h>

#include "policy/agree.h"
#include "probe/sentinel.h"
#include "state/discovery.h"

struct watch {
    struct sentinel asking, listening;
    uint64_t ask_due_ns;                /* the next time; UINT64_MAX while it is being asked */
    uint64_t ask_deadline_ns;           /* UINT64_MAX: it is not being asked */
    uint64_t listen_due_ns;             /* UINT64_MAX while the connection is there or being made */
    uint64_t listen_deadline_ns;        /* UINT64_MAX: nothing is waited for */
    unsigned ask_polled, listen_polled; /* place among the polls + 1; 0: none */
    enum check_cause told;              /* the trouble that an event told of */
    uint64_t calm_ns; /* CLOCK_BOOTTIME of an answer that found the master well; 0: of none */
};

struct follower {
    struct follower *next;
    bool wanted;
    bool heard; /* what it says is news; */
    bool new_master;
    bool new_servers;
    uint32_t slot;
    uint64_t doubt_until_ns;
    char service[NAME_TEXT];
    const struct segment *segment; /* where events go; NULL: nowhere */
    struct service_live *live;
    struct discover_settings settings;
    struct found found;
    struct voice voices[SENTINELS_MAX];
    struct watch watches[SENTINELS_MAX];
};

/* Filled in but for its Sentinels, which are asked at once. */
void follower_begin(struct follower *follower, const char *username, const char *password,
                    uint64_t now_ns);
void follower_close(struct follower *follower);

/* When follower_run() is to be called at the latest. */
uint64_t follower_due_ns(const struct follower *follower);

/* Adds what to poll for to `polls`, which has `*count` of `room` already. */
void follower_polls(struct follower *follower, struct pollfd *polls, unsigned *count,
                    unsigned room);

/* As follow_run(). Events go to `segment`. True: there are new servers. */
bool follower_run(struct follower *follower, const struct segment *segment,
                  const struct pollfd *polls, uint64_t late_ns, uint64_t now_ns);

/* All its Sentinels are to be asked now. */
void follower_ask(struct follower *follower, uint64_t now_ns);

#endif

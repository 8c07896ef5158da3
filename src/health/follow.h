/*
 * follow: keeps up with the Sentinels of every service that has some, for whoever holds the lease.
 *
 * All Sentinels of a service are asked at once, and each is listened to for +switch-master; one
 * that does not answer within 300 ms has no voice until it does. What a quorum says is written into
 * the segment (state/discovery.h): the master, on which endpoints' standing rests, and the servers,
 * which a publisher makes endpoints of. Silence of all of them changes nothing.
 *
 * Only Redis's protocol is spoken, so a program's thread can do it. The memory is this module's
 * own, from mmap(). Not for hooks.
 */
#ifndef HEALTH_FOLLOW_H
#define HEALTH_FOLLOW_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "state/discovery.h"

#define FOLLOW_TIMEOUT_NS (300 * NS_PER_MS)

struct follower; /* one service's */

struct follow {
    const struct segment *segment;
    const char *secrets_path;
    struct follower *first;
    bool new_servers; /* to be published; cleared by whoever sees to it */
};

void follow_open(struct follow *follow, const struct segment *segment, const char *secrets_path);
void follow_close(struct follow *follow);

/* Follows what the settings in force say. 0; -EAGAIN: they are changing; -ENOMEM. */
int follow_build(struct follow *follow, uint64_t now_ns);

/* When follow_run() is to be called at the latest; UINT64_MAX: never. */
uint64_t follow_due_ns(const struct follow *follow);

/* Fills in what to poll for; how many, at most `room`. */
unsigned follow_polls(struct follow *follow, struct pollfd *polls, unsigned room);

/* After poll() (`polls` as they were filled in, or NULL): `late_ns` after it was to be called. */
void follow_run(struct follow *follow, const struct pollfd *polls, uint64_t late_ns,
                uint64_t now_ns);

/* What is known for the service in live slot `slot`; NULL: it has no Sentinels. */
const struct found *follow_found(const struct follow *follow, uint32_t slot);

/*
 * Since when (CLOCK_BOOTTIME) all its Sentinels have been heard to find the master well, and to
 * know of no failover that is under way; 0: not all of them do.
 */
uint64_t follow_calm_ns(const struct follow *follow, uint32_t slot);

/* A master has come back: are its Sentinels about to choose another one? */
void follow_ask(struct follow *follow, uint32_t slot, uint64_t now_ns);

/*
 * A service whose Sentinels have said something since this was called last: its slot, else NO_SLOT;
 * and whether they name another master.
 */
uint32_t follow_news(struct follow *follow, bool *new_master);

/*
 * For a publisher, before anybody relies on the answers: asks all Sentinels of at most SERVICES_MAX
 * services, for `patience_ns` at most; fills in what was found.
 */
void follow_once(struct discovery_question *questions, size_t count, uint64_t patience_ns);

#endif

/*
 * standing: whether a server that says it is the master may be taken for it. Pure and [hook].
 *
 * ROLE alone is not enough: a master that was frozen or killed comes back as a master and takes
 * writes for ten seconds, until the Sentinels demote it, and these writes are lost. So what a
 * server was before counts: one that was seen to become a master while it ran has been promoted;
 * one that was gone and is a master again is not trusted for STANDING_PROOF_NS, or until all
 * Sentinels, asked since, find it well and know of no failover under way. Where Sentinels are
 * asked, the one that a quorum names is the master, and another one only when it was seen to be
 * promoted and the one they name is not well: they speak later than the promotion takes place.
 */
#ifndef POLICY_STANDING_H
#define POLICY_STANDING_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/choose.h"
#include "policy/verdict.h"

#define STANDING_PROOF_NS UINT64_C(15000000000)

enum past {
    PAST_UNKNOWN,
    PAST_REPLICA,
    PAST_MASTER,
    PAST_PROMOTED, /* a master that was a replica while it was watched */
    PAST_GONE,     /* it was there, and did not answer any more */
    PAST_RETURNED, /* it was gone, and is a master */
};

/* One word of an endpoint's live state. */
struct standing {
    uint64_t since_ms; /* CLOCK_BOOTTIME when `past` became that */
    enum bar bar;
    enum past past;
};
struct standing standing_unpack(uint64_t word);
uint64_t standing_pack(struct standing standing);

enum seen { SEEN_MASTER, SEEN_REPLICA, SEEN_GONE };

/*
 * Whether a failed check says that the server is gone: it could not be reached, did not answer, or
 * hung up. LOADING counts: a server that loads has been started anew. So does BUSY, which Sentinels
 * take for no answer and may be replacing the master for. Any other answer is one of a server that
 * is there.
 */
bool standing_is_gone(enum check_cause cause);

/* After a check that told. */
struct standing standing_after(struct standing before, enum seen seen, uint64_t now_ns);

/* A quorum names a master that it did not name before: earlier promotions are history. */
struct standing standing_superseded(struct standing before);

struct agreement {
    bool sentinels;   /* the service has some */
    bool known;       /* a quorum has named a master, */
    bool is_this;     /* and it is this endpoint */
    bool other_well;  /* and it is another one, which is well as a master */
    uint64_t calm_ns; /* since when all Sentinels find it well (CLOCK_BOOTTIME); 0: they do not */
};

/* One that is vouched for by its Sentinels has not to prove itself any longer. */
struct standing standing_vouched(struct standing before, struct agreement agreement);

/* What keeps it from being used as a master. */
enum bar standing_bar(struct standing standing, struct agreement agreement, uint64_t now_ns);

/* It may be taken for the master that a quorum names, when its checks pass. */
bool standing_is_trusted(struct standing standing);

#endif

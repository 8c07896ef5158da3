/*
 * journey: one steered call on its way through pick.c (where to), try.c (going there) and steer.c
 * (the whole). Internal to these.
 */
#ifndef PRELOAD_JOURNEY_H
#define PRELOAD_JOURNEY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "preload/attempt.h"
#include "preload/socket.h"
#include "state/decision.h"

/* Small, because each connection clears it. */
struct journey {
    int fd;
    int family; /* of the program's address: the socket takes no other */
    const struct attempt *attempt;
    const struct service_view *service;
    uint64_t cookie;
    uint64_t now_ns; /* when this call began, or its last attempt ended: few looks at the clock */
    ssize_t result;
    int error;
    int nonblocking; /* -1: not asked yet */
    struct socket_options options;
    bool ours;      /* books may be kept */
    bool watched;   /* by the guard, which bounds the attempt and sets the socket's options */
    bool no_native; /* a v4-mapped attempt was made: Linux lets no native IPv6 one succeed now */
    bool asked_v6_only, v6_only;
    bool hung_up;   /* the endpoint took the connection and dropped it at once */
    bool lost;      /* the descriptor is not this socket any more */
    uint16_t tried; /* endpoints that failed in this call, or cannot be reached: a bit each */
    uint16_t out_of_reach; /* endpoints that this socket's family cannot reach */
    uint8_t attempts;      /* endpoints tried so far, with repetition */
    uint8_t calls;         /* real calls made so far */
    uint8_t rounds;        /* pauses made */
};
_Static_assert(ENDPOINTS_MAX <= 16, "an endpoint has its bit");
_Static_assert(ATTEMPTS_MAX *ADDRESSES_MAX <= UINT8_MAX, "the calls of a journey fit");

/* ---- pick.c ---- */

struct pick {
    int endpoint; /* -1: none */
    bool trial;   /* a half-open breaker's: `token` is to be given back */
    unsigned token;
};

/*
 * The first endpoint of this call: a trial that is due, else the active one, else what is left.
 * `out` and not a result: one that small would be put together in memory and read back as a whole,
 * before it is there.
 */
void pick_first(struct journey *journey, struct pick *out);

/*
 * The endpoint after a failure. With retry.wait > 0 all of them begin again after a pause, when the
 * socket is blocking; a signal ends that with EINTR in journey->error and no endpoint.
 */
void pick_next(struct journey *journey, struct pick *out);

/* The next endpoint in order of preference that is not in `tried`, or -1. */
int pick_other(struct journey *journey, uint32_t tried, bool desperate);

/* Some endpoint must not be connected to, whatever else there is. */
bool pick_is_barred(const struct journey *journey);

/*
 * when_all_down = wait on a blocking socket: until an endpoint is eligible, a trial is due or the
 * time is up. False: a signal came.
 */
bool pick_await(struct journey *journey);

/*
 * connect.rate: waits for this call's place in the host's queue for the endpoint, when the socket
 * is blocking; another endpoint is picked when that one is out by then. False, and journey->error:
 * a signal came, or the socket is gone.
 */
bool pick_in_turn(struct journey *journey, struct pick *pick);

/* There is such a queue. */
static inline bool pick_queues(const struct journey *journey)
{
    return journey->service->settings.connect.rate != 0 && journey->service->segment->writable;
}

/* True: the socket is blocking, so that a pause harms nobody. */
bool pick_may_wait(struct journey *journey);

/*
 * The endpoint's addresses that this socket can reach, native IPv6 first on an IPv6 socket, because
 * after one v4-mapped attempt Linux lets no native one succeed. Returns how many. `out` is aligned
 * to 8 (SHARED64).
 */
unsigned pick_addresses(struct journey *journey, unsigned index,
                        struct address out[static ADDRESSES_MAX]);

/* ---- try.c ---- */

enum progress {
    CONNECTED,
    UNDECIDED, /* under way: the program will learn the outcome */
    FAILED,
    OUT_OF_REACH, /* no real call was made */
};

/*
 * False, and journey->lost: another thread closed the descriptor while this call was blocked in it,
 * and its number may be someone else's socket by now. Nothing may be done to it any more.
 */
bool try_is_still_ours(struct journey *journey);

/* Tries endpoint `index` and records what came of it; leaves result and error in the journey. */
enum progress try_endpoint(struct journey *journey, unsigned index);

/* After FAILED: may another endpoint be worth a try (retry.errors)? */
bool try_worth_another(const struct journey *journey);

#endif

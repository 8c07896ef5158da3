/*
 * track: which of this process's sockets were steered, and where to.
 *
 * A fixed table, indexed by descriptor number. Nothing tells us of close(): a slot speaks of a
 * socket only while the descriptor still has the cookie that the slot holds (SO_COOKIE: the same
 * over dup(), new for each socket). A descriptor number that is used again simply takes the slot
 * over.
 *
 * One socket may make several attempts, to one endpoint after another, under one cookie. They are
 * numbered: the guard claims the attempt that it has judged, and the next one begins when the guard
 * has let go, so that what ends one never hits another.
 *
 * Each slot is a few atomic words. Its state word says whose they are: by CAS it goes to WRITING
 * with the next attempt's number and from there to CONNECTING (release), and a reader believes the
 * others when the number, read before (acquire) and after them, is the same. Who moves it by CAS
 * from CONNECTING to SETTLED records the outcome, the other does not. All [hook].
 */
#ifndef PRELOAD_TRACK_H
#define PRELOAD_TRACK_H

#include <stdbool.h>
#include <stdint.h>

enum { TRACKED_MAX = 16384 };

struct tracked {
    uint64_t cookie;
    uint64_t started_ns;
    uint16_t service_slot;
    uint16_t endpoint_slot;
    uint16_t generation; /* of the endpoint slot, low 16 bits */
    uint8_t segment;     /* number of the one that the slots are of: struct segment */
    uint32_t attempt;    /* filled in by track_find() */
    bool connecting;     /* its outcome has not been recorded */
    bool shut;           /* the guard has shut it */
    bool equipped;       /* it has its keepalive and user timeout */
};

/* The cookie of the socket behind `fd`, 0 when the kernel gives none. One system call. */
uint64_t socket_cookie(int fd);

/* True without any system call: `fd` is certainly not one of ours. */
bool track_absent(int fd);

/*
 * A steered attempt begins. cookie 0 is not tracked. False: the guard is about to end an earlier
 * attempt of this socket, and has not come to it within some milliseconds; there must be no other.
 *
 * `*follows` is set when the socket that had number `fd` before was connected to the same endpoint,
 * and for 250 ms at least: `what` takes the place of a connection that was meant to last. A hint.
 */
bool track_begin(int fd, const struct tracked *what, bool *follows);

/* False: nothing is known of `fd`, whose cookie is `cookie`. One load; true may be too much said.
 */
bool track_may_know(int fd, uint64_t cookie);

/* What is known of it; false: nothing. */
bool track_find(int fd, uint64_t cookie, struct tracked *out);

/* True for exactly one caller per track_begin(): the one that may record the outcome. */
bool track_settle(int fd, uint64_t cookie);

/* For the guard: what stands at `place`, below track_places(). False: nothing. */
unsigned track_places(void);
bool track_at(unsigned place, int *fd, struct tracked *out);

/*
 * For the guard. True: the attempt is still the one that `what` tells of, is marked as shut, and no
 * other begins until track_release().
 */
bool track_claim(int fd, const struct tracked *what);
void track_release(int fd, const struct tracked *what);
/* True: the guard has shut the socket, and what the kernel says of it since is not the server's. */
bool track_was_shut(int fd, uint64_t cookie);

/* By the guard, once it has set the socket's options. */
void track_mark_equipped(int fd, const struct tracked *what);

/* The socket is nobody's business any more; a newer one under this number stays. */
void track_forget(int fd, uint64_t cookie);

#endif

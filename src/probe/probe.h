/*
 * probe: one endpoint under check: its connection and the checks in flight.
 *
 *     probe_start()   sends one check (connecting first where there is no connection)
 *     probe_events()  what to poll() for
 *     probe_handle()  reads what came; finished checks are taken with probe_take()
 *     probe_expire()  after everything has been read: checks whose time is up have failed
 *
 * Non-blocking, no libc lock, no allocation beyond its own bounded memory: it runs in a thread of a
 * stranger's process. Kinds: tcp (a connection is accepted), ping (PING), echo (ECHO of a random
 * token), role (ROLE), command, key (GET) and write (SET, GET, DEL of a random key). One connection
 * is kept for all but tcp; answers come in order, so a check may be sent
 * while the one before is unanswered. Its end is no verdict: the check is sent again, once, on a
 * new connection. An answer after the deadline is read and ignored; a connection is given up when
 * an answer is three times as late as it may be, or it is not even made when its first check's time
 * is up. One thread of a process at a time may use probes. All sends use MSG_NOSIGNAL. EMFILE,
 * ENOMEM, EADDRNOTAVAIL… of this host make a check void.
 */
#ifndef PROBE_PROBE_H
#define PROBE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "policy/verdict.h"
#include "state/layout.h"

enum { PROBES_IN_FLIGHT = 16, REPLY_MAX = 64 * 1024, CREDENTIAL_TEXT = 256 };

struct probe_target {
    struct address addresses[ADDRESSES_MAX]; /* tried in order when one refuses at once */
    uint32_t address_count;
    enum probe_kind kind;
    enum role_wanted role;       /* of a role check */
    struct check_settings check; /* of a check block; zero for the others */
    uint32_t tls;                /* 1: Redis over TLS, as follows */
    struct tls_settings tls_settings;
    char service[NAME_TEXT]; /* exec: what it is about */
    char endpoint[NAME_TEXT];
    char host[ADDRESS_HOST_TEXT];   /* exec and lag: as configured */
    char username[CREDENTIAL_TEXT]; /* "" = the default user */
    char password[CREDENTIAL_TEXT]; /* "" = no AUTH */
};

enum probe_outcome { PROBE_PASSED, PROBE_FAILED, PROBE_VOID };

struct probe_result {
    enum probe_outcome outcome;
    enum check_cause cause;
    int error;              /* errno where there was one */
    enum role_wanted role;  /* what ROLE said; ROLE_ANY: nothing was asked or understood */
    enum role_wanted aside; /* the same of a question beside the checks, answered before this */
    uint64_t started_ns;
    uint64_t rtt_ns; /* of a passed check: from its sending (tcp: its start) to the answer */
};

/* False: only the program `redisteer` can do this, and this is not it. */
bool probe_can(const struct probe_target *target);

struct probe; /* probe_size() bytes, from the caller */
size_t probe_size(void);

void probe_init(struct probe *probe, const struct probe_target *target);
void probe_close(struct probe *probe);

/* One more check, to be answered before `deadline_ns`. False: PROBES_IN_FLIGHT are under way. */
bool probe_start(struct probe *probe, uint64_t now_ns, uint64_t deadline_ns);

int probe_fd(const struct probe *probe);       /* -1: none, or no longer: its server ended it */
short probe_events(const struct probe *probe); /* POLLIN, POLLOUT */
void probe_handle(struct probe *probe, short revents, uint64_t now_ns);
void probe_expire(struct probe *probe, uint64_t now_ns);
/* Voids all checks in flight: the prober itself was not running. */
void probe_void(struct probe *probe);
/* Earliest deadline in flight; UINT64_MAX: none. */
uint64_t probe_deadline_ns(const struct probe *probe);

/* Finished checks, in order of their start. False: none left. */
bool probe_take(struct probe *probe, struct probe_result *out);

#endif

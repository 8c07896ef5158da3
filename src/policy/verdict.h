/*
 * verdict: from single checks to a verdict on an endpoint's health. Pure and [hook].
 *
 * `fall` failed checks in a row make it UNHEALTHY, `rise` passed ones HEALTHY; from UNKNOWN the
 * first check decides, and so does one that says that the server has become what it shall not be,
 * or has ceased to be that. A check that is void (the prober was not running, this host's own
 * trouble) never comes here.
 */
#ifndef POLICY_VERDICT_H
#define POLICY_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/choose.h"
#include "policy/rules.h"

/* Why a check failed, or what was odd about one that passed. */
enum check_cause {
    CHECK_FINE,
    CHECK_REFUSED,
    CHECK_TIMEOUT,
    CHECK_RESET,
    CHECK_UNREACHABLE,
    CHECK_CLOSED, /* the server hung up before it answered */
    CHECK_LOADING,
    CHECK_MASTERDOWN,
    CHECK_CLUSTERDOWN,
    CHECK_BUSY,
    CHECK_MAX_CLIENTS,
    CHECK_ERROR_REPLY, /* any other error reply */
    CHECK_WRONG_REPLY, /* RESP, but not the answer to what was asked */
    CHECK_NOT_REDIS,   /* not RESP */
    CHECK_HTTP,        /* not RESP: looks like HTTP */
    CHECK_TLS,         /* not RESP: looks like TLS */
    CHECK_TOO_LONG,    /* a reply over 64 KiB */
    CHECK_NOAUTH,      /* passed: it wants a password and none is configured */
    CHECK_WRONGPASS,   /* passed: the password is wrong */
    CHECK_NOPERM,      /* passed: the user may not do this */
    CHECK_NO_ADDRESS,  /* failed: its name has no address */
    /* What they mean is what check_cause_text() says. */
    CHECK_MISCONF,
    CHECK_READONLY,
    CHECK_OOM,
    CHECK_NOREPLICAS,
    CHECK_IS_REPLICA,
    CHECK_IS_MASTER,
    CHECK_IS_SENTINEL,
    CHECK_LINK_DOWN,
    CHECK_UNEXPECTED,
    CHECK_NO_KEY,
    CHECK_OTHER_VALUE,
    CHECK_NOT_STORED,
    CHECK_NEEDS_PROGRAM,
    CHECK_TLS_EXPIRED,
    CHECK_TLS_NOT_YET,
    CHECK_TLS_NAME,
    CHECK_TLS_UNKNOWN_CA,
    CHECK_TLS_REVOKED,
    CHECK_TLS_CERTIFICATE,
    CHECK_TLS_CLIENT_MISSING,
    CHECK_TLS_CLIENT_REFUSED,
    CHECK_TLS_PLAIN,
    CHECK_TLS_HANDSHAKE,
    CHECK_TLS_TIMEOUT,
    CHECK_TLS_VERSION,
    CHECK_TLS_CA_FILE,
    CHECK_TLS_CERT_FILE,
    CHECK_EXEC_UNHEALTHY,
    CHECK_EXEC_UNKNOWN,
    CHECK_EXEC_SIGNAL,
    CHECK_EXEC_TIMEOUT,
    CHECK_EXEC_START,
    CHECK_EXEC_OUTPUT,
    CHECK_HTTP_STATUS,
    CHECK_HTTP_BODY,
    CHECK_HTTP_LONG,
    CHECK_HTTP_RESOLVE,
    CHECK_HTTP_PROTOCOL,
    CHECK_HTTP_AUTH,
    CHECK_HTTP_REFUSED,
    CHECK_HTTP_TIMEOUT,
    CHECK_HTTP_CONNECTION,
    CHECK_LAG_JSON,
    CHECK_LAG_NO_DATABASE,
    CHECK_LAG_NO_QUORUM,
    CHECK_LAG_NOT_FOUND,
    CHECK_LAG_UNAVAILABLE,
    CHECK_LAG_SHARD,
    CHECK_LAG_PORT,
    CHECK_LAG_SHARD_PORT,
    CHECK_LAG_ENDPOINT,
    CHECK_LAG_BEHIND,
    CHECK_LAG_SCHEMA,
    CHECK_NO_SUCH_MASTER,
    CHECK_SENTINEL_NAMES,
    CHECK_CAUSES,
};

/* In words for people: "connection refused", "no answer in time"… Never NULL. */
const char *check_cause_text(enum check_cause cause);

/* The health word of an endpoint, unpacked. */
struct verdict {
    uint16_t epoch;   /* of the lease under which it was given */
    uint16_t changes; /* of `health`, wrapping */
    uint8_t fell;     /* failed checks in a row, at most 255 */
    uint8_t rose;     /* passed checks in a row, at most 255 */
    uint8_t cause;    /* enum check_cause of the last check */
    uint8_t health;   /* enum health */
};
struct verdict verdict_unpack(uint64_t word);
uint64_t verdict_pack(struct verdict verdict);

/* The verdict after one more check. */
struct verdict verdict_after(struct verdict before, const struct health_rules *rules, bool passed,
                             enum check_cause cause);

/* `probes` probes make one check: 1 passed, 0 failed, -1 not decided yet. */
int verdict_of_probes(const struct health_rules *rules, unsigned passed, unsigned failed);

/*
 * When the next check of an endpoint starts, ns after the start of the last: `interval` when that
 * passed, min(fast_interval, interval) when it failed or has not been answered yet. With jitter.
 */
uint64_t verdict_next_check_ns(const struct health_rules *rules, bool passed, uint32_t random);

/*
 * How long a verdict is believed without another check: three intervals and the time of an answer,
 * but never before a silent prober's successor has had the time to check. 0: the rules ask for no
 * checks.
 */
uint64_t verdict_lasts_ns(const struct health_rules *rules);

#endif

/*
 * outcome: what became of one connect attempt, or a fact about a steered connection.
 * Pure and [hook].
 */
#ifndef POLICY_OUTCOME_H
#define POLICY_OUTCOME_H

#include <stdint.h>

enum outcome {
    OUTCOME_OK,
    OUTCOME_REFUSED,     /* ECONNREFUSED */
    OUTCOME_TIMEOUT,     /* ETIMEDOUT */
    OUTCOME_RESET,       /* ECONNRESET, EPIPE */
    OUTCOME_UNREACHABLE, /* ENETUNREACH, EHOSTUNREACH, EHOSTDOWN, ENETDOWN */
    OUTCOME_LOCAL,       /* everything else: this host's own trouble, never counted */
};

enum { OUTCOME_COUNTED = OUTCOME_LOCAL }; /* the first OUTCOME_COUNTED values have counters */

/* The bit of an outcome in the sets `breaker.count` and `retry.errors`. */
#define OUTCOME_BIT(outcome) (1u << (outcome))

/* `error` is an errno value, 0 for success. */
enum outcome outcome_of(int error);

/* "ok", "refused", "timeout", "reset", "unreachable", "local". */
const char *outcome_name(enum outcome outcome);

#endif

/*
 * checks: the checks of one probe from their start until their result is taken, in that order, and
 * whose answer comes next on the connection.
 *
 * A check that failed for its deadline is still owed an answer by the connection that carried it:
 * the answers behind it belong to later checks.
 */
#ifndef PROBE_CHECKS_H
#define PROBE_CHECKS_H

#include "probe/probe.h"

enum { ANSWERS_OWED = 64 };

struct check {
    uint64_t started_ns;
    uint64_t deadline_ns;
    uint64_t sent_ns;
    uint64_t token;
    enum check_cause found; /* by its answers so far */
    enum role_wanted role, aside;
    bool resent; /* once already: its connection ended */
    bool finished;
    struct probe_result result;
};

/* What an answer is for: the number of a check (which may be over by now), AUTH, or a question
 * beside the checks. */
#define OWED_TO_AUTH  UINT64_MAX
#define OWED_TO_ASIDE (UINT64_MAX - 1)

struct owed {
    uint64_t to;
    uint8_t answers; /* still to come */
    uint8_t answered;
    uint64_t patience_ns; /* after this the connection is given up */
};

struct checks {
    uint64_t oldest, next; /* numbers; those in between exist */
    struct check all[PROBES_IN_FLIGHT];
    uint32_t owed_first, owed_count;
    struct owed owed[ANSWERS_OWED];
};

/* NULL: PROBES_IN_FLIGHT exist. */
struct check *checks_add(struct checks *checks, uint64_t now_ns, uint64_t deadline_ns);
bool checks_take(struct checks *checks, struct probe_result *out);

/* The next one that is not finished, from number `*from` on, which becomes its. NULL: none. */
struct check *checks_next(struct checks *checks, uint64_t *from);
bool checks_in_flight(const struct checks *checks);
uint64_t checks_deadline_ns(const struct checks *checks);

void check_finish(struct check *check, enum probe_outcome outcome, enum check_cause cause,
                  int error, uint64_t now_ns);

/* `check` NULL: AUTH. It gets 1..3 answers. False: no room, so much has not been answered. */
bool checks_owe(struct checks *checks, const struct check *check, unsigned answers);
/* The same of one answer to a question that no check asks, and whether that is the next due. */
bool checks_owe_aside(struct checks *checks);
bool checks_aside_is_next(const struct checks *checks);

/* Whose an answer is, its number from 0 on, and whether it is the last one. */
struct answered {
    struct check *check; /* NULL: AUTH's, an aside's, or of a check that is over */
    bool auth;
    bool aside;
    unsigned index;
    bool last;
};
/* An answer has come. False: nobody asked. */
bool checks_answered(struct checks *checks, struct answered *out);
bool checks_is_owed(const struct checks *checks);
/* When patience with the oldest unanswered question ends; UINT64_MAX: none is. */
uint64_t checks_patience_ns(const struct checks *checks);
/* The connection is gone. */
void checks_forget_owed(struct checks *checks);

#endif

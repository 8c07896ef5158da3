/*
 * answer: what an error reply says about the endpoint. Pure.
 */
#ifndef PROBE_ANSWER_H
#define PROBE_ANSWER_H

#include <stdbool.h>

#include "policy/verdict.h"

/* The cause that an error reply's text (without its '-') gives; CHECK_ERROR_REPLY: any other. */
enum check_cause answer_cause(const char *text);

/* The same of an errno; CHECK_FINE: this host's own trouble. */
enum check_cause answer_cause_of(int error);

/* The server is alive and refuses only us: that is a passed check. */
bool answer_is_alive(enum check_cause cause);

#endif

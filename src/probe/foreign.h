/*
 * foreign: what speaks at the other end when it is not Redis, by its first bytes. Pure.
 */
#ifndef PROBE_FOREIGN_H
#define PROBE_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/verdict.h"

/* CHECK_HTTP, CHECK_TLS or CHECK_NOT_REDIS. */
enum check_cause foreign_cause(const char *bytes, size_t length);

/* So far it may become CHECK_HTTP or CHECK_TLS: worth waiting for the next byte. */
bool foreign_unclear(const char *bytes, size_t length);

#endif

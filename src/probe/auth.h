/*
 * auth: the first command of a connection where a password is configured, and its answer. Pure.
 */
#ifndef PROBE_AUTH_H
#define PROBE_AUTH_H

#include "probe/command.h"
#include "probe/reader.h"

/* Length of "AUTH [username] password". */
size_t auth_request(char to[static COMMAND_MAX], const struct probe_target *target);

/*
 * CHECK_FINE; CHECK_WRONGPASS or CHECK_NOPERM: the checks go on without it; any other cause: what
 * to say if the server hangs up now (it has too many clients, for one).
 */
enum check_cause auth_answer(const struct reply *reply);

#endif

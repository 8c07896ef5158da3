/*
 * steer: the life of one connection attempt, from the program's call to its answer.
 */
#ifndef PRELOAD_STEER_H
#define PRELOAD_STEER_H

#include <stdbool.h>
#include <sys/types.h>

#include "preload/attempt.h"

/*
 * [hook] The first, cheap question: could this destination be ours? False for nearly every call:
 * then the hook makes the real call and nothing else. Never faults on a wild pointer; errno
 * untouched.
 */
bool steer_wanted(const struct sockaddr *address, socklen_t length);

/*
 * [hook] Makes the call, steered when the destination turns out to be ours and as it was otherwise.
 * Result and errno are the kernel's own, of the last attempt.
 */
ssize_t steer(int fd, const struct attempt *attempt);

/*
 * [hook] The program has just learned `error` (0: none) by SO_ERROR of `fd`: records the outcome of
 * a steered connect. errno untouched.
 */
void steer_outcome(int fd, int error);

#endif

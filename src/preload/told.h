/*
 * told: how the outcome of a connection under way is learned: when the program is told of it, by
 * SO_ERROR or by a second connect(). At that moment, with the kernel's own errno, and nothing is
 * taken from the program. All [hook].
 */
#ifndef PRELOAD_TOLD_H
#define PRELOAD_TOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "preload/attempt.h"

/* The program has just learned `error` (0: none) by SO_ERROR of `fd`. errno untouched. */
void told_error(int fd, int error);

/*
 * A second connect() is a question about the first (hiredis asks so), or, after a failure that the
 * program has seen, a new attempt. True: it was a question, and `*result` and errno are the
 * kernel's answer.
 */
bool told_already(int fd, uint64_t cookie, const struct attempt *attempt, ssize_t *result);

/* The program takes `fd` out of its connection, by connect(AF_UNSPEC). errno untouched. */
void told_reset(int fd);

#endif

/*
 * expect: whether a text is the expected one: literal, pattern, or a number in a range. Pure and
 * [hook].
 */
#ifndef PROBE_EXPECT_H
#define PROBE_EXPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "state/layout.h"

/* `*` is any text, `?` any byte, and `\\` takes its meaning from what follows. */
bool expect_glob(const char *pattern, const char *text);

bool expect_holds(const struct check_settings *check, const char *text);

#endif

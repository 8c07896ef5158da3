/*
 * words: the words of a check block or a command, which lie one behind the other, each with its
 * NUL. Pure and [hook].
 */
#ifndef STATE_WORDS_H
#define STATE_WORDS_H

#include "state/layout.h"

/* Pointers to `count` words in `size` bytes, followed by NULL; how many were found. */
unsigned words_split(const char *text, size_t size, unsigned count,
                     const char *words[CHECK_WORDS_MAX + 1]);

/* The same of a check block. */
unsigned words_of_check(const struct check_settings *check, const char *words[CHECK_WORDS_MAX + 1]);

/* Number `index`, or "". */
const char *word_of_check(const struct check_settings *check, unsigned index);

#endif

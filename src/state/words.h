/*
 * words: the words of a check block, which lie one behind the other, each with its NUL. Pure and
 * [hook].
 */
#ifndef STATE_WORDS_H
#define STATE_WORDS_H

#include "state/layout.h"

/* Pointers to them, followed by NULL; how many there are. */
unsigned words_of_check(const struct check_settings *check, const char *words[CHECK_WORDS_MAX + 1]);

/* Number `index`, or "". */
const char *word_of_check(const struct check_settings *check, unsigned index);

#endif

/*
 * words: the names that the file uses for enumerated values, in the order of the enums.
 */
#ifndef SETTINGS_WORDS_H
#define SETTINGS_WORDS_H

#include <stddef.h>

struct words {
    size_t count;
    const char *const *word;
};

extern const struct words monitor_words, log_level_words, mode_words, strategy_words, resolve_words,
    all_down_words, existing_words, probe_words, role_words, policy_words, outcome_words,
    check_words;

/* The types of check blocks, as check_words has them. */
enum check_type { TYPE_COMMAND, TYPE_LAG, TYPE_HTTP, TYPE_EXEC, TYPE_KEY, TYPE_ROLE, TYPE_WRITE };

/* The index of `text`, or -1. */
int words_find(const struct words *words, const char *text);

#endif

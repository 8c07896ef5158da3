#include "state/words.h"

#include <string.h>

unsigned words_of_check(const struct check_settings *check, const char *words[CHECK_WORDS_MAX + 1])
{
    unsigned count = 0;
    size_t at = 0;

    while (count < check->words && count < CHECK_WORDS_MAX && at < sizeof(check->text)) {
        words[count++] = check->text + at;
        at += strnlen(check->text + at, sizeof(check->text) - at) + 1;
    }
    words[count] = NULL;
    return count;
}

const char *word_of_check(const struct check_settings *check, unsigned index)
{
    const char *words[CHECK_WORDS_MAX + 1];

    return index < words_of_check(check, words) ? words[index] : "";
}

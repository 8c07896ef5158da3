#include "state/words.h"

#include <string.h>

unsigned words_split(const char *text, size_t size, unsigned count,
                     const char *words[CHECK_WORDS_MAX + 1])
{
    unsigned found = 0;
    size_t at = 0;

    while (found < count && found < CHECK_WORDS_MAX && at < size) {
        words[found++] = text + at;
        at += strnlen(text + at, size - at) + 1;
    }
    words[found] = NULL;
    return found;
}

unsigned words_of_check(const struct check_settings *check, const char *words[CHECK_WORDS_MAX + 1])
{
    return words_split(check->text, sizeof(check->text), check->words, words);
}

const char *word_of_check(const struct check_settings *check, unsigned index)
{
    const char *words[CHECK_WORDS_MAX + 1];

    return index < words_of_check(check, words) ? words[index] : "";
}

#include "probe/expect.h"

#include <stddef.h>

#include "base/text.h"

static bool is_same(const char **pattern, char c)
{
    if (**pattern == '\\' && (*pattern)[1] != '\0')
        ++*pattern;
    else if (**pattern == '?')
        return true;
    return **pattern == c;
}

/* Only the last '*' has to be tried again: what the ones before it took is as good as anything. */
bool expect_glob(const char *pattern, const char *text)
{
    const char *star = NULL, *from = NULL;

    while (*text) {
        const char *here = pattern;

        if (*pattern == '*') {
            star = pattern++;
            from = text;
        } else if (*pattern && is_same(&here, *text)) {
            pattern = here + 1;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool expect_holds(const struct check_settings *check, const char *text)
{
    int64_t number;

    switch ((enum expect_kind)check->expect) {
    case EXPECT_ANY:
        return true;
    case EXPECT_TEXT_IS:
        return text_equal(check->expected, text);
    case EXPECT_GLOB:
        return expect_glob(check->expected, text);
    case EXPECT_RANGE:
        return text_integer(text, &number) && number >= check->expect_from &&
               number <= check->expect_to;
    }
    return false;
}

/* Checks of type command: any command, and what its answer must be. */
#include "base/text.h"
#include "probe/expect.h"
#include "probe/kind.h"
#include "state/words.h"

static size_t ask(char to[static COMMAND_MAX], const struct question *question)
{
    const char *words[CHECK_WORDS_MAX + 1];
    unsigned count = words_of_check(&question->target->check, words);

    return command_write(to, count, words);
}

/* What is longer than the reader keeps is compared as far as that: only a pattern can fit it. */
static enum check_cause judge(const struct question *question, const struct reply *reply,
                              unsigned index)
{
    const struct check_settings *check = &question->target->check;
    bool cut = reply->length >= REPLY_TEXT;

    (void)index;
    if (check->expect == EXPECT_ANY)
        return CHECK_FINE;
    if (cut && check->expect != EXPECT_GLOB)
        return CHECK_UNEXPECTED;
    return expect_holds(check, reply->text) ? CHECK_FINE : CHECK_UNEXPECTED;
}

const struct kind kind_command = {.request = ask, .judge = judge, .answers = 1};

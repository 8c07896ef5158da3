#include <string.h>

#include "base/text.h"
#include "probe/kind.h"
#include "state/words.h"

static size_t ask(char to[static COMMAND_MAX], const struct question *question)
{
    const char *const words[] = {"GET", word_of_check(&question->target->check, 0)};

    return command_write(to, 2, words);
}

static enum check_cause judge(const struct question *question, const struct reply *reply,
                              unsigned index)
{
    const char *wanted = word_of_check(&question->target->check, 1);

    (void)index;
    if (reply->type == REPLY_NIL)
        return CHECK_NO_KEY;
    return reply->type == REPLY_STRING && reply->length == strlen(wanted) &&
                   text_equal(reply->text, wanted)
               ? CHECK_FINE
               : CHECK_OTHER_VALUE;
}

const struct kind kind_key = {.request = ask, .judge = judge, .answers = 1};

#include "base/text.h"
#include "probe/kind.h"

enum { TOKEN_TEXT = 17 };

static void token_text(char to[static TOKEN_TEXT], const struct question *question)
{
    text_format(to, TOKEN_TEXT, "%016llx", (unsigned long long)question->token);
}

static size_t ask(char to[static COMMAND_MAX], const struct question *question)
{
    char text[TOKEN_TEXT];
    const char *const words[] = {"ECHO", text};

    token_text(text, question);
    return command_write(to, 2, words);
}

static enum check_cause judge(const struct question *question, const struct reply *reply,
                              unsigned index)
{
    char text[TOKEN_TEXT];

    (void)index;
    token_text(text, question);
    return (reply->type == REPLY_STRING || reply->type == REPLY_STATUS) &&
                   reply->length == TOKEN_TEXT - 1 && text_equal(reply->text, text)
               ? CHECK_FINE
               : CHECK_WRONG_REPLY;
}

const struct kind kind_echo = {.request = ask,
                               .judge = judge,
                               .answers = 1,
                               .alive_is_enough = true};

#include "base/text.h"
#include "probe/kind.h"

enum { TOKEN_TEXT = 17 };

static void token_text(char to[static TOKEN_TEXT], uint64_t token)
{
    text_format(to, TOKEN_TEXT, "%016llx", (unsigned long long)token);
}

static size_t ask(char to[static COMMAND_MAX], uint64_t token)
{
    char text[TOKEN_TEXT];
    const char *const words[] = {"ECHO", text};

    token_text(text, token);
    return command_write(to, 2, words);
}

static bool is_right(const struct reply *reply, uint64_t token)
{
    char text[TOKEN_TEXT];

    token_text(text, token);
    return (reply->type == REPLY_STRING || reply->type == REPLY_STATUS) &&
           reply->length == TOKEN_TEXT - 1 && text_equal(reply->text, text);
}

const struct kind kind_echo = {.request = ask, .is_right = is_right};

#include "base/text.h"
#include "probe/kind.h"

static size_t ask(char to[static COMMAND_MAX], const struct question *question)
{
    const char *const words[] = {"PING"};

    (void)question;
    return command_write(to, 1, words);
}

/* +PONG, "$4 PONG" of some proxies, and the array ["pong", ""] of a connection that subscribed. */
static enum check_cause judge(const struct question *question, const struct reply *reply,
                              unsigned index)
{
    static const char pong[] = "pong";

    (void)question;
    (void)index;
    if (reply->type != REPLY_STATUS && reply->type != REPLY_STRING && reply->type != REPLY_ARRAY)
        return CHECK_WRONG_REPLY;
    for (size_t i = 0; i < sizeof(pong); i++)
        if (text_lower(reply->text[i]) != pong[i])
            return CHECK_WRONG_REPLY;
    return CHECK_FINE;
}

const struct kind kind_ping = {.request = ask,
                               .judge = judge,
                               .answers = 1,
                               .alive_is_enough = true};

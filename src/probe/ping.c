#include "base/text.h"
#include "probe/kind.h"

static size_t ask(char to[static COMMAND_MAX], uint64_t token)
{
    const char *const words[] = {"PING"};

    (void)token;
    return command_write(to, 1, words);
}

/* +PONG, "$4 PONG" of some proxies, and the array ["pong", ""] of a connection that subscribed. */
static bool is_right(const struct reply *reply, uint64_t token)
{
    static const char pong[] = "pong";

    (void)token;
    if (reply->type != REPLY_STATUS && reply->type != REPLY_STRING && reply->type != REPLY_ARRAY)
        return false;
    for (size_t i = 0; i < sizeof(pong); i++)
        if (text_lower(reply->text[i]) != pong[i])
            return false;
    return true;
}

const struct kind kind_ping = {.request = ask, .is_right = is_right};

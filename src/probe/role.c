#include "base/text.h"
#include "probe/kind.h"

static size_t ask(char to[static COMMAND_MAX], const struct question *question)
{
    const char *const words[] = {"ROLE"};

    (void)question;
    return command_write(to, 1, words);
}

enum role_wanted role_of(const struct reply *reply)
{
    if (reply->type != REPLY_ARRAY)
        return ROLE_ANY;
    if (text_equal(reply->text, "master"))
        return ROLE_MASTER;
    return text_equal(reply->text, "slave") ? ROLE_REPLICA : ROLE_ANY;
}

/* A replica's fourth word: connect, connecting, sync or connected. */
static enum check_cause judge(const struct question *question, const struct reply *reply,
                              unsigned index)
{
    enum role_wanted wanted = question->target->role, is = role_of(reply);

    (void)index;
    if (is == ROLE_ANY)
        return reply->type == REPLY_ARRAY && text_equal(reply->text, "sentinel")
                   ? CHECK_IS_SENTINEL
                   : CHECK_WRONG_REPLY;
    if (is == ROLE_MASTER)
        return wanted == ROLE_REPLICA ? CHECK_IS_MASTER : CHECK_FINE;
    if (wanted == ROLE_MASTER)
        return CHECK_IS_REPLICA;
    return text_equal(reply->fourth, "connected") ? CHECK_FINE : CHECK_LINK_DOWN;
}

const struct kind kind_role = {.request = ask, .judge = judge, .answers = 1};

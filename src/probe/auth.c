#include "probe/auth.h"

#include "probe/answer.h"

size_t auth_request(char to[static COMMAND_MAX], const struct probe_target *target)
{
    const char *const with_user[] = {"AUTH", target->username, target->password};
    const char *const without[] = {"AUTH", target->password};

    if (target->username[0])
        return command_write(to, 3, with_user);
    return command_write(to, 2, without);
}

enum check_cause auth_answer(const struct reply *reply)
{
    if (reply->type == REPLY_ERROR)
        return answer_cause(reply->text);
    return CHECK_FINE;
}

/* sendmsg: with MSG_FASTOPEN and an address it connects; everything else is one test and a tail
 * call. */
#include <stdint.h>
#include <sys/socket.h>

#include "preload/hook.h"
#include "preload/readable.h"
#include "preload/real.h"
#include "preload/steer.h"

static ssize_t call_sendmsg(const struct attempt *attempt, int fd, const struct sockaddr *address,
                            socklen_t length)
{
    struct msghdr copy = *attempt->message;

    copy.msg_name = (void *)(uintptr_t)address; /* the kernel only reads it */
    copy.msg_namelen = length;
    return real_sendmsg(fd, &copy, attempt->flags);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    uint64_t ip_hash;

    if (!(flags & MSG_FASTOPEN) || !readable(message, sizeof(*message)) ||
        !steer_wanted(message->msg_name, message->msg_namelen, &ip_hash))
        return real_sendmsg(fd, message, flags);

    struct attempt attempt = {
        .call = call_sendmsg,
        .address = message->msg_name,
        .length = message->msg_namelen,
        .ip_hash = ip_hash,
        .message = message,
        .flags = flags,
    };
    return steer(fd, &attempt);
}

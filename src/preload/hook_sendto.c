/* sendto: with MSG_FASTOPEN and an address it connects; everything else is one test and a tail
 * call. */
#include <sys/socket.h>

#include "preload/hook.h"
#include "preload/real.h"
#include "preload/steer.h"

static ssize_t call_sendto(const struct attempt *attempt, int fd, const struct sockaddr *address,
                           socklen_t length)
{
    return real_sendto(fd, attempt->data, attempt->size, attempt->flags, address, length);
}

EXPORT ssize_t sendto(int fd, const void *data, size_t size, int flags,
                      const struct sockaddr *address, socklen_t length)
{
    uint64_t ip_hash;

    if (!(flags & MSG_FASTOPEN) || !steer_wanted(address, length, &ip_hash))
        return real_sendto(fd, data, size, flags, address, length);

    struct attempt attempt = {
        .call = call_sendto,
        .address = address,
        .length = length,
        .ip_hash = ip_hash,
        .data = data,
        .size = size,
        .flags = flags,
    };
    return steer(fd, &attempt);
}

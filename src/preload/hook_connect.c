/* connect: the one call that every client repeats; where connections are steered. */
#include "preload/hook_connect.h"

#include "base/hints.h"
#include "preload/hook.h"
#include "preload/real.h"
#include "preload/steer.h"

HOT __attribute__((noinline)) static int steered_connect(int fd, const struct sockaddr *address,
                                                         socklen_t length, uint64_t ip_hash)
{
    struct attempt attempt = {.address = address, .length = length, .ip_hash = ip_hash};

    return (int)steer(fd, &attempt);
}

/* Apart, so that the others need no stack for it. */
RARE static int unclear_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    uint64_t ip_hash;

    if (steer_wanted(address, length, &ip_hash))
        return steered_connect(fd, address, length, ip_hash);
    return real_connect(fd, address, length);
}

HOT int hook_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    uint64_t ip_hash;
    enum first_sight sight = steer_first_sight(address, length, &ip_hash);

    if (LIKELY(sight == DECLINED))
        return real_connect(fd, address, length);
    if (sight == WANTED)
        return steered_connect(fd, address, length, ip_hash);
    return unclear_connect(fd, address, length);
}

HOT EXPORT int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    return hook_connect(fd, address, length);
}

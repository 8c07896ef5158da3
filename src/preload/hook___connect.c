/* __connect: glibc's other name for connect, which some libraries call. */
#include "preload/hook.h"
#include "preload/hook_connect.h"

int __connect(int fd, const struct sockaddr *address, socklen_t length);

EXPORT int __connect(int fd, const struct sockaddr *address, socklen_t length)
{
    return hook_connect(fd, address, length);
}

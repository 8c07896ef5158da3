/* __connect: glibc's other name for connect, which some libraries call. */
#include <sys/socket.h>

#include "preload/hook.h"

int __connect(int fd, const struct sockaddr *address, socklen_t length);

EXPORT int __connect(int fd, const struct sockaddr *address, socklen_t length)
{
    return connect(fd, address, length);
}

/* A module that is loaded with dlopen() and connects. */
#include <sys/socket.h>

__attribute__((visibility("default"))) int module_connect(int fd, const struct sockaddr *address,
                                                          socklen_t size);

int module_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    return connect(fd, address, size);
}

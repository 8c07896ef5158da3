#include "probe/net.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long result_of(long result)
{
    return result < 0 ? -errno : result;
}

static int family_of(const struct address *address)
{
    return address_is_v4(address) ? AF_INET : AF_INET6;
}

int net_open(const struct address *address)
{
    int on = 1;
    int fd = (int)result_of(syscall(SYS_socket, family_of(address),
                                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));

    if (fd >= 0)
        syscall(SYS_setsockopt, fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

int net_connect(int fd, const struct address *address)
{
    union socket_address to;
    socklen_t length;
    int error = address_to_sockaddr(address, family_of(address), &to, &length);

    return error ? error : (int)result_of(syscall(SYS_connect, fd, &to, length));
}

void net_close(int fd)
{
    syscall(SYS_close, fd);
}

/* Whether the far end is that address, connected. A socket can even be its own far end: Linux may
 * give a connect to a local port where nobody listens that very port as its source. */
static int far_end(int fd, const struct address *address)
{
    union socket_address name;
    struct address here;
    socklen_t length = sizeof(name);
    long error = result_of(syscall(SYS_getpeername, fd, &name, &length));

    if (error)
        return error == -ENOTCONN ? -EINPROGRESS : (int)error;
    length = sizeof(name);
    error = result_of(syscall(SYS_getsockname, fd, &name, &length));
    if (error == 0 && address_from_sockaddr(&name, length, &here) == 0 &&
        address_equal(&here, address))
        return -ECONNREFUSED;
    return 0;
}

int net_outcome(int fd, const struct address *address)
{
    int error = 0;
    socklen_t length = sizeof(error);
    long failed = result_of(syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, &error, &length));

    if (failed)
        return (int)failed;
    return error ? -error : far_end(fd, address);
}

ssize_t net_send(int fd, const void *bytes, size_t length)
{
    return result_of(syscall(SYS_sendto, fd, bytes, length, MSG_NOSIGNAL, NULL, 0));
}

ssize_t net_receive(int fd, void *bytes, size_t length)
{
    return result_of(syscall(SYS_recvfrom, fd, bytes, length, 0, NULL, NULL));
}

#include "preload/socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/hints.h"
#include "preload/real.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

enum { KEEPALIVE_INTERVAL_S = 5, KEEPALIVE_PROBES = 3 };

static bool get(int fd, int level, int name, int *value)
{
    socklen_t size = sizeof(*value);

    return real_getsockopt(fd, level, name, value, &size) == 0 && size == sizeof(*value);
}

static void set(int fd, int level, int name, int value)
{
    setsockopt(fd, level, name, &value, sizeof(value));
}

RARE static bool is_tcp(int fd)
{
    int value;

    return get(fd, SOL_SOCKET, SO_PROTOCOL, &value) &&
           (value == IPPROTO_TCP || value == IPPROTO_MPTCP);
}

struct socket_options socket_examine(int fd)
{
    int late;

    if (LIKELY(get(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &late)))
        return (struct socket_options){.is_tcp = true, .connects_late = late != 0};
    return (struct socket_options){.is_tcp = is_tcp(fd)};
}

void socket_prepare(int fd, const struct connect_rules *rules, struct socket_options *options)
{
    int value;

    /* MPTCP before Linux 6.x knows no TCP_USER_TIMEOUT. */
    options->user_timeout = get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value) && value == 0;
    if (rules->keepalive_ns && get(fd, SOL_SOCKET, SO_KEEPALIVE, &value) && value == 0) {
        uint64_t idle = (rules->keepalive_ns + NS_PER_S - 1) / NS_PER_S;

        set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        set(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)idle);
        set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
        /* With a user timeout Linux ends a dead connection by that and counts no probes. */
        if (rules->user_timeout_ns == 0)
            set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    }
}

void socket_bound(int fd, struct socket_options options, uint64_t ns)
{
    if (options.user_timeout)
        set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)(ns / NS_PER_MS));
}

uint64_t socket_bound_now(int fd)
{
    int ms;

    return get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms) && ms > 0 ? (uint64_t)ms * NS_PER_MS : 0;
}

int socket_state(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);

    info.tcpi_state = 0;
    if (real_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || size == 0)
        return -1;
    return info.tcpi_state;
}

void socket_reset(int fd)
{
    const struct sockaddr unspecified = {.sa_family = AF_UNSPEC};

    real_connect(fd, &unspecified, sizeof(unspecified));
}

bool socket_v6_only(int fd)
{
    int value = 1;

    return !get(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value) || value != 0;
}

bool socket_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags < 0 || (flags & O_NONBLOCK);
}

uint64_t socket_send_timeout(int fd)
{
    struct timeval limit = {0};
    socklen_t size = sizeof(limit);

    if (real_getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &size) != 0 || limit.tv_sec < 0)
        return 0;
    return (uint64_t)limit.tv_sec * NS_PER_S + (uint64_t)limit.tv_usec * NS_PER_US;
}

int socket_take_error(int fd)
{
    int error = 0;

    return get(fd, SOL_SOCKET, SO_ERROR, &error) ? error : 0;
}

/* Address families and socket types: which calls are a Redis connection, and which are none of
 * ours. */
#include "hook_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static void say_number_of_addresses(const char *label, int fd)
{
    struct where here = {.size = sizeof here.storage}, peer = {.size = sizeof peer.storage};
    errno = 0;
    say_result(label, getpeername(fd, &peer.any, &peer.size));
    say("%s: peer of family %d, %u bytes", label, peer.any.sa_family, peer.size);
    getsockname(fd, &here.any, &here.size);
    say("%s: own name of family %d, %u bytes", label, here.any.sa_family, here.size);
}

HOOK_CASE(ipv4_destination)
{
    int fd = connect_to("cache");
    CHECK(fd >= 0);
    CHECK_PEER(fd, "home", "east");
    say_number_of_addresses("IPv4", fd);
    CHECK(redis_answers(fd));
    close(fd);
}

HOOK_CASE(ipv6_destination)
{
    int fd = connect_to("cache6");
    CHECK(fd >= 0);
    CHECK_PEER(fd, "home", "east");
    say_number_of_addresses("IPv6", fd);
    CHECK(redis_answers(fd));
    close(fd);
}

HOOK_CASE(unmatched_destination)
{
    int fd = connect_to("stranger");
    CHECK(fd >= 0);
    CHECK_PEER(fd, "home", "home");
    close(fd);
}

HOOK_CASE(v4_mapped_destination_on_an_ipv6_socket)
{
    struct where mapped = where_mapped("cache");
    int fd = tcp_socket(AF_INET6, 0);
    CHECK(say_connect("mapped", fd, &mapped.any, mapped.size) == 0);
    CHECK_PEER(fd, "home", "east");
    say_number_of_addresses("mapped", fd);
    CHECK(redis_answers(fd));
    close(fd);
}

HOOK_CASE(v4_mapped_destination_with_an_ipv6_endpoint)
{
    struct where mapped = where_mapped("sixth");
    int fd = tcp_socket(AF_INET6, 0);
    CHECK(say_connect("mapped", fd, &mapped.any, mapped.size) == 0);
    CHECK_PEER(fd, "home", "west");
    CHECK(redis_answers(fd));
    close(fd);
}

HOOK_CASE(v6only_socket_keeps_to_ipv6)
{
    int yes = 1;
    struct where mapped = where_mapped("cache"), native = where("cache6");
    int fd = tcp_socket(AF_INET6, 0);
    CHECK(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes) == 0);
    say_connect("mapped", fd, &mapped.any, mapped.size);
    close(fd);
    fd = tcp_socket(AF_INET6, 0);
    CHECK(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes) == 0);
    say_connect("native, but no endpoint has IPv6", fd, &native.any, native.size);
    CHECK_PEER(fd, "home", "home");
    close(fd);
}

HOOK_CASE(ipv4_socket_and_endpoints_of_ipv6_only)
{
    struct where sixth = where("sixth");
    int fd = tcp_socket(AF_INET, 0);
    CHECK(say_connect("IPv4", fd, &sixth.any, sixth.size) == 0);
    CHECK_PEER(fd, "home", "home");
    close(fd);
    fd = tcp_socket(AF_INET, SOCK_NONBLOCK);
    say_connect("IPv4, non-blocking", fd, &sixth.any, sixth.size);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    CHECK(poll(&wait, 1, 5000) == 1);
    CHECK_PEER(fd, "home", "home");
    close(fd);
}

HOOK_CASE(unspecified_family_disconnects)
{
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    struct where cache = where("cache"), stuck = where("stuck");
    int fd = tcp_socket(AF_INET, 0);
    say_connect("fresh", fd, &none, sizeof none);
    say_connect("fresh, two bytes", fd, &none, sizeof none.sa_family);
    say_connect("fresh, one byte", fd, &none, 1);
    say_connect("connect", fd, &cache.any, cache.size);
    CHECK_PEER(fd, "home", "east");
    say_connect("disconnect", fd, &none, sizeof none);
    say_number_of_addresses("disconnected", fd);
    say_connect("connect again", fd, &cache.any, cache.size);
    CHECK_PEER(fd, "home", "east");
    CHECK(redis_answers(fd));
    close(fd);

    fd = tcp_socket(AF_INET, SOCK_NONBLOCK);
    say_connect("in progress", fd, &stuck.any, stuck.size);
    say_connect("disconnect in progress", fd, &none, sizeof none);
    say_connect("connect elsewhere", fd, &cache.any, cache.size);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    CHECK(poll(&wait, 1, 5000) == 1);
    CHECK_PEER(fd, "home", "east");
    close(fd);

    fd = tcp_socket(AF_INET6, 0);
    say_connect("IPv6 socket", fd, &none, sizeof none);
    close(fd);
}

static void talk_over_unix(const char *label, const struct sockaddr_un *name, socklen_t size,
                           int type)
{
    int server = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    int client = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    const struct sockaddr *address = (const struct sockaddr *)name;
    say_connect("nobody there", client, address, size);
    CHECK(bind(server, address, size) == 0);
    if (type != SOCK_DGRAM) {
        say_connect("not yet listening", client, address, size);
        CHECK(listen(server, 4) == 0);
    }
    say_connect(label, client, address, size);
    CHECK(send(client, "x", 1, MSG_NOSIGNAL) == 1);
    struct where peer = {.size = sizeof peer.storage};
    CHECK(getpeername(client, &peer.any, &peer.size) == 0);
    say("%s: peer of %u bytes", label, peer.size);
    CHECK(peer.size >= size && memcmp(&peer.storage, name, size) == 0);
    close(server);
    close(client);
}

HOOK_CASE(unix_sockets)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const socklen_t head = offsetof(struct sockaddr_un, sun_path);
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        int length = snprintf(name.sun_path, sizeof name.sun_path, "hook-%d", (int)getpid());
        talk_over_unix("path", &name, head + (socklen_t)length + 1, types[i]);
        unlink(name.sun_path);
        memset(name.sun_path, 'p', sizeof name.sun_path);
        talk_over_unix("path without end", &name, sizeof name, types[i]);
        char ended[sizeof name.sun_path + 1] = "";
        memcpy(ended, name.sun_path, sizeof name.sun_path);
        unlink(ended);
        memset(name.sun_path, 0, sizeof name.sun_path);
        length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "hook-%d", (int)getpid());
        talk_over_unix("abstract", &name, head + 1 + (socklen_t)length, types[i]);
        talk_over_unix("abstract, full length", &name, sizeof name, types[i]);
    }
}

HOOK_CASE(unix_sockets_shorter_than_an_ip_address)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "s");
    for (socklen_t size = 0; size < 6; size++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        say_connect("short", fd, &name, size);
        close(fd);
    }
}

HOOK_CASE(netlink_sockets)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        SKIP("no netlink sockets here");
    say_connect("netlink", fd, &kernel, sizeof kernel);
    say_connect("netlink, short", fd, &kernel, 4);
    close(fd);
}

HOOK_CASE(vsock_sockets)
{
    struct sockaddr_vm local = {.svm_family = AF_VSOCK,
                                .svm_cid = VMADDR_CID_LOCAL,
                                .svm_port = 6379};
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        SKIP("this kernel has no AF_VSOCK");
    say_connect("vsock", fd, &local, sizeof local);
    close(fd);
}

HOOK_CASE(udp_sockets_to_a_matched_address)
{
    struct where cache = where("cache"), native = where("cache6");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(say_connect("UDP", fd, &cache.any, cache.size) == 0);
    CHECK_PEER(fd, "home", "home");
    say_connect("UDP again", fd, &cache.any, cache.size);
    CHECK_PEER(fd, "home", "home");
    close(fd);
    fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(say_connect("UDP over IPv6", fd, &native.any, native.size) == 0);
    CHECK_PEER(fd, "home", "home");
    close(fd);
}

HOOK_CASE(other_kinds_of_ip_sockets)
{
    static const struct {
        const char *name;
        int type, protocol;
    } kinds[] = {{"raw", SOCK_RAW, IPPROTO_ICMP},
                 {"ping", SOCK_DGRAM, IPPROTO_ICMP},
                 {"UDP-Lite", SOCK_DGRAM, IPPROTO_UDPLITE},
                 {"SCTP", SOCK_STREAM, IPPROTO_SCTP},
                 {"DCCP", SOCK_DCCP, IPPROTO_DCCP}};
    struct where cache = where("cache");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        int fd = socket(AF_INET, kinds[i].type | SOCK_CLOEXEC, kinds[i].protocol);
        if (fd < 0) {
            say("%s: no such socket: %s", kinds[i].name, strerrorname_np(errno));
            continue;
        }
        say_connect(kinds[i].name, fd, &cache.any, cache.size);
        struct where peer = {.size = sizeof peer.storage};
        if (getpeername(fd, &peer.any, &peer.size) == 0)
            CHECK(((const struct sockaddr_in *)(const void *)&peer.storage)->sin_addr.s_addr ==
                  ((const struct sockaddr_in *)(const void *)&cache.storage)->sin_addr.s_addr);
        close(fd);
    }
}

HOOK_CASE(multipath_tcp_sockets)
{
    struct where cache = where("cache"), limping = where("limping");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
    if (fd < 0)
        SKIP("no multipath TCP here: %s", strerrorname_np(errno));
    CHECK(say_connect("MPTCP", fd, &cache.any, cache.size) == 0);
    CHECK_PEER(fd, "home", "east");
    CHECK(redis_answers(fd));
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
    CHECK(say_connect("MPTCP past a dead endpoint", fd, &limping.any, limping.size) == 0);
    CHECK_PEER(fd, "home", "west");
    CHECK(redis_answers(fd));
    close(fd);
}

const struct hook_case hook_cases[] = {
    HOOK_ENTRY(ipv4_destination),
    HOOK_ENTRY(ipv6_destination),
    HOOK_ENTRY(unmatched_destination),
    HOOK_ENTRY(v4_mapped_destination_on_an_ipv6_socket),
    HOOK_ENTRY(v4_mapped_destination_with_an_ipv6_endpoint),
    HOOK_ENTRY(v6only_socket_keeps_to_ipv6),
    HOOK_ENTRY(ipv4_socket_and_endpoints_of_ipv6_only),
    HOOK_ENTRY(unspecified_family_disconnects),
    HOOK_ENTRY(unix_sockets),
    HOOK_ENTRY(unix_sockets_shorter_than_an_ip_address),
    HOOK_ENTRY(netlink_sockets),
    HOOK_ENTRY(vsock_sockets),
    HOOK_ENTRY(udp_sockets_to_a_matched_address),
    HOOK_ENTRY(other_kinds_of_ip_sockets),
    HOOK_ENTRY(multipath_tcp_sockets),
    HOOK_END,
};

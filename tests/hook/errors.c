/* What connect() and getsockopt() answer to calls that must fail, or that look odd and must not. */
#include "hook_test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const destinations[] = {"cache", "stranger", "down"};
enum { DESTINATIONS = sizeof destinations / sizeof destinations[0] };

static void each_not_a_socket(const char *label, const void *address, socklen_t size)
{
    int pipe_ends[2], closed = dup(STDOUT_FILENO);
    CHECK(pipe(pipe_ends) == 0);
    close(closed);
    int event = eventfd(0, EFD_CLOEXEC), poller = epoll_create1(EPOLL_CLOEXEC);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int path = open("/", O_PATH | O_CLOEXEC);
    const int descriptors[] = {-1,           INT_MIN, INT_MAX, closed, 100000,
                               pipe_ends[1], event,   poller,  file,   path};
    static const char *const names[] = {"-1",   "INT_MIN", "INT_MAX", "closed", "beyond",
                                        "pipe", "eventfd", "epoll",   "file",   "O_PATH"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[80];
        snprintf(text, sizeof text, "%s on %s", label, names[i]);
        say_connect(text, descriptors[i], address, size);
    }
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    close(event);
    close(poller);
    close(file);
    close(path);
}

HOOK_CASE(descriptors_that_are_no_sockets)
{
    struct where cache = where("cache"), stranger = where("stranger");
    each_not_a_socket("cache", &cache.any, cache.size);
    each_not_a_socket("stranger", &stranger.any, stranger.size);
}

HOOK_CASE(wild_pointer_where_the_kernel_does_not_look)
{
    static const int lengths[] = {0, -1, INT_MIN, 129, 1000, INT_MAX};
    char label[80];
    say_connect("wild on -1", -1, wild_pointer(), sizeof(struct sockaddr_in));
    say_connect("NULL on -1", -1, NULL, sizeof(struct sockaddr_in));
    int fd = tcp_socket(AF_INET, 0);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        snprintf(label, sizeof label, "wild, length %d", lengths[i]);
        say_connect(label, fd, wild_pointer(), (socklen_t)lengths[i]);
        snprintf(label, sizeof label, "NULL, length %d", lengths[i]);
        say_connect(label, fd, NULL, (socklen_t)lengths[i]);
    }
    close(fd);
    say_connect("wild on a closed socket", fd, wild_pointer(), sizeof(struct sockaddr_in));
}

HOOK_CASE(wild_pointer_gives_efault)
{
    int pipe_ends[2], four = tcp_socket(AF_INET, 0), six = tcp_socket(AF_INET6, 0);
    void *volatile nowhere = NULL;
    static const socklen_t lengths[] = {1, 2, 15, 16, 28, 128};
    CHECK(pipe(pipe_ends) == 0);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        say_connect("wild, IPv4 socket", four, wild_pointer(), lengths[i]);
        say_connect("wild, IPv6 socket", six, wild_pointer(), lengths[i]);
        say_connect("NULL", four, nowhere, lengths[i]);
        say_connect("low", four, (void *)(uintptr_t)8, lengths[i]);
        say_connect("high", four, (void *)(UINTPTR_MAX - 7), lengths[i]);
        say_connect("wild, pipe", pipe_ends[0], wild_pointer(), lengths[i]);
    }
    close(four);
    close(six);
}

HOOK_CASE(address_lengths)
{
    for (size_t d = 0; d < DESTINATIONS; d++) {
        struct where there = where(destinations[d]);
        for (int length = -1; length <= 130; length++) {
            int fd = tcp_socket(AF_INET, 0);
            char label[80];
            snprintf(label, sizeof label, "%s, length %d", destinations[d], length);
            if (say_connect(label, fd, &there.any, (socklen_t)length) == 0)
                CHECK_PEER(fd, "home", d == 0 ? "east" : "home");
            drop(fd);
        }
    }
}

HOOK_CASE(address_lengths_of_ipv6)
{
    struct where native = where("cache6"), mapped = where_mapped("cache");
    for (int length = 0; length <= 129; length++) {
        int fd = tcp_socket(AF_INET6, 0);
        if (say_connect("native", fd, &native.any, (socklen_t)length) == 0)
            CHECK_PEER(fd, "home", "east");
        drop(fd);
        fd = tcp_socket(AF_INET6, 0);
        if (say_connect("mapped", fd, &mapped.any, (socklen_t)length) == 0)
            CHECK_PEER(fd, "home", "east");
        drop(fd);
    }
}

HOOK_CASE(address_that_ends_where_memory_ends)
{
    struct where cache = where("cache"), native = where("cache6");
    unsigned char *bytes = at_the_end_of_memory(&cache.storage, cache.size);
    for (socklen_t length = 0; length <= 128; length++) {
        int fd = tcp_socket(AF_INET, 0);
        if (say_connect("IPv4", fd, bytes, length) == 0)
            CHECK_PEER(fd, "home", "east");
        drop(fd);
    }
    bytes = at_the_end_of_memory(&native.storage, native.size);
    for (socklen_t length = 0; length <= 128; length++) {
        int fd = tcp_socket(AF_INET6, 0);
        if (say_connect("IPv6", fd, bytes, length) == 0)
            CHECK_PEER(fd, "home", "east");
        drop(fd);
    }
    for (socklen_t cut = 1; cut < cache.size; cut++) {
        int fd = tcp_socket(AF_INET, 0);
        say_connect("cut", fd, at_the_end_of_memory(&cache.storage, cut), cut);
        say_connect("cut, length as if whole", fd, at_the_end_of_memory(&cache.storage, cut),
                    cache.size);
        drop(fd);
    }
}

HOOK_CASE(address_at_an_odd_place)
{
    struct where cache = where("cache");
    unsigned char room[64];
    for (size_t shift = 0; shift < 16; shift++) {
        int fd = tcp_socket(AF_INET, 0);
        memcpy(room + shift, &cache.storage, cache.size);
        if (say_connect("unaligned", fd, room + shift, cache.size) == 0)
            CHECK_PEER(fd, "home", "east");
        drop(fd);
    }
}

HOOK_CASE(callers_address_in_read_only_memory)
{
    static const char *const names[] = {"cache", "limping", "cache6"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct where there = where(names[i]);
        void *fixed = at_the_end_of_memory(&there.storage, there.size);
        int fd = tcp_socket(there.any.sa_family, 0);
        if (say_connect(names[i], fd, fixed, there.size) == 0)
            CHECK_PEER(fd, "home", strcmp(names[i], "limping") == 0 ? "west" : "east");
        CHECK(memcmp(fixed, &there.storage, there.size) == 0);
        drop(fd);
    }
}

HOOK_CASE(callers_address_is_unchanged)
{
    static const char *const names[] = {"cache", "limping", "down", "stranger"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct where there = where(names[i]), before = there;
        int fd = tcp_socket(AF_INET, 0);
        say_connect(names[i], fd, &there.any, sizeof there.storage);
        CHECK(memcmp(&there, &before, sizeof there) == 0);
        drop(fd);
    }
}

HOOK_CASE(socket_that_listens)
{
    struct where cache = where("cache");
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = tcp_socket(AF_INET, 0);
    CHECK(bind(fd, (const struct sockaddr *)&any, sizeof any) == 0);
    CHECK(listen(fd, 1) == 0);
    say_connect("connect while listening", fd, &cache.any, cache.size);
    close(fd);
}

HOOK_CASE(families_that_do_not_fit_the_socket)
{
    struct where four = where("cache"), six = where("cache6");
    int fd = tcp_socket(AF_INET, 0);
    say_connect("IPv6 address, IPv4 socket", fd, &six.any, six.size);
    close(fd);
    fd = tcp_socket(AF_INET6, 0);
    say_connect("IPv4 address, IPv6 socket", fd, &four.any, four.size);
    say_connect("IPv4 address, IPv6 socket, long", fd, &four.any, sizeof(struct sockaddr_in6));
    close(fd);
    fd = tcp_socket(AF_INET, 0);
    for (int family = 0; family < 50; family++) {
        struct where odd = four;
        char label[40];
        if (family == AF_INET)
            continue;
        odd.any.sa_family = (sa_family_t)family;
        snprintf(label, sizeof label, "family %d", family);
        say_connect(label, fd, &odd.any, odd.size);
    }
    close(fd);
}

HOOK_CASE(refused_call_keeps_the_kernels_errno)
{
    int fd = tcp_socket(AF_INET, 0);
    struct where down = where("down"), cache = where("cache");
    say_connect("refused", fd, &down.any, down.size);
    say_connect("refused again on the same socket", fd, &down.any, down.size);
    if (say_connect("and then accepted", fd, &cache.any, cache.size) == 0)
        CHECK_PEER(fd, "home", "east");
    say_connect("connected already", fd, &cache.any, cache.size);
    say_connect("connected already, elsewhere", fd, &down.any, down.size);
    CHECK(redis_answers(fd));
    close(fd);
}

static void say_option(const char *label, int fd, int level, int name, void *value, socklen_t *size)
{
    errno = 0;
    say_result(label, getsockopt(fd, level, name, value, size));
}

HOOK_CASE(getsockopt_as_the_kernel_answers)
{
    int value = 77, fd = connect_to("cache"), pipe_ends[2];
    socklen_t size = sizeof value;
    CHECK(fd >= 0);
    CHECK(pipe(pipe_ends) == 0);
    say_option("SO_ERROR", fd, SOL_SOCKET, SO_ERROR, &value, &size);
    say("value %d, size %u", value, size);
    say_option("SO_ERROR on -1", -1, SOL_SOCKET, SO_ERROR, &value, &size);
    say_option("SO_ERROR on a pipe", pipe_ends[0], SOL_SOCKET, SO_ERROR, &value, &size);
    say_option("SO_ERROR into nowhere", fd, SOL_SOCKET, SO_ERROR, wild_pointer(), &size);
    say_option("SO_ERROR without a size", fd, SOL_SOCKET, SO_ERROR, &value, NULL);
    say_option("SO_ERROR, wild size", fd, SOL_SOCKET, SO_ERROR, &value, wild_pointer());
    say_option("SO_ERROR on -1, all wild", -1, SOL_SOCKET, SO_ERROR, wild_pointer(),
               wild_pointer());
    for (socklen_t room = 0; room < 10; room++) {
        unsigned char small[16];
        memset(small, 0xee, sizeof small);
        size = room;
        say_option("SO_ERROR, little room", fd, SOL_SOCKET, SO_ERROR, small, &size);
        say("size %u, bytes %02x %02x %02x %02x %02x", size, small[0], small[1], small[2], small[3],
            small[4]);
    }
    size = (socklen_t)-1;
    say_option("SO_ERROR, negative room", fd, SOL_SOCKET, SO_ERROR, &value, &size);
    size = sizeof value;
    say_option("SO_TYPE", fd, SOL_SOCKET, SO_TYPE, &value, &size);
    say("type %d", value);
    say_option("the same number at another level", fd, IPPROTO_TCP, SO_ERROR, &value, &size);
    drop(fd);
}

HOOK_CASE(so_error_of_a_refusal_is_told_once)
{
    struct where down = where("down");
    for (int round = 0; round < 3; round++) {
        int fd = tcp_socket(AF_INET, SOCK_NONBLOCK), value = 0;
        socklen_t size = sizeof value;
        struct epoll_event event = {.events = EPOLLOUT};
        int poller = epoll_create1(EPOLL_CLOEXEC);
        CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0);
        say_connect("connect", fd, &down.any, down.size);
        CHECK(epoll_wait(poller, &event, 1, 5000) == 1);
        for (int again = 0; again < 2; again++) {
            value = -1;
            errno = 0;
            say_option("SO_ERROR", fd, SOL_SOCKET, SO_ERROR, &value, &size);
            say("value %s, errno %d", value == 0 ? "0" : strerrorname_np(value), errno);
        }
        close(poller);
        close(fd);
    }
}

const struct hook_case hook_cases[] = {
    HOOK_ENTRY(descriptors_that_are_no_sockets),
    HOOK_ENTRY(wild_pointer_where_the_kernel_does_not_look),
    HOOK_ENTRY(wild_pointer_gives_efault),
    HOOK_ENTRY(address_lengths),
    HOOK_ENTRY(address_lengths_of_ipv6),
    HOOK_ENTRY(address_that_ends_where_memory_ends),
    HOOK_ENTRY(address_at_an_odd_place),
    HOOK_ENTRY(callers_address_in_read_only_memory),
    HOOK_ENTRY(callers_address_is_unchanged),
    HOOK_ENTRY(socket_that_listens),
    HOOK_ENTRY(families_that_do_not_fit_the_socket),
    HOOK_ENTRY(refused_call_keeps_the_kernels_errno),
    HOOK_ENTRY(getsockopt_as_the_kernel_answers),
    HOOK_ENTRY(so_error_of_a_refusal_is_told_once),
    HOOK_END,
};

/* Blocking connections: the next endpoint within one call, and what the program set stays set. */
#include "hook_test.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static const char *redis_of(const char *name)
{
    return strcmp(name, "limping") == 0 ? "west" : "east";
}

HOOK_CASE(blocking_connect_to_a_dead_endpoint_goes_on_to_the_next)
{
    struct where limping = where("limping");
    int fd = tcp_socket(AF_INET, 0);
    CHECK(say_connect("limping", fd, &limping.any, limping.size) == 0);
    CHECK_PEER(fd, "home", "west");
    CHECK(redis_answers(fd));
    close(fd);
}

HOOK_CASE(all_endpoints_refuse)
{
    struct where down = where("down");
    uint64_t before = now_ms();
    int fd = tcp_socket(AF_INET, 0);
    say_connect("down", fd, &down.any, down.size);
    CHECK(now_ms() - before < 1000);
    close(fd);
}

HOOK_CASE(second_blocking_connect_on_a_connected_socket)
{
    struct where cache = where("cache");
    int fd = tcp_socket(AF_INET, 0);
    say_connect("first", fd, &cache.any, cache.size);
    say_connect("second", fd, &cache.any, cache.size);
    shutdown(fd, SHUT_RDWR);
    char byte;
    CHECK(recv(fd, &byte, 1, 0) == 0);
    say_connect("after shutdown", fd, &cache.any, cache.size);
    close(fd);
}

HOOK_CASE(bound_source_address_and_port_are_kept)
{
    static const char *const names[] = {"cache", "limping"};
    for (size_t i = 0; i < 2; i++) {
        struct where there = where(names[i]);
        struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr = {htonl(0x7f00004d)}}, now;
        socklen_t size = sizeof now;
        int fd = tcp_socket(AF_INET, 0), yes = 1;
        CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0);
        CHECK(bind(fd, (const struct sockaddr *)&source, sizeof source) == 0);
        CHECK(getsockname(fd, (struct sockaddr *)&source, &size) == 0);
        close(fd);

        fd = tcp_socket(AF_INET, 0);
        CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0);
        CHECK(bind(fd, (const struct sockaddr *)&source, sizeof source) == 0);
        CHECK(say_connect(names[i], fd, &there.any, there.size) == 0);
        CHECK_PEER(fd, "home", redis_of(names[i]));
        CHECK(getsockname(fd, (struct sockaddr *)&now, &size) == 0);
        CHECK(now.sin_addr.s_addr == source.sin_addr.s_addr && now.sin_port == source.sin_port);
        drop(fd);
    }
}

HOOK_CASE(bound_device_is_kept)
{
    static const char *const names[] = {"cache", "limping"};
    for (size_t i = 0; i < 2; i++) {
        struct where there = where(names[i]);
        char device[16] = "";
        socklen_t size = sizeof device;
        int fd = tcp_socket(AF_INET, 0);
        if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) != 0)
            SKIP("SO_BINDTODEVICE: %s", strerrorname_np(errno));
        CHECK(say_connect(names[i], fd, &there.any, there.size) == 0);
        CHECK_PEER(fd, "home", redis_of(names[i]));
        CHECK(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &size) == 0);
        CHECK(strcmp(device, "lo") == 0);
        drop(fd);
    }
}

struct option {
    const char *name;
    int level, number, value;
};

/* Whatever the program set before connect() is there afterwards, on one endpoint or on the next. */
HOOK_CASE(options_that_the_program_set_are_kept)
{
    static const struct option options[] = {
        {"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, 1},
        {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, 1},
        {"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, 77},
        {"TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, 13},
        {"TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, 9},
        {"TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, 12345},
        {"TCP_SYNCNT", IPPROTO_TCP, TCP_SYNCNT, 3},
        {"SO_PRIORITY", SOL_SOCKET, SO_PRIORITY, 4},
        {"IP_TOS", IPPROTO_IP, IP_TOS, 0x10},
        {"TCP_QUICKACK", IPPROTO_TCP, TCP_QUICKACK, 0},
    };
    enum { OPTIONS = sizeof options / sizeof options[0] };
    static const char *const names[] = {"cache", "limping", "stranger"};
    for (size_t n = 0; n < 3; n++) {
        struct where there = where(names[n]);
        int fd = tcp_socket(AF_INET, 0);
        for (size_t i = 0; i < OPTIONS; i++)
            CHECK(setsockopt(fd, options[i].level, options[i].number, &options[i].value,
                             sizeof(int)) == 0);
        CHECK(say_connect(names[n], fd, &there.any, there.size) == 0);
        for (size_t i = 0; i < OPTIONS; i++) {
            int value = -1;
            socklen_t size = sizeof value;
            CHECK(getsockopt(fd, options[i].level, options[i].number, &value, &size) == 0);
            say("%s %d", options[i].name, value);
        }
        drop(fd);
    }
}

HOOK_CASE(send_timeout_is_the_programs)
{
    static const char *const names[] = {"cache", "limping", "stuck"};
    for (size_t i = 0; i < 3; i++) {
        struct where there = where(names[i]);
        struct timeval limit = {.tv_usec = 300000}, after = {0}, receive = {.tv_sec = 3};
        socklen_t size = sizeof after;
        int fd = tcp_socket(AF_INET, 0);
        CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
        CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receive, sizeof receive) == 0);
        uint64_t before = now_ms();
        say_connect(names[i], fd, &there.any, there.size);
        uint64_t took = now_ms() - before;
        if (strcmp(names[i], "stuck") == 0)
            CHECK(took >= 250 && took < 1500);
        CHECK(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &after, &size) == 0);
        say("send timeout %ld ms", (long)after.tv_sec * 1000 + (long)after.tv_usec / 1000);
        CHECK(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &after, &size) == 0);
        say("receive timeout %ld ms", (long)after.tv_sec * 1000 + (long)after.tv_usec / 1000);
        drop(fd);
    }
}

HOOK_CASE(unmatched_sockets_get_no_options)
{
    static const struct option options[] = {
        {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, 0},
        {"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, 0},
        {"TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, 0},
        {"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, 0},
    };
    int fd = connect_to("stranger");
    CHECK(fd >= 0);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        int value = -1;
        socklen_t size = sizeof value;
        CHECK(getsockopt(fd, options[i].level, options[i].number, &value, &size) == 0);
        say("%s %d", options[i].name, value);
    }
    drop(fd);
}

static int option_of(int fd, int level, int number)
{
    int value = -1;
    socklen_t size = sizeof value;
    CHECK(getsockopt(fd, level, number, &value, &size) == 0);
    return value;
}

/* Set within the call, or by the guard a moment later: keepalive = 15s, user_timeout = 30s. */
HOOK_CASE(steered_sockets_get_keepalive_and_user_timeout)
{
    int fd = connect_to("cache");
    for (uint64_t before = now_ms(); now_ms() - before < 5000; poll(NULL, 0, 5))
        if (!steering() || option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) > 0)
            break;
    if (steering()) {
        CHECK(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 30000);
        CHECK(option_of(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
        CHECK(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 15);
        CHECK(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL) == 5);
    }
    CHECK(redis_answers(fd));
    drop(fd);
}

/* The program may be later than connect() and earlier than the guard, which has looked by the time
 * that another socket has its options. */
HOOK_CASE(options_set_after_connect_are_kept)
{
    int fd = connect_to("cache"), idle = 77, on = 1, limit = 12345;
    CHECK(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0);
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle) == 0);
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit) == 0);
    int other = connect_to("cache");
    for (uint64_t before = now_ms(); steering() && now_ms() - before < 5000; poll(NULL, 0, 5))
        if (option_of(other, IPPROTO_TCP, TCP_USER_TIMEOUT) == 30000)
            break;
    CHECK(!steering() || option_of(other, IPPROTO_TCP, TCP_USER_TIMEOUT) == 30000);
    CHECK(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 77);
    CHECK(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 12345);
    drop(other);
    drop(fd);
}

HOOK_CASE(descriptors_are_numbered_as_ever)
{
    int before = count_descriptors();
    int first = tcp_socket(AF_INET, 0);
    struct where cache = where("cache"), limping = where("limping");
    say("first %d", first);
    say_connect("cache", first, &cache.any, cache.size);
    int second = tcp_socket(AF_INET, 0);
    say_connect("limping", second, &limping.any, limping.size);
    say("second %d", second);
    say("descriptors %d", count_descriptors() - before);
    close(first);
    int reused = tcp_socket(AF_INET, 0);
    say("reused %d", reused);
    close(reused);
    close(second);
}

HOOK_CASE(thousands_of_connections_leave_nothing_open)
{
    int before = count_descriptors();
    for (int i = 0; i < 2000; i++) {
        int fd = connect_to(i % 2 == 0 ? "cache" : "limping");
        if (!CHECK(fd >= 0))
            break;
        drop(fd);
    }
    CHECK(count_descriptors() == before);
}

const struct hook_case hook_cases[] = {
    HOOK_ENTRY(blocking_connect_to_a_dead_endpoint_goes_on_to_the_next),
    HOOK_ENTRY(all_endpoints_refuse),
    HOOK_ENTRY(second_blocking_connect_on_a_connected_socket),
    HOOK_ENTRY(bound_source_address_and_port_are_kept),
    HOOK_ENTRY(bound_device_is_kept),
    HOOK_ENTRY(options_that_the_program_set_are_kept),
    HOOK_ENTRY(send_timeout_is_the_programs),
    HOOK_ENTRY(unmatched_sockets_get_no_options),
    HOOK_ENTRY(steered_sockets_get_keepalive_and_user_timeout),
    HOOK_ENTRY(options_set_after_connect_are_kept),
    HOOK_ENTRY(descriptors_are_numbered_as_ever),
    HOOK_ENTRY(thousands_of_connections_leave_nothing_open),
    HOOK_END,
};

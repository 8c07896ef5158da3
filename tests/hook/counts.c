/* What is counted of a connection, and what is not: late questions, abandoned attempts, observing.
 */
#include "hook_test.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { CONNECTIONS = 8, SLOW_CALL_MS = 50 };

/* Connects, is busy with something else for longer than slow_call, and asks then. */
static void ask_late(bool by_connect)
{
    struct where cache = where("cache");
    int fds[CONNECTIONS];
    uint64_t since = now_ms();
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = tcp_socket(AF_INET, SOCK_NONBLOCK);
        connect(fds[i], &cache.any, cache.size);
    }
    while (now_ms() - since < 2 * SLOW_CALL_MS)
        poll(NULL, 0, SLOW_CALL_MS);
    for (int i = 0; i < CONNECTIONS; i++) {
        int error = -1;
        socklen_t size = sizeof error;
        if (by_connect)
            say_connect("again", fds[i], &cache.any, cache.size);
        else
            say_result("SO_ERROR", getsockopt(fds[i], SOL_SOCKET, SO_ERROR, &error, &size));
        drop(fds[i]);
    }
    int fd = connect_to("cache");
    CHECK_PEER(fd, "home", "east");
    drop(fd);
}

HOOK_CASE(success_that_is_asked_for_late_is_not_slow)
{
    ask_late(false);
}

HOOK_CASE(success_that_a_second_connect_finds_late_is_not_slow)
{
    ask_late(true);
}

static void abandon(const char *first)
{
    struct where there = where(first), cache = where("cache");
    struct sockaddr_storage nobody = {.ss_family = AF_UNSPEC};
    struct pollfd wait = {.events = POLLOUT};
    wait.fd = tcp_socket(AF_INET, SOCK_NONBLOCK);
    say_connect(first, wait.fd, &there.any, there.size);
    say_connect("unspecified", wait.fd, &nobody, sizeof(struct sockaddr_in));
    say_connect("cache", wait.fd, &cache.any, cache.size);
    CHECK(poll(&wait, 1, 5000) == 1);
    CHECK_PEER(wait.fd, "home", "east");
    CHECK(redis_answers(wait.fd));
    drop(wait.fd);
}

HOOK_CASE(connect_after_one_that_was_abandoned)
{
    abandon("cache");
    abandon("stuck");
    abandon("stranger");
}

/* One connection; datagrams to its address, questions and failures are none. */
HOOK_CASE(one_connection_in_many_calls)
{
    struct where cache = where("cache");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    say_connect("datagrams", fd, &cache.any, cache.size);
    say_connect("datagrams again", fd, &cache.any, cache.size);
    close(fd);
    say_connect("no descriptor", -1, &cache.any, cache.size);
    say_connect("no socket", STDIN_FILENO, &cache.any, cache.size);
    fd = tcp_socket(AF_INET, 0);
    say_connect("connect", fd, &cache.any, cache.size);
    CHECK_PEER(fd, "home", "home");
    say_connect("connect again", fd, &cache.any, cache.size);
    say_connect("and again", fd, &cache.any, cache.size);
    drop(fd);
}

HOOK_CASE(three_connections)
{
    for (int i = 0; i < 3; i++) {
        int fd = connect_to("limping");
        CHECK(fd >= 0);
        CHECK_PEER(fd, "home", "west");
        drop(fd);
    }
}

const struct hook_case hook_cases[] = {
    HOOK_ENTRY(success_that_is_asked_for_late_is_not_slow),
    HOOK_ENTRY(success_that_a_second_connect_finds_late_is_not_slow),
    HOOK_ENTRY(connect_after_one_that_was_abandoned),
    HOOK_ENTRY(one_connection_in_many_calls),
    HOOK_ENTRY(three_connections),
    HOOK_END,
};

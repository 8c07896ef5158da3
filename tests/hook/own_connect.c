/*
 * A program with a connect() of its own that calls __connect(), glibc's other name for it: the
 * usual way to wrap a call without dlsym(). The library's hooks must not call each other by name,
 * or they come back here.
 */
#include "hook_test.h"

#include <unistd.h>

int __connect(int fd, const struct sockaddr *address, socklen_t size);

static int depth, deepest;

__attribute__((visibility("default"))) int connect(int fd, const struct sockaddr *address,
                                                   socklen_t size)
{
    if (++depth > deepest)
        deepest = depth;
    if (depth > 8)
        _exit(4);
    int result = __connect(fd, address, size);
    depth--;
    return result;
}

HOOK_CASE(connect_as_a_call_of_its_alias)
{
    static const char *const names[] = {"cache", "limping", "stranger", "down"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct where there = where(names[i]);
        int fd = tcp_socket(AF_INET, 0);
        if (say_connect(names[i], fd, &there.any, there.size) == 0 && i < 2)
            CHECK_PEER(fd, "home", i == 0 ? "east" : "west");
        drop(fd);
    }
    say("deepest call: %d", deepest);
}

const struct hook_case hook_cases[] = {
    HOOK_ENTRY(connect_as_a_call_of_its_alias),
    HOOK_END,
};

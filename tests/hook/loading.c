/* Symbols: which connect() a module, a pointer or an alias leads to, and that the library stays. */
#include "hook_test.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int connect_function(int, const struct sockaddr *, socklen_t);

static connect_function *function_of(void *handle, const char *name)
{
    connect_function *function;
    void *symbol = dlsym(handle, name);
    memcpy(&function, &symbol, sizeof function);
    return function;
}

static void connect_by(connect_function *function, const char *steered)
{
    struct where cache = where("cache");
    int fd = tcp_socket(AF_INET, 0);
    if (!CHECK(function != NULL))
        return;
    errno = 4242;
    say("result %d", function(fd, &cache.any, cache.size));
    CHECK(errno == 4242);
    CHECK_PEER(fd, "home", steered);
    CHECK(redis_answers(fd));
    drop(fd);
}

static void connect_from_module(int flags, const char *steered)
{
    void *module = dlopen(getenv("HOOK_MODULE"), RTLD_NOW | flags);
    if (!CHECK(module != NULL)) {
        say("%s", dlerror());
        return;
    }
    connect_by(function_of(module, "module_connect"), steered);
    CHECK(dlclose(module) == 0);
}

HOOK_CASE(module_opened_locally)
{
    connect_from_module(RTLD_LOCAL, "east");
    connect_from_module(RTLD_GLOBAL, "east");
    connect_from_module(RTLD_LOCAL | RTLD_LAZY, "east");
}

/* Such a module binds to libc first: not seen, and not harmed. */
HOOK_CASE(module_opened_with_deep_binding)
{
    connect_from_module(RTLD_LOCAL | RTLD_DEEPBIND, "home");
    connect_from_module(RTLD_LOCAL, "east");
}

HOOK_CASE(functions_found_by_name)
{
    connect_by(function_of(RTLD_DEFAULT, "connect"), "east");
    connect_by(function_of(RTLD_DEFAULT, "__connect"), "east");
    void *program = dlopen(NULL, RTLD_NOW);
    connect_by(function_of(program, "connect"), "east");
    dlclose(program);
}

HOOK_CASE(library_cannot_be_unloaded)
{
    const char *path = getenv("HOOK_LIBRARY");
    void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (library != NULL)
        for (int i = 0; i < 10; i++)
            dlclose(library);
    connect_by(connect, "east");
}

/* Without preloading, a library that is opened comes after libc and hooks nothing. */
HOOK_CASE(library_opened_late_changes_nothing)
{
    void *library = dlopen(getenv("HOOK_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
    if (!CHECK(library != NULL))
        say("%s", dlerror());
    connect_by(connect, "home");
    dlclose(library);
    connect_by(connect, "home");
}

HOOK_CASE(plain_connection)
{
    connect_by(connect, "east");
}

const struct hook_case hook_cases[] = {
    HOOK_ENTRY(module_opened_locally),
    HOOK_ENTRY(module_opened_with_deep_binding),
    HOOK_ENTRY(functions_found_by_name),
    HOOK_ENTRY(library_cannot_be_unloaded),
    HOOK_ENTRY(library_opened_late_changes_nothing),
    HOOK_ENTRY(plain_connection),
    HOOK_END,
};

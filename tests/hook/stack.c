/* How much stack a steered call needs: handlers and threads have little, and no page to spare. */
#include "hook_test.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { STACK = 256 * 1024, PAINT = 0xa5, HANDLER_STACK = 8192, PAGE = 4096 };

static ucontext_t here, there;
static struct where destination;
static const char *name;
static int answer;

static void connect_blocking(void)
{
    int fd = tcp_socket(AF_INET, 0);
    answer = connect(fd, &destination.any, destination.size);
    drop(fd);
}

static void connect_and_ask(void)
{
    int error = 0, fd = tcp_socket(AF_INET, SOCK_NONBLOCK);
    socklen_t size = sizeof error;
    connect(fd, &destination.any, destination.size);
    answer = getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    drop(fd);
}

static void look_up(void)
{
    struct addrinfo *found = NULL;
    answer = getaddrinfo(name, "80", NULL, &found);
    if (answer == 0)
        freeaddrinfo(found);
}

/* Bytes of stack that `function` used. */
static size_t depth_of(void (*function)(void))
{
    unsigned char *stack =
        mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t untouched = 0;
    memset(stack, PAINT, STACK);
    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = STACK;
    there.uc_link = &here;
    makecontext(&there, function, 0);
    swapcontext(&here, &there);
    while (untouched < STACK && stack[untouched] == PAINT)
        untouched++;
    munmap(stack, STACK);
    return STACK - untouched;
}

static void check_connect(const char *what, const char *to, void (*function)(void))
{
    destination = where(to);
    size_t depth = depth_of(function);
    CHECK(answer == 0);
    say("figure: %s: %zu bytes of stack", what, depth);
    CHECK(depth <= 4096);
}

HOOK_CASE(connect_needs_little_stack)
{
    check_connect("first connect", "cache", connect_blocking);
    check_connect("connect", "cache", connect_blocking);
    check_connect("connect to the second endpoint", "limping", connect_blocking);
    check_connect("connect and SO_ERROR", "cache", connect_and_ask);
    check_connect("connect and SO_ERROR, second endpoint", "limping", connect_and_ask);
}

/* libc's part is large; ours is what a name of ours needs more than a number does. */
HOOK_CASE(look_up_needs_little_more_stack_than_without)
{
    name = "127.0.0.1";
    depth_of(look_up);
    size_t libc = depth_of(look_up);
    name = "redis.test";
    size_t depth = depth_of(look_up);
    CHECK(answer == 0);
    say("figure: look-up: %zu bytes of stack, of which libc's %zu", depth, libc);
    CHECK(depth <= libc + 4096);
}

static struct where handler_cache;
static volatile sig_atomic_t connected;

static void connect_in_a_handler(int number)
{
    (void)number;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connected = connected + (connect(fd, &handler_cache.any, handler_cache.size) == 0);
    close(fd);
}

/* SIGSTKSZ as it was for decades; more where the processor's registers alone take half of it. */
HOOK_CASE(handler_on_a_small_stack_connects)
{
    long frame = sysconf(_SC_MINSIGSTKSZ);
    size_t size =
        HANDLER_STACK + (frame > 2048 ? (size_t)(frame - 2048 + PAGE - 1) / PAGE * PAGE : 0);
    char *pages = mmap(NULL, PAGE + size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = {.ss_sp = pages + PAGE, .ss_size = size};
    struct sigaction action = {.sa_handler = connect_in_a_handler, .sa_flags = SA_ONSTACK};
    CHECK(mprotect(pages + PAGE, size, PROT_READ | PROT_WRITE) == 0);
    CHECK(sigaltstack(&stack, NULL) == 0);
    handler_cache = where("cache");
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < 6; i++)
        raise(SIGUSR1);
    say("connected %d times", (int)connected);
}

const struct hook_case hook_cases[] = {
    HOOK_ENTRY(connect_needs_little_stack),
    HOOK_ENTRY(look_up_needs_little_more_stack_than_without),
    HOOK_ENTRY(handler_on_a_small_stack_connects),
    HOOK_END,
};

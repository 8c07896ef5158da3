/*
 * What other threads and signal handlers do to a connect() that is steered at that moment: close,
 * shut down, cancel, jump away, interrupt.
 */
#include "hook_test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- another thread, and the descriptor that connect() blocks in ---- */

struct blocked {
    const char *name; /* of whom it connects to */
    int fd, result, error;
    atomic_int thread;
};

static void *connect_and_block(void *argument)
{
    struct blocked *blocked = argument;
    struct where there = where(blocked->name);
    atomic_store(&blocked->thread, (int)gettid());
    blocked->result = connect(blocked->fd, &there.any, there.size);
    blocked->error = errno;
    return NULL;
}

/* Waits until that thread is inside the system call connect(). */
static bool is_connecting(int thread)
{
    char path[64], text[32];
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", thread);
    for (uint64_t until = now_ms() + 5000; now_ms() < until; usleep(200)) {
        int file = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
        close(file);
        if (length > 0 && (text[length] = '\0', atoi(text) == SYS_connect) && text[0] != 'r')
            return true;
    }
    return false;
}

static pthread_t start_blocked(struct blocked *blocked)
{
    pthread_t thread;
    blocked->fd = tcp_socket(AF_INET, 0);
    CHECK(pthread_create(&thread, NULL, connect_and_block, blocked) == 0);
    while (atomic_load(&blocked->thread) == 0)
        sched_yield();
    CHECK(is_connecting(atomic_load(&blocked->thread)));
    return thread;
}

/* Closes the descriptor under the call; the number goes to a connection to a stranger. */
static int take_its_number(int old)
{
    close(old);
    int fd = connect_to("stranger");
    CHECK(fd == old);
    return fd;
}

static void check_is_untouched(int fd)
{
    int timeout = -1, keepalive = -1;
    socklen_t size = sizeof timeout;
    CHECK(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, &size) == 0 && timeout == 0);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive, &size) == 0 && keepalive == 0);
    CHECK_PEER(fd, "home", "home");
    CHECK(redis_answers(fd));
}

/* The first attempt ends by connect.timeout; the kernel alone would wait for minutes. */
HOOK_CASE(number_of_a_failing_connect_is_somebody_elses)
{
    struct blocked blocked = {.name = "stuck"};
    pthread_t thread = start_blocked(&blocked);
    int fd = take_its_number(blocked.fd);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(blocked.result == -1 && blocked.error == ETIMEDOUT);
    check_is_untouched(fd);
    drop(fd);
}

/* A listener whose queue is full until we say so. */
static int full_listener(const struct where *there, int fillers[2])
{
    int one = 1, fd = tcp_socket(AF_INET, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    CHECK(bind(fd, &there->any, there->size) == 0);
    CHECK(listen(fd, 0) == 0);
    for (int i = 0; i < 2; i++) {
        struct timeval patience = {.tv_usec = 100000};
        fillers[i] = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(fillers[i], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        syscall(SYS_connect, fillers[i], &there->any, there->size); /* none of the library's */
    }
    return fd;
}

HOOK_CASE(number_of_a_succeeding_connect_is_somebody_elses)
{
    struct where late = where("late");
    struct blocked blocked = {.name = "late"};
    int fillers[2], accepted, listener = full_listener(&late, fillers);
    pthread_t thread = start_blocked(&blocked);
    int fd = take_its_number(blocked.fd);
    struct pollfd wait = {.fd = listener, .events = POLLIN};
    fcntl(listener, F_SETFL, O_NONBLOCK);
    for (uint64_t until = now_ms() + 5000;
         pthread_tryjoin_np(thread, NULL) == EBUSY && CHECK(now_ms() < until);) {
        poll(&wait, 1, 20);
        while ((accepted = accept(listener, NULL, NULL)) >= 0)
            close(accepted);
    }
    CHECK(blocked.result == 0);
    check_is_untouched(fd);
    drop(fd);
    close(fillers[0]);
    close(fillers[1]);
    close(listener);
}

/* The endpoint's first address refuses after a second, its second would never answer. */
HOOK_CASE(server_that_goes_away_under_connect)
{
    struct where first = where("crowd");
    struct blocked blocked = {.name = "cache"};
    int fillers[2], listener = full_listener(&first, fillers);
    uint64_t before = now_ms();
    pthread_t thread = start_blocked(&blocked);
    close(listener);
    CHECK(pthread_join(thread, NULL) == 0);
    errno = blocked.error;
    CHECK(blocked.result == -1 && errno == ECONNREFUSED);
    CHECK(now_ms() - before < 1700); /* connect.timeout = 1500ms */
    close(fillers[0]);
    close(fillers[1]);
    close(blocked.fd);
}

HOOK_CASE(shutdown_by_another_thread_ends_connect)
{
    struct blocked blocked = {.name = "stuck"};
    pthread_t thread = start_blocked(&blocked);
    say_result("shutdown", shutdown(blocked.fd, SHUT_RDWR));
    CHECK(pthread_join(thread, NULL) == 0);
    errno = blocked.error;
    say_result("connect", blocked.result);
    CHECK(peer_port(blocked.fd) == 0);
    drop(blocked.fd);
}

/* ---- the first connection of a process, which never ends ---- */

static void *connect_when_cancelled_already(void *argument)
{
    struct where cache = where("cache");
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_cancel(pthread_self());
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    connect(*(int *)argument, &cache.any, cache.size);
    return NULL;
}

/* Other calls are neither delayed nor passed through. */
static void *go_on(void *argument)
{
    (void)argument;
    struct where cache = where("cache");
    struct sockaddr_un nobody = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
    uint64_t before = now_ms();
    for (int i = 0; i < 4; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(connect(fd, (const struct sockaddr *)&nobody, sizeof nobody) == -1);
        close(fd);
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        say_connect("datagrams", fd, &cache.any, cache.size);
        close(fd);
    }
    CHECK(now_ms() - before < 400);
    for (int i = 0; i < 3; i++) {
        int fd = connect_to("cache");
        CHECK(fd >= 0);
        CHECK_PEER(fd, "home", "west");
        drop(fd);
    }
    return NULL;
}

HOOK_CASE(first_connect_in_a_cancelled_thread)
{
    int fd = tcp_socket(AF_INET, 0), before = count_descriptors();
    pthread_t thread;
    void *result = NULL;
    CHECK(pthread_create(&thread, NULL, connect_when_cancelled_already, &fd) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == PTHREAD_CANCELED);
    go_on(NULL);
    say("descriptors more: %d", count_descriptors() - before);
    close(fd);
}

static sigjmp_buf back;
static volatile sig_atomic_t signals, leave;

static void on_signal(int number)
{
    (void)number;
    signals = signals + 1;
    if (leave)
        siglongjmp(back, 1);
}

static void alarm_in(int ms, int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    struct itimerval timer = {.it_value = {.tv_usec = ms * 1000}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* The name server is silent, so that publishing is under way when the signal comes. */
HOOK_CASE(jump_out_of_the_first_connect)
{
    struct where cache = where("cache");
    volatile int fd = tcp_socket(AF_INET, 0), before = count_descriptors();
    pthread_t thread;
    leave = 1;
    if (sigsetjmp(back, 1) == 0) {
        alarm_in(100, 0);
        connect(fd, &cache.any, cache.size);
        while (signals == 0)
            pause();
    }
    leave = 0;
    CHECK(pthread_create(&thread, NULL, go_on, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    say("descriptors more: %d", count_descriptors() - before);
    close(fd);
}

/* A call that may be a signal handler's starts no child; that holds for this thread alone. */
static void *connect_with_the_signal_blocked(void *argument)
{
    sigset_t usr1;
    (void)argument;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, NULL);
    drop(connect_to("cache"));
    return NULL;
}

HOOK_CASE(first_connect_in_a_thread_that_blocks_a_handled_signal)
{
    struct sigaction action = {.sa_handler = on_signal};
    const char *peer;
    pthread_t thread;
    sigaction(SIGUSR1, &action, NULL);
    CHECK(pthread_create(&thread, NULL, connect_with_the_signal_blocked, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    uint64_t before = now_ms();
    do {
        poll(NULL, 0, 5); /* spares the server's queue, which drops what it cannot hold */
        int fd = connect_to("cache");
        peer = who(peer_port(fd));
        drop(fd);
    } while (steering() && peer[0] != 'e' && now_ms() - before < 3000);
    CHECK(peer[0] == (steering() ? 'e' : 'h'));
    CHECK(now_ms() - before < 700); /* 0.1 s, and the publication */
}

/* ---- signals ---- */

/* As most programs do; the second call takes the attempt up again. */
HOOK_CASE(interrupted_connect_is_called_again)
{
    struct where stuck = where("stuck");
    int result, calls = 0, fd = tcp_socket(AF_INET, 0);
    uint64_t before = now_ms();
    alarm_in(200, 0);
    do {
        result = connect(fd, &stuck.any, stuck.size);
        calls++;
    } while (result != 0 && errno == EINTR);
    CHECK(result == 0);
    CHECK(calls == 2 && signals == 1);
    CHECK(now_ms() - before < 2500); /* connect.timeout = 1500ms */
    CHECK_PEER(fd, "home", "west");
    CHECK(redis_answers(fd));
    drop(fd);
}

/* retry.wait = 1s, no jitter; everything refuses. The signal comes in the first pause. */
static uint64_t connect_with_a_pause(int flags, int *error)
{
    struct where down = where("down");
    int fd = tcp_socket(AF_INET, 0);
    uint64_t before = now_ms();
    alarm_in(300, flags);
    CHECK(connect(fd, &down.any, down.size) == -1);
    *error = errno;
    before = now_ms() - before;
    CHECK(signals == 1);
    close(fd);
    return before;
}

HOOK_CASE(restarting_signal_does_not_shorten_a_pause)
{
    int error;
    uint64_t took = connect_with_a_pause(SA_RESTART, &error);
    CHECK(error == ECONNREFUSED);
    CHECK(took >= 1000 && took < 1900);
}

HOOK_CASE(signal_ends_a_pause)
{
    int error;
    uint64_t took = connect_with_a_pause(0, &error);
    CHECK(error == EINTR);
    CHECK(took < 1000);
}

const struct hook_case hook_cases[] = {
    HOOK_ENTRY(number_of_a_failing_connect_is_somebody_elses),
    HOOK_ENTRY(number_of_a_succeeding_connect_is_somebody_elses),
    HOOK_ENTRY(server_that_goes_away_under_connect),
    HOOK_ENTRY(shutdown_by_another_thread_ends_connect),
    HOOK_ENTRY(first_connect_in_a_cancelled_thread),
    HOOK_ENTRY(jump_out_of_the_first_connect),
    HOOK_ENTRY(first_connect_in_a_thread_that_blocks_a_handled_signal),
    HOOK_ENTRY(interrupted_connect_is_called_again),
    HOOK_ENTRY(restarting_signal_does_not_shorten_a_pause),
    HOOK_ENTRY(signal_ends_a_pause),
    HOOK_END,
};

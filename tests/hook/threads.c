/* Threads, signals and the end of a process, in the middle of connect(). */
#include "hook_test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static void still_works(void)
{
    int fd = connect_to("cache");
    if (!CHECK(fd >= 0))
        return;
    CHECK_PEER(fd, "home", "east");
    CHECK(redis_answers(fd));
    drop(fd);
}

/* ---- cancellation ---- */

struct caller {
    int type; /* of cancellation */
    atomic_int fd;
    atomic_int thread;
    atomic_int cleaned;
};

static void clean_up(void *argument)
{
    struct caller *caller = argument;
    drop(atomic_load(&caller->fd));
    atomic_fetch_add(&caller->cleaned, 1);
}

static void *connect_for_ever(void *argument)
{
    struct caller *caller = argument;
    struct where stuck = where("stuck");
    int before;
    atomic_store(&caller->fd, tcp_socket(AF_INET, 0));
    pthread_cleanup_push(clean_up, caller);
    pthread_setcanceltype(caller->type, &before);
    atomic_store(&caller->thread, (int)gettid());
    connect(atomic_load(&caller->fd), &stuck.any, stuck.size);
    pthread_setcanceltype(before, NULL);
    pthread_cleanup_pop(1);
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

static void cancel_inside_connect(int type)
{
    for (int round = 0; round < 30; round++) {
        struct caller caller = {.type = type};
        pthread_t thread;
        void *result = NULL;
        uint64_t before = now_ms();
        CHECK(pthread_create(&thread, NULL, connect_for_ever, &caller) == 0);
        while (atomic_load(&caller.thread) == 0)
            sched_yield();
        CHECK(is_connecting(atomic_load(&caller.thread)));
        CHECK(pthread_cancel(thread) == 0);
        CHECK(pthread_join(thread, &result) == 0);
        CHECK(result == PTHREAD_CANCELED);
        CHECK(atomic_load(&caller.cleaned) == 1);
        CHECK(now_ms() - before < 5000);
    }
    still_works();
}

HOOK_CASE(deferred_cancellation_inside_connect)
{
    cancel_inside_connect(PTHREAD_CANCEL_DEFERRED);
}

HOOK_CASE(asynchronous_cancellation_inside_connect)
{
    cancel_inside_connect(PTHREAD_CANCEL_ASYNCHRONOUS);
}

static void *connect_when_cancelled_already(void *name)
{
    struct where there = where(name);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_cancel(pthread_self());
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    connect(-1, &there.any, there.size);
    return NULL;
}

HOOK_CASE(connect_is_a_cancellation_point)
{
    char names[][16] = {"cache", "stranger"};
    for (size_t i = 0; i < 2; i++) {
        pthread_t thread;
        void *result;
        CHECK(pthread_create(&thread, NULL, connect_when_cancelled_already, names[i]) == 0);
        CHECK(pthread_join(thread, &result) == 0);
        say("%s: %s", names[i], result == PTHREAD_CANCELED ? "cancelled" : "not cancelled");
    }
    still_works();
}

static void *connect_undisturbed(void *name)
{
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_cancel(pthread_self());
    int fd = connect_to(name);
    CHECK(fd >= 0);
    CHECK_PEER(fd, "home", "east");
    drop(fd);
    return NULL;
}

HOOK_CASE(disabled_cancellation_stays_disabled)
{
    char name[] = "cache";
    pthread_t thread;
    void *result;
    CHECK(pthread_create(&thread, NULL, connect_undisturbed, name) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == NULL);
}

/* ---- the end of a thread ---- */

static pthread_key_t key;
static atomic_int destroyed;

static void connect_at_the_end(void *value)
{
    (void)value;
    still_works();
    atomic_fetch_add(&destroyed, 1);
}

static void *connect_and_exit(void *value)
{
    pthread_setspecific(key, &key);
    still_works();
    if (value != NULL)
        pthread_exit(value);
    return NULL;
}

HOOK_CASE(destructors_of_thread_data_connect)
{
    pthread_t threads[8];
    CHECK(pthread_key_create(&key, connect_at_the_end) == 0);
    for (size_t i = 0; i < 8; i++)
        CHECK(pthread_create(&threads[i], NULL, connect_and_exit, i % 2 == 0 ? &key : NULL) == 0);
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    say("destructors that connected: %d", atomic_load(&destroyed));
    pthread_key_delete(key);
}

static void *connect_often(void *failures)
{
    for (int i = 0; i < 100; i++) {
        int fd = connect_to(i % 4 == 3 ? "limping" : "cache");
        if (fd < 0) {
            atomic_fetch_add((atomic_int *)failures, 1);
            continue;
        }
        CHECK_PEER(fd, "home", i % 4 == 3 ? "west" : "east");
        drop(fd);
    }
    return NULL;
}

HOOK_CASE(many_threads_connect)
{
    enum { THREADS = 16 };
    pthread_t threads[THREADS];
    atomic_int failures = 0;
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, connect_often, &failures) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    say("failures %d", atomic_load(&failures));
}

/* A thread with the smallest stack that pthread_create() takes. */
HOOK_CASE(thread_with_a_small_stack_connects)
{
    pthread_t thread;
    pthread_attr_t attributes;
    atomic_int failures = 0;
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstacksize(&attributes, 16384 + 16384) == 0);
    CHECK(pthread_create(&thread, &attributes, connect_often, &failures) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    say("failures %d", atomic_load(&failures));
    pthread_attr_destroy(&attributes);
}

/* ---- signals ---- */

static sigjmp_buf back;
static volatile sig_atomic_t signals, leave_at;

static void on_alarm(int number)
{
    (void)number;
    signals = signals + 1;
    if (leave_at != 0 && signals >= leave_at)
        siglongjmp(back, 1);
}

static void tick(int flags, int every_ms)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};
    struct itimerval timer = {.it_interval.tv_usec = every_ms * 1000,
                              .it_value.tv_usec = every_ms * 1000};
    signals = 0;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void stop_ticking(void)
{
    struct itimerval none = {0};
    setitimer(ITIMER_REAL, &none, NULL);
    signal(SIGALRM, SIG_IGN);
    leave_at = 0;
}

HOOK_CASE(signal_interrupts_a_blocking_connect)
{
    struct where stuck = where("stuck");
    int fd = tcp_socket(AF_INET, 0);
    tick(0, 30);
    say_connect("interrupted", fd, &stuck.any, stuck.size);
    say_connect("interrupted again", fd, &stuck.any, stuck.size);
    stop_ticking();
    int value = 1;
    socklen_t size = sizeof value;
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &size) == 0);
    say("SO_ERROR %d", value);
    drop(fd);
    still_works();
}

HOOK_CASE(restarting_signal_does_not_interrupt_connect)
{
    struct where stuck = where("stuck");
    int fd = tcp_socket(AF_INET, 0);
    leave_at = 4;
    if (sigsetjmp(back, 1) == 0) {
        tick(SA_RESTART, 30);
        say_connect("must not return", fd, &stuck.any, stuck.size);
    } else {
        say("left after %d signals", (int)signals);
    }
    stop_ticking();
    drop(fd);
    still_works();
}

HOOK_CASE(jump_out_of_a_blocking_connect)
{
    struct where stuck = where("stuck");
    volatile int left = 0;
    for (volatile int round = 0; round < 30; round++) {
        int fd = tcp_socket(AF_INET, 0);
        leave_at = 1;
        if (sigsetjmp(back, 1) == 0) {
            tick(0, 2);
            connect(fd, &stuck.any, stuck.size);
        } else {
            left = round + 1; /* the next tick may come too soon, too */
        }
        stop_ticking();
        drop(fd);
    }
    say("left %d times", left);
    still_works();
}

static struct where handler_cache;
static atomic_int handler_failures, handler_calls;

static void connect_in_a_handler(int number)
{
    int kept = errno;
    (void)number;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, &handler_cache.any, handler_cache.size) != 0)
        atomic_fetch_add(&handler_failures, 1);
    else
        atomic_fetch_add(&handler_calls, 1);
    drop(fd);
    errno = kept;
}

HOOK_CASE(signal_handler_connects)
{
    struct sigaction action = {.sa_handler = connect_in_a_handler, .sa_flags = SA_RESTART};
    struct itimerval timer = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000};
    handler_cache = where("cache");
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    for (uint64_t until = now_ms() + 20000;
         atomic_load(&handler_calls) < 300 && now_ms() < until;) {
        void *memory = malloc(1000 + (size_t)(now_ms() % 5000));
        int fd = connect_to("cache");
        CHECK(fd >= 0);
        drop(fd);
        free(memory);
    }
    stop_ticking();
    CHECK(atomic_load(&handler_calls) >= 300);
    say("failures in the handler %d", atomic_load(&handler_failures));
}

/* ---- the end of the process ---- */

static void *connect_until_the_end(void *argument)
{
    struct where stuck = where("stuck");
    int fd = tcp_socket(AF_INET, 0);
    atomic_store((atomic_int *)argument, (int)gettid());
    connect(fd, &stuck.any, stuck.size);
    return NULL;
}

/* The driver sees how long it takes from here to the end of the process. */
HOOK_CASE(exit_while_threads_connect)
{
    static atomic_int ids[4];
    for (size_t i = 0; i < 4; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, connect_until_the_end, &ids[i]) == 0);
    }
    for (size_t i = 0; i < 4; i++) {
        while (atomic_load(&ids[i]) == 0)
            sched_yield();
        CHECK(is_connecting(atomic_load(&ids[i])));
    }
    still_works();
}

static void connect_at_exit(void)
{
    int fd = connect_to("cache");
    if (fd < 0 || !redis_answers(fd))
        _exit(5);
    CHECK_PEER(fd, "home", "east");
    drop(fd);
}

HOOK_CASE(exit_handlers_connect)
{
    CHECK(atexit(connect_at_exit) == 0);
    CHECK(atexit(connect_at_exit) == 0);
}

const struct hook_case hook_cases[] = {
    HOOK_ENTRY(deferred_cancellation_inside_connect),
    HOOK_ENTRY(asynchronous_cancellation_inside_connect),
    HOOK_ENTRY(connect_is_a_cancellation_point),
    HOOK_ENTRY(disabled_cancellation_stays_disabled),
    HOOK_ENTRY(destructors_of_thread_data_connect),
    HOOK_ENTRY(many_threads_connect),
    HOOK_ENTRY(thread_with_a_small_stack_connects),
    HOOK_ENTRY(signal_interrupts_a_blocking_connect),
    HOOK_ENTRY(restarting_signal_does_not_interrupt_connect),
    HOOK_ENTRY(jump_out_of_a_blocking_connect),
    HOOK_ENTRY(signal_handler_connects),
    HOOK_ENTRY(exit_while_threads_connect),
    HOOK_ENTRY(exit_handlers_connect),
    HOOK_END,
};

/* Non-blocking connections: what epoll, poll, select and io_uring report, and connect() called
 * twice. */
#include "hook_test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000 };

static int so_error(int fd)
{
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &size) == 0 ? value : -1;
}

static const char *events_text(uint32_t events)
{
    static char text[80];
    text[0] = '\0';
    if ((events & EPOLLIN) != 0)
        strcat(text, " IN");
    if ((events & EPOLLOUT) != 0)
        strcat(text, " OUT");
    if ((events & EPOLLERR) != 0)
        strcat(text, " ERR");
    if ((events & EPOLLHUP) != 0)
        strcat(text, " HUP");
    if ((events & EPOLLRDHUP) != 0)
        strcat(text, " RDHUP");
    return text;
}

/*
 * On loopback the handshake is over before connect() returns, so a registration that was lost, or
 * an edge that fired too often, shows in what the first two waits report.
 */
static void wait_registered_before(const char *name, uint32_t flags, bool said)
{
    struct where there = where(name);
    int fd = tcp_socket(there.any.sa_family, SOCK_NONBLOCK);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | flags, .data.u64 = 7};
    CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0);
    if ((flags & EPOLLET) != 0) {
        int count = epoll_wait(poller, &event, 1, 0);
        say("before connect: %d%s", count, count == 1 ? events_text(event.events) : "");
    }
    say_connect("connect", fd, &there.any, there.size);
    int count = epoll_wait(poller, &event, 1, PATIENCE_MS);
    CHECK(count == 1 && event.data.u64 == 7);
    if (said)
        say("first:%s", events_text(event.events));
    if ((flags & EPOLLET) != 0)
        say("second: %d", epoll_wait(poller, &event, 1, 20));
    event.events = EPOLLOUT | flags;
    CHECK(epoll_ctl(poller, EPOLL_CTL_MOD, fd, &event) == 0);
    int error = so_error(fd);
    say("SO_ERROR %d", error);
    if (error == 0) {
        CHECK_PEER(fd, "home", strcmp(name, "limping") == 0 ? "west" : "east");
        CHECK(redis_answers(fd));
    }
    close(poller);
    drop(fd);
}

HOOK_CASE(epoll_registered_before_connect_level_triggered)
{
    wait_registered_before("cache", 0, true);
    wait_registered_before("down", 0, true);
    wait_registered_before("cache6", 0, true);
}

HOOK_CASE(epoll_registered_before_connect_edge_triggered)
{
    wait_registered_before("cache", EPOLLET, true);
    wait_registered_before("down", EPOLLET, true);
    wait_registered_before("cache6", EPOLLET, true);
}

/* A refusal may be seen early enough for a second endpoint, or be the program's to handle. */
HOOK_CASE(epoll_before_connect_to_a_dead_endpoint)
{
    struct where limping = where("limping");
    static const uint32_t flags[] = {0, EPOLLET};
    for (size_t i = 0; i < 2; i++) {
        int fd = tcp_socket(AF_INET, SOCK_NONBLOCK), poller = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event event = {.events = EPOLLOUT | flags[i]};
        CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0);
        epoll_wait(poller, &event, 1, 0);
        say_connect("connect", fd, &limping.any, limping.size);
        CHECK(epoll_wait(poller, &event, 1, PATIENCE_MS) == 1);
        int error = so_error(fd);
        if (CHECK(error == 0 || (error == ECONNREFUSED && steering())) && error == 0)
            CHECK_PEER(fd, "home", "west");
        if (error == ECONNREFUSED) {
            CHECK(connect(fd, &limping.any, limping.size) == 0 || errno == EINPROGRESS ||
                  errno == ECONNABORTED);
        }
        close(poller);
        drop(fd);
    }
}

HOOK_CASE(poll_after_connect)
{
    static const char *const names[] = {"cache", "down"};
    for (size_t i = 0; i < 2; i++) {
        struct where there = where(names[i]);
        int fd = tcp_socket(AF_INET, SOCK_NONBLOCK);
        say_connect(names[i], fd, &there.any, there.size);
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        CHECK(poll(&wait, 1, PATIENCE_MS) == 1);
        say("events%s, SO_ERROR %d", events_text((uint32_t)wait.revents), so_error(fd));
        drop(fd);
    }
}

HOOK_CASE(select_after_connect)
{
    static const char *const names[] = {"cache", "down"};
    for (size_t i = 0; i < 2; i++) {
        struct where there = where(names[i]);
        int fd = tcp_socket(AF_INET, SOCK_NONBLOCK);
        fd_set readable, writable;
        struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
        FD_ZERO(&readable);
        FD_ZERO(&writable);
        FD_SET(fd, &readable);
        FD_SET(fd, &writable);
        say_connect(names[i], fd, &there.any, there.size);
        CHECK(select(fd + 1, NULL, &writable, NULL, &patience) == 1);
        patience = (struct timeval){0};
        say("readable %d", select(fd + 1, &readable, NULL, NULL, &patience));
        say("SO_ERROR %d", so_error(fd));
        drop(fd);
    }
}

HOOK_CASE(io_uring_poll_armed_before_connect)
{
    struct io_uring_params params = {0};
    int ring = (int)syscall(SYS_io_uring_setup, 4, &params);
    if (ring < 0)
        SKIP("io_uring is not available: %s", strerrorname_np(errno));
    size_t queue_size = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    size_t done_size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    const int protection = PROT_READ | PROT_WRITE;
    unsigned char *queue = mmap(NULL, queue_size, protection, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    unsigned char *done = mmap(NULL, done_size, protection, MAP_SHARED, ring, IORING_OFF_CQ_RING);
    struct io_uring_sqe *entries = mmap(NULL, params.sq_entries * sizeof *entries, protection,
                                        MAP_SHARED, ring, IORING_OFF_SQES);
    CHECK(queue != MAP_FAILED && done != MAP_FAILED && entries != MAP_FAILED);

    struct where cache = where("cache");
    int fd = tcp_socket(AF_INET, SOCK_NONBLOCK), writer = connect_to("cache");
    CHECK(writer >= 0);
    entries[0] = (struct io_uring_sqe){.opcode = IORING_OP_POLL_ADD,
                                       .fd = fd,
                                       .poll32_events = POLLIN,
                                       .user_data = 9};
    ((unsigned *)(void *)(queue + params.sq_off.array))[0] = 0;
    atomic_store((_Atomic unsigned *)(void *)(queue + params.sq_off.tail), 1);
    /* A socket that is not connected is readable as HUP at once: that answer is the kernel's. */
    CHECK(syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0) == 1);
    say_connect("connect", fd, &cache.any, cache.size);
    CHECK(syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 0);
    const struct io_uring_cqe *answer =
        (const struct io_uring_cqe *)(const void *)(done + params.cq_off.cqes);
    say("io_uring: data %llu, result %d", (unsigned long long)answer->user_data, answer->res);

    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    CHECK(poll(&wait, 1, PATIENCE_MS) == 1);
    entries[0].poll32_events = POLLOUT;
    entries[0].user_data = 10;
    atomic_store((_Atomic unsigned *)(void *)(queue + params.sq_off.tail), 2);
    ((unsigned *)(void *)(queue + params.sq_off.array))[1] = 0;
    CHECK(syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0) == 1);
    atomic_store((_Atomic unsigned *)(void *)(done + params.cq_off.head), 1);
    CHECK(syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 0);
    say("io_uring: data %llu, result %d", (unsigned long long)answer[1].user_data, answer[1].res);
    CHECK(so_error(fd) == 0);
    CHECK_PEER(fd, "home", "east");
    close(fd);
    close(writer);
    close(ring);
}

HOOK_CASE(connect_again_as_a_status_question)
{
    struct where cache = where("cache");
    int fd = tcp_socket(AF_INET, SOCK_NONBLOCK);
    say_connect("first", fd, &cache.any, cache.size);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    CHECK(poll(&wait, 1, PATIENCE_MS) == 1);
    say_connect("second", fd, &cache.any, cache.size);
    say_connect("third", fd, &cache.any, cache.size);
    say_connect("fourth", fd, &cache.any, cache.size);
    CHECK_PEER(fd, "home", "east");
    CHECK(redis_answers(fd));
    drop(fd);
}

HOOK_CASE(connect_again_while_in_progress)
{
    struct where stuck = where("stuck"), cache = where("cache");
    int fd = tcp_socket(AF_INET, SOCK_NONBLOCK);
    say_connect("first", fd, &stuck.any, stuck.size);
    say_connect("second", fd, &stuck.any, stuck.size);
    say_connect("third", fd, &stuck.any, stuck.size);
    say_connect("elsewhere", fd, &cache.any, cache.size);
    say("SO_ERROR %d", so_error(fd));
    say_connect("after SO_ERROR", fd, &stuck.any, stuck.size);
    drop(fd);
}

HOOK_CASE(connect_again_after_a_refusal)
{
    struct where down = where("down");
    for (int asked = 0; asked < 2; asked++) {
        int fd = tcp_socket(AF_INET, SOCK_NONBLOCK);
        say_connect("first", fd, &down.any, down.size);
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        CHECK(poll(&wait, 1, PATIENCE_MS) == 1);
        if (asked)
            say("SO_ERROR %d", so_error(fd));
        say_connect("second", fd, &down.any, down.size);
        drop(fd);
    }
}

HOOK_CASE(connect_again_to_another_address)
{
    struct where cache = where("cache"), stranger = where("stranger");
    int fd = tcp_socket(AF_INET, SOCK_NONBLOCK);
    say_connect("cache", fd, &cache.any, cache.size);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    CHECK(poll(&wait, 1, PATIENCE_MS) == 1);
    say_connect("stranger", fd, &stranger.any, stranger.size);
    say_connect("stranger", fd, &stranger.any, stranger.size);
    CHECK_PEER(fd, "home", "east");
    drop(fd);
    fd = tcp_socket(AF_INET, SOCK_NONBLOCK);
    say_connect("stranger", fd, &stranger.any, stranger.size);
    CHECK(poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, PATIENCE_MS) == 1);
    say_connect("cache", fd, &cache.any, cache.size);
    say_connect("cache", fd, &cache.any, cache.size);
    CHECK_PEER(fd, "home", "home");
    drop(fd);
}

HOOK_CASE(blocking_mode_and_flags_are_left_alone)
{
    static const char *const names[] = {"cache", "limping", "down"};
    for (size_t i = 0; i < 3; i++) {
        for (int flags = 0; flags <= SOCK_NONBLOCK; flags += SOCK_NONBLOCK) {
            struct where there = where(names[i]);
            int fd = tcp_socket(AF_INET, flags);
            int status = fcntl(fd, F_GETFL), descriptor = fcntl(fd, F_GETFD);
            connect(fd, &there.any, there.size);
            CHECK(fcntl(fd, F_GETFL) == status && fcntl(fd, F_GETFD) == descriptor);
            drop(fd);
        }
    }
}

const struct hook_case hook_cases[] = {
    HOOK_ENTRY(epoll_registered_before_connect_level_triggered),
    HOOK_ENTRY(epoll_registered_before_connect_edge_triggered),
    HOOK_ENTRY(epoll_before_connect_to_a_dead_endpoint),
    HOOK_ENTRY(poll_after_connect),
    HOOK_ENTRY(select_after_connect),
    HOOK_ENTRY(io_uring_poll_armed_before_connect),
    HOOK_ENTRY(connect_again_as_a_status_question),
    HOOK_ENTRY(connect_again_while_in_progress),
    HOOK_ENTRY(connect_again_after_a_refusal),
    HOOK_ENTRY(connect_again_to_another_address),
    HOOK_ENTRY(blocking_mode_and_flags_are_left_alone),
    HOOK_END,
};

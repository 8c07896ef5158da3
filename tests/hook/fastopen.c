/* Connections opened by sendto() and sendmsg(), and sends that open none. */
#include "hook_test.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static char ping[] = "PING\r\n";
enum { PING_SIZE = sizeof ping - 1, UNTOUCHED_ERRNO = 4242 };

static bool pong(int fd)
{
    char reply[16];
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return poll(&wait, 1, 5000) == 1 && recv(fd, reply, sizeof reply, 0) == 7 &&
           memcmp(reply, "+PONG\r\n", 7) == 0;
}

static ssize_t send_by(bool message, int fd, int flags, struct where *there)
{
    struct iovec part[2] = {{.iov_base = ping, .iov_len = 2},
                            {.iov_base = ping + 2, .iov_len = PING_SIZE - 2}};
    struct msghdr header = {.msg_name = &there->any,
                            .msg_namelen = there->size,
                            .msg_iov = part,
                            .msg_iovlen = 2};
    struct msghdr before = header;
    struct where address = *there;
    errno = UNTOUCHED_ERRNO;
    ssize_t sent = message ? sendmsg(fd, &header, flags)
                           : sendto(fd, ping, PING_SIZE, flags, &there->any, there->size);
    int error = errno;
    if (sent >= 0)
        CHECK(error == UNTOUCHED_ERRNO);
    CHECK(memcmp(&header, &before, sizeof header) == 0);
    CHECK(memcmp(&address, there, sizeof address) == 0);
    errno = error;
    say_result(message ? "sendmsg" : "sendto", sent);
    return sent;
}

static void open_by_sending(const char *name, int flags, const char *kernel, const char *steered)
{
    for (int message = 0; message <= 1; message++) {
        struct where there = where(name);
        int fd = tcp_socket(there.any.sa_family, flags);
        ssize_t sent = send_by(message, fd, MSG_FASTOPEN | MSG_NOSIGNAL, &there);
        if (sent < 0 && errno == EINPROGRESS) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            CHECK(poll(&wait, 1, 5000) == 1);
            CHECK(send(fd, ping, PING_SIZE, MSG_NOSIGNAL) == PING_SIZE);
            sent = PING_SIZE;
        }
        if (sent == PING_SIZE) {
            CHECK(pong(fd));
            CHECK_PEER(fd, kernel, steered);
        }
        drop(fd);
    }
}

HOOK_CASE(blocking_send_opens_the_connection)
{
    for (int round = 0; round < 3;
         round++) { /* the second has a cookie where the server gives one */
        open_by_sending("cache", 0, "home", "east");
        open_by_sending("cache6", 0, "home", "east");
        open_by_sending("stranger", 0, "home", "home");
    }
}

/* EINPROGRESS or the bytes sent: that depends on a cookie, so it is not for the transcript. */
HOOK_CASE(non_blocking_send_opens_the_connection)
{
    open_by_sending("cache", SOCK_NONBLOCK, "home", "east");
    open_by_sending("stranger", SOCK_NONBLOCK, "home", "home");
}

HOOK_CASE(send_to_endpoints_that_refuse)
{
    open_by_sending("down", 0, "nobody we know", "nobody we know");
}

HOOK_CASE(send_without_fastopen_opens_nothing)
{
    for (int message = 0; message <= 1; message++) {
        struct where cache = where("cache"), stranger = where("stranger");
        int fd = tcp_socket(AF_INET, 0);
        send_by(message, fd, MSG_NOSIGNAL, &cache);
        CHECK(connect(fd, &cache.any, cache.size) == 0);
        CHECK_PEER(fd, "home", "east");
        send_by(message, fd, MSG_NOSIGNAL, &stranger);
        CHECK(pong(fd));
        send_by(message, fd, MSG_FASTOPEN | MSG_NOSIGNAL, &cache);
        drop(fd);
    }
}

HOOK_CASE(datagrams_to_a_matched_address_are_left_alone)
{
    for (int message = 0; message <= 1; message++) {
        struct where cache = where("cache");
        int server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        char text[16];
        CHECK(bind(server, &cache.any, cache.size) == 0);
        send_by(message, client, 0, &cache);
        CHECK(recv(server, text, sizeof text, 0) == PING_SIZE);
        /* The kernel ignores MSG_FASTOPEN here. */
        send_by(message, client, MSG_FASTOPEN, &cache);
        CHECK(recv(server, text, sizeof text, 0) == PING_SIZE);
        close(server);
        close(client);
    }
}

HOOK_CASE(control_messages_pass)
{
    int pair[2], received;
    char byte = 'x';
    _Alignas(struct cmsghdr) unsigned char space[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = space,
                            .msg_controllen = sizeof space};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    int fd = connect_to("cache");
    CHECK(fd >= 0);
    struct cmsghdr *control = CMSG_FIRSTHDR(&header);
    *control = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd),
                                .cmsg_level = SOL_SOCKET,
                                .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(control), &fd, sizeof fd);
    say_result("pass a descriptor", sendmsg(pair[0], &header, MSG_NOSIGNAL));
    close(fd);
    CHECK(recvmsg(pair[1], &header, MSG_CMSG_CLOEXEC) == 1);
    memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof received);
    CHECK_PEER(received, "home", "east");
    CHECK(redis_answers(received));
    close(received);
    close(pair[0]);
    close(pair[1]);
}

HOOK_CASE(failures_of_a_send_are_the_kernels)
{
    struct where cache = where("cache");
    int fd = tcp_socket(AF_INET, 0);
    struct iovec part = {.iov_base = ping, .iov_len = PING_SIZE};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    const int flags = MSG_FASTOPEN | MSG_NOSIGNAL;
    static const int lengths[] = {0, 1, 2, 8, 15, -1, 129};
    say_result("sendto -1", sendto(-1, ping, 6, flags, &cache.any, cache.size));
    say_result("sendto -1, wild", sendto(-1, ping, 6, flags, wild_pointer(), cache.size));
    say_result("no address", sendto(fd, ping, 6, flags, NULL, 0));
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        socklen_t size = (socklen_t)lengths[i];
        char label[60];
        snprintf(label, sizeof label, "address of length %d", lengths[i]);
        int other = tcp_socket(AF_INET, 0);
        say_result(label, sendto(other, ping, 6, flags, &cache.any, size));
        header.msg_name = &cache.any;
        header.msg_namelen = size;
        if (lengths[i] != 129) /* sendmsg() takes that as 128 */
            say_result(label, sendmsg(other, &header, flags));
        drop(other);
    }
    say_result("wild address", sendto(fd, ping, 6, flags, wild_pointer(), cache.size));
    say_result("wild header", sendmsg(fd, wild_pointer(), flags));
    say_result("wild header on -1", sendmsg(-1, wild_pointer(), flags));
    say_result("wild header, nothing to open", sendmsg(fd, wild_pointer(), 0));
    header.msg_name = wild_pointer();
    header.msg_namelen = cache.size;
    say_result("wild name", sendmsg(fd, &header, flags));
    close(fd);
}

HOOK_CASE(message_in_read_only_memory)
{
    struct where cache = where("cache");
    struct iovec part = {.iov_base = ping, .iov_len = PING_SIZE};
    struct msghdr header = {.msg_name = at_the_end_of_memory(&cache.storage, cache.size),
                            .msg_namelen = cache.size,
                            .msg_iov = at_the_end_of_memory(&part, sizeof part),
                            .msg_iovlen = 1};
    const struct msghdr *fixed = at_the_end_of_memory(&header, sizeof header);
    int fd = tcp_socket(AF_INET, 0);
    say_result("sendmsg", sendmsg(fd, fixed, MSG_FASTOPEN | MSG_NOSIGNAL));
    CHECK(pong(fd));
    CHECK_PEER(fd, "home", "east");
    drop(fd);
}

/* With a cookie connect() answers 0 before anything is sent; a refusal shows at the first write. */
HOOK_CASE(connect_with_fastopen_connect)
{
    static const char *const names[] = {"cache", "stranger", "cache"};
    int yes = 1;
    for (size_t i = 0; i < 3; i++) {
        for (int flags = 0; flags <= SOCK_NONBLOCK; flags += SOCK_NONBLOCK) {
            struct where there = where(names[i]);
            int fd = tcp_socket(AF_INET, flags);
            if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &yes, sizeof yes) != 0)
                SKIP("no TCP_FASTOPEN_CONNECT here");
            int result = connect(fd, &there.any, there.size);
            CHECK(result == 0 || (errno == EINPROGRESS && flags != 0));
            if (result != 0) {
                struct pollfd wait = {.fd = fd, .events = POLLOUT};
                CHECK(poll(&wait, 1, 5000) == 1);
            }
            ssize_t sent = send(fd, ping, PING_SIZE, MSG_NOSIGNAL);
            if (sent < 0 && CHECK(errno == EINPROGRESS || errno == EAGAIN)) {
                struct pollfd wait = {.fd = fd, .events = POLLOUT};
                CHECK(poll(&wait, 1, 5000) == 1);
                sent = send(fd, ping, PING_SIZE, MSG_NOSIGNAL);
            }
            CHECK(sent == PING_SIZE);
            CHECK(pong(fd));
            CHECK_PEER(fd, "home", i == 1 ? "home" : "east");
            drop(fd);
        }
    }
}

HOOK_CASE(connect_with_fastopen_connect_to_endpoints_that_refuse)
{
    struct where down = where("down");
    int yes = 1, fd = tcp_socket(AF_INET, 0);
    if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &yes, sizeof yes) != 0)
        SKIP("no TCP_FASTOPEN_CONNECT here");
    int result = connect(fd, &down.any, down.size);
    if (result == 0)
        result = (int)send(fd, ping, PING_SIZE, MSG_NOSIGNAL);
    say_result("connect and send", result);
    close(fd);
}

const struct hook_case hook_cases[] = {
    HOOK_ENTRY(blocking_send_opens_the_connection),
    HOOK_ENTRY(non_blocking_send_opens_the_connection),
    HOOK_ENTRY(send_to_endpoints_that_refuse),
    HOOK_ENTRY(send_without_fastopen_opens_nothing),
    HOOK_ENTRY(datagrams_to_a_matched_address_are_left_alone),
    HOOK_ENTRY(control_messages_pass),
    HOOK_ENTRY(failures_of_a_send_are_the_kernels),
    HOOK_ENTRY(message_in_read_only_memory),
    HOOK_ENTRY(connect_with_fastopen_connect),
    HOOK_ENTRY(connect_with_fastopen_connect_to_endpoints_that_refuse),
    HOOK_END,
};

/*
 * Many connections of one process: crowd HOST PORT COUNT. Connects, prints "ready", and then does
 * what it is told on standard input, a byte each:
 *
 *     b   makes one more connection, and asks PING on it every 10 ms from now on
 *     q   ends
 *
 * When all connections have been shut it prints "shut FIRST LAST", CLOCK_REALTIME microseconds, and
 * stays: neither its end nor new connections shall compete with those that are still to be shut.
 */
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_MS = 10, EVENTS = 512 };

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int open_connection(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    int fd;

    if (getaddrinfo(host, port, &hints, &found) != 0)
        die(host);
    fd = socket(found->ai_family, found->ai_socktype, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0)
        die("connect");
    freeaddrinfo(found);
    return fd;
}

static void watch(int queue, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

/* Reads what is there. False: the end. */
static bool drain(int fd)
{
    char bytes[256];
    ssize_t length = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);

    return length > 0;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    struct epoll_event events[EVENTS];
    uint64_t first = 0;
    int queue = epoll_create1(0), left, asking = -1;

    if (argc != 4)
        return 2;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    left = atoi(argv[3]);
    for (int i = 0; i < left; i++)
        watch(queue, open_connection(argv[1], argv[2]));
    watch(queue, STDIN_FILENO);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(queue, events, EVENTS, asking < 0 ? -1 : PAUSE_MS);

        if (count == 0 && write(asking, "PING\r\n", 6) < 0)
            asking = -1;
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            char word;

            if (fd == STDIN_FILENO) {
                if (read(fd, &word, 1) != 1 || word == 'q')
                    return 0;
                watch(queue, asking = open_connection(argv[1], argv[2]));
                left++;
            } else if (!drain(fd)) {
                first = first ? first : now_us();
                epoll_ctl(queue, EPOLL_CTL_DEL, fd, NULL);
                if (--left == 0) {
                    printf("shut %llu %llu\n", (unsigned long long)first,
                           (unsigned long long)now_us());
                    fflush(stdout);
                    asking = -1;
                }
            }
        }
    }
}

/*
 * A client that waits for ever: holder HOST PORT [blind]. It connects, prints "server NAME" (what
 * the key `name` holds), and blocks in a read without any timeout. When the read returns it prints
 * "shut MICROSECONDS ERRNO" (CLOCK_REALTIME) and connects anew. `blind`: it blocks in writes
 * instead, and never asks whether the other side is still there. SIGPIPE does what it does by
 * default.
 */
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int open_connection(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int fd;

    if (getaddrinfo(host, port, &hints, &found) != 0)
        return -1;
    fd = socket(found->ai_family, found->ai_socktype, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) < 0) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

/* The answer to GET name, a bulk string, in one piece: it is short. */
static bool ask_name(int fd, char *name, size_t size)
{
    static const char question[] = "GET name\r\n";
    char answer[128];
    ssize_t length;

    if (write(fd, question, sizeof(question) - 1) < 0)
        return false;
    length = read(fd, answer, sizeof(answer) - 1);
    if (length <= 0)
        return false;
    answer[length] = '\0';
    const char *text = strchr(answer, '\n');
    snprintf(name, size, "%.*s", text ? (int)strcspn(text + 1, "\r") : 0, text ? text + 1 : "");
    return true;
}

static int wait_reading(int fd)
{
    char byte;

    errno = 0;
    while (read(fd, &byte, 1) > 0)
        ;
    return errno;
}

/* Without answers, the sockets' buffers are full as soon as the server reads no more. */
static int wait_writing(int fd)
{
    static const char no_answers[] = "CLIENT REPLY OFF\r\n";
    static char block[64 * 1024];

    if (write(fd, no_answers, sizeof(no_answers) - 1) < 0)
        return errno;
    for (size_t i = 0; i + 6 <= sizeof(block); i += 6)
        memcpy(block + i, "PING\r\n", 6);
    while (write(fd, block, sizeof(block) / 6 * 6) > 0)
        ;
    return errno;
}

int main(int argc, char **argv)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    bool blind = argc == 4 && strcmp(argv[3], "blind") == 0;

    if (argc < 3)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (;;) {
        int fd = open_connection(argv[1], argv[2]), error;
        char name[64];
        struct timespec now;

        if (fd < 0 || !ask_name(fd, name, sizeof(name))) {
            if (fd >= 0)
                close(fd);
            nanosleep(&pause, NULL);
            continue;
        }
        printf("server %s\n", name);
        error = blind ? wait_writing(fd) : wait_reading(fd);
        clock_gettime(CLOCK_REALTIME, &now);
        printf("shut %lld %d\n", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000, error);
        close(fd);
    }
}

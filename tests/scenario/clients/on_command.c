/*
 * A client that connects when it is told to: on_command HOST PORT. For each byte read from standard
 * input it looks HOST up, connects (blocking), closes, and prints "ok" or the error's number.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int connect_once(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int error = 0;

    if (getaddrinfo(host, port, &hints, &found) != 0)
        return EHOSTUNREACH;
    int fd = socket(found->ai_family, found->ai_socktype, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0)
        error = errno;
    if (fd >= 0)
        close(fd);
    freeaddrinfo(found);
    return error;
}

int main(int argc, char **argv)
{
    char byte;

    if (argc != 3)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (read(STDIN_FILENO, &byte, 1) == 1) {
        int error = connect_once(argv[1], argv[2]);
        if (error)
            printf("%d\n", error);
        else
            puts("ok");
    }
    return 0;
}

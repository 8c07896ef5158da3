/* Built with musl: a program of another libc under a library that was built with glibc. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static uint16_t peer(int fd)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &size) != 0)
        return 0;
    return ntohs(address.sin_port);
}

static void connect_and_tell(const char *label, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
    char reply[16] = "";
    int error = getaddrinfo(host, port, &hints, &list);
    if (error != 0) {
        printf("%s: look-up %d\n", label, error);
        return;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = connect(fd, list->ai_addr, list->ai_addrlen);
    printf("%s: connect %d %s\n", label, result, result == 0 ? "" : strerror(errno));
    if (result == 0 && send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 && recv(fd, reply, 7, 0) == 7)
        printf("%s: %.5s\n", label, reply);
    fprintf(stderr, "%s: port %u\n", label, peer(fd));
    freeaddrinfo(list);
    close(fd);
}

/* Arguments: pairs of host and port. */
int main(int count, char **arguments)
{
    for (int i = 1; i + 1 < count; i += 2)
        connect_and_tell(arguments[i], arguments[i], arguments[i + 1]);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 1; i + 1 < count; i += 2)
            connect_and_tell("child", arguments[i], arguments[i + 1]);
        fflush(stdout);
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    printf("child ended with %d\n", status);
    return 0;
}

/* The smallest client: one_connect IP PORT connects once (blocking) and exits; 0 connected, 1 not.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sockaddr_in to = {.sin_family = AF_INET};

    if (argc != 3 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
        return 2;
    to.sin_port = htons((uint16_t)atoi(argv[2]));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0;
}

/*
 * What a process that connects looks like some seconds afterwards, when all that its library starts
 * does its work: footprint IP PORT SECONDS. Prints "private-KiB address-space-KiB threads": memory
 * that is no file's and that nobody shares, VmSize and threads.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The number behind `key` in one of our files in /proc. */
static long number_in(const char *path, const char *key)
{
    char line[256];
    long number = -1;
    FILE *file = fopen(path, "r");

    if (!file)
        exit(1);
    while (number < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0)
            number = atol(line + strlen(key));
    fclose(file);
    return number;
}

int main(int argc, char **argv)
{
    struct sockaddr_in to = {.sin_family = AF_INET};

    if (argc != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
        return 2;
    to.sin_port = htons((uint16_t)atoi(argv[2]));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        return 1;
    sleep((unsigned)atoi(argv[3]));
    printf("%ld %ld %ld\n", number_in("/proc/self/smaps_rollup", "Anonymous:"),
           number_in("/proc/self/status", "VmSize:"), number_in("/proc/self/status", "Threads:"));
    return 0;
}

/*
 * Connects and asks from several threads, each time on a new connection, until its standard input
 * ends: recorder THREADS PAUSE_US HOST PORT. Asks the server for its port, so that there are two
 * who say where a connection went. Prints a line for each, times in us of CLOCK_REALTIME:
 *
 *     BEGUN CONNECTED ENDED PEER_PORT OUTCOME SAID_PORT
 *
 * OUTCOME: answered, failed (connect()), cut (no answer on a connection that was made), late (none
 * within 10 s), odd (an answer of another kind).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static atomic_bool over;
static struct sockaddr_in to;
static useconds_t rest;

static long long now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static int peer_port(int fd)
{
    struct sockaddr_in peer = {0};
    socklen_t size = sizeof peer;

    getpeername(fd, (struct sockaddr *)&peer, &size);
    return ntohs(peer.sin_port);
}

static const char *ask(int fd, int *said)
{
    static const char question[] = "*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$4\r\nport\r\n";
    struct timeval patience = {.tv_sec = 10};
    char answer[64] = {0};
    size_t length = 0;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (send(fd, question, sizeof question - 1, MSG_NOSIGNAL) < 0)
        return "cut";
    while (sscanf(answer, "*2\r\n$4\r\nport\r\n$%*d\r\n%d\r", said) != 1 ||
           answer[length - 1] != '\n') {
        ssize_t got = recv(fd, answer + length, sizeof answer - 1 - length, 0);

        if (got <= 0)
            return got < 0 && errno == EAGAIN ? "late" : "cut";
        length += (size_t)got;
        if (answer[0] != '*' || length == sizeof answer - 1)
            return "odd";
    }
    return "answered";
}

static void connect_once(void)
{
    struct linger abort_it = {.l_onoff = 1};
    int fd = socket(AF_INET, SOCK_STREAM, 0), port = 0, said = 0;
    const char *outcome = "failed";
    long long begun = now_us(), connected;

    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) {
        connected = now_us();
        port = peer_port(fd);
        outcome = ask(fd, &said);
    } else {
        connected = now_us();
    }
    printf("%lld %lld %lld %d %s %d\n", begun, connected, now_us(), port, outcome, said);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_it, sizeof abort_it);
    close(fd);
}

static void *work(void *unused)
{
    (void)unused;
    while (!atomic_load(&over)) {
        connect_once();
        usleep(rest);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[16];
    int count = argc > 1 ? atoi(argv[1]) : 0;
    char byte;

    if (argc != 5 || count < 1 || count > 16 || inet_pton(AF_INET, argv[3], &to.sin_addr) != 1)
        return 2;
    rest = (useconds_t)atoi(argv[2]);
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)atoi(argv[4]));
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            return 1;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    atomic_store(&over, true);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

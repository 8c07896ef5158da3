/*
 * Connects and asks PING from several threads without pause, each time on a new connection:
 * steady_asker THREADS SECONDS HOST PORT SOUND. Prints how the connections ended: "asked N",
 * "refused N" (connect() failed), "cut N" (no answer on a connection that was made), and how many
 * of these were to the port SOUND: "wrong N".
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static atomic_long asked, refused, cut, wrong;
static int sound;
static struct sockaddr_in to;
static time_t until;

static int peer_port(int fd)
{
    struct sockaddr_in peer = {0};
    socklen_t size = sizeof peer;

    getpeername(fd, (struct sockaddr *)&peer, &size);
    return ntohs(peer.sin_port);
}

static void ask(void)
{
    static const char question[] = "PING\r\n";
    struct linger abort_it = {.l_onoff = 1};
    char answer[16];
    int fd = socket(AF_INET, SOCK_STREAM, 0), port;

    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        atomic_fetch_add(&refused, 1);
    } else {
        port = peer_port(fd);
        if (send(fd, question, sizeof question - 1, MSG_NOSIGNAL) < 0 ||
            recv(fd, answer, sizeof answer, 0) <= 0) {
            atomic_fetch_add(&cut, 1);
            atomic_fetch_add(&wrong, port == sound);
        } else {
            atomic_fetch_add(&asked, 1);
        }
    }
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_it, sizeof abort_it);
    close(fd);
}

static void *work(void *unused)
{
    (void)unused;
    while (time(NULL) < until)
        ask();
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[64];
    int count = argc > 1 ? atoi(argv[1]) : 0;

    if (argc != 6 || count < 1 || count > 64 || inet_pton(AF_INET, argv[3], &to.sin_addr) != 1)
        return 2;
    to.sin_family = AF_INET;
    sound = atoi(argv[5]);
    to.sin_port = htons((uint16_t)atoi(argv[4]));
    until = time(NULL) + atol(argv[2]);
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            return 1;
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    printf("asked %ld\nrefused %ld\ncut %ld\nwrong %ld\n", asked, refused, cut, wrong);
    return 0;
}

/*
 * Connects again and again from many processes and threads at once, and closes each connection at
 * once: many_connects PROCESSES THREADS EACH HOST PORT [keep | herd]. All begin together. Prints
 * "failed N" and "longest MS", the longest time inside one connect(); exit status 0 when none
 * failed. With keep, the connections stay until standard input ends. With herd, EACH is 1: first it
 * prints "connected", then every connection waits for its end, and connects anew.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct board { /* shared by all processes */
    atomic_int ready, go, connected, done;
    atomic_long failed, longest_ms;
};

static struct board *board;
static struct sockaddr_in to;
static long each;
static bool keep, herd;

static long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int connect_once(void)
{
    struct linger abort_it = {.l_onoff = 1};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    long start = now_ms(), took, longest;

    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        perror("connect");
        atomic_fetch_add(&board->failed, 1);
    }
    took = now_ms() - start;
    longest = atomic_load(&board->longest_ms);
    while (took > longest && !atomic_compare_exchange_weak(&board->longest_ms, &longest, took))
        ;
    if (keep || herd)
        return fd;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_it, sizeof abort_it);
    close(fd);
    return -1;
}

static void lose_it(int fd)
{
    char byte;

    atomic_fetch_add(&board->connected, 1);
    if (recv(fd, &byte, 1, 0) > 0)
        atomic_fetch_add(&board->failed, 1);
    close(fd);
}

static void *work(void *unused)
{
    (void)unused;
    atomic_fetch_add(&board->ready, 1);
    while (!atomic_load(&board->go))
        usleep(1000);
    for (long i = 0; i < each; i++) {
        int fd = connect_once();

        if (herd) {
            lose_it(fd);
            connect_once();
        }
    }
    atomic_fetch_add(&board->done, 1);
    return NULL;
}

static void run_process(int threads)
{
    pthread_t *ids = calloc((size_t)threads, sizeof *ids);

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test may kill our parent */
    for (int i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, work, NULL) != 0)
            exit(2);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    while (keep) /* until our parent kills us */
        pause();
    exit(0);
}

int main(int argc, char **argv)
{
    if (argc < 6)
        return 2;
    int processes = atoi(argv[1]), threads = atoi(argv[2]);
    pid_t *pids = calloc((size_t)processes, sizeof *pids);
    char byte;

    each = atol(argv[3]);
    to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[5]))};
    keep = argc > 6 && strcmp(argv[6], "keep") == 0;
    herd = argc > 6 && strcmp(argv[6], "herd") == 0;
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (inet_pton(AF_INET, argv[4], &to.sin_addr) != 1 || board == MAP_FAILED)
        return 2;
    for (int i = 0; i < processes; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            run_process(threads);
    }
    while (atomic_load(&board->ready) < processes * threads)
        usleep(1000);
    atomic_store(&board->go, 1);
    while (herd && atomic_load(&board->connected) < processes * threads)
        usleep(1000);
    if (herd)
        puts("connected");
    fflush(stdout);
    while (atomic_load(&board->done) < processes * threads)
        usleep(1000);
    printf("failed %ld\nlongest %ld\n", atomic_load(&board->failed),
           atomic_load(&board->longest_ms));
    fflush(stdout);
    while (keep && read(STDIN_FILENO, &byte, 1) > 0)
        ;
    for (int i = 0; i < processes; i++)
        if (keep)
            kill(pids[i], SIGKILL);
    for (int i = 0; i < processes; i++)
        waitpid(pids[i], NULL, 0);
    return atomic_load(&board->failed) != 0;
}

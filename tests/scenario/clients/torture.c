/*
 * What hard-pressed programs do while the library's threads are at work: torture CASE HOST PORT
 * [NUMBER]. Each begins with one connection, prints "server NAME", does its case, says how it went
 * and stays until its standard input ends.
 *
 *     reuse     for NUMBER seconds connections are closed and their descriptors used for other
 *               things at once: "rounds N harmed N"
 *     storm     NUMBER forked children connect, fifty at a time: "served N of NUMBER"
 *     namespace a child makes itself a new user namespace and connects: "unshare ERRNO server NAME"
 *     strict    the calling thread may only read and write from now on; reads until the end: "shut"
 *     alarms    reads a line; then SIGALRM comes 1000 times a second, and its handler connects: for
 *               NUMBER seconds, and until that has happened often enough:
 *               "rounds N handled N within N harmed N" (within connect())
 *     wait      reads until the end, again and again: "shut", "server NAME"
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netdb.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, AT_ONCE = 50, PASSED_BYTES = 4096, HANDLED_LEAST = 300, WITHIN_LEAST = 5 };

static struct sockaddr_storage server;
static socklen_t server_size;

static void resolve(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;

    if (getaddrinfo(host, port, &hints, &found) != 0)
        exit(3);
    memcpy(&server, found->ai_addr, found->ai_addrlen);
    server_size = found->ai_addrlen;
    freeaddrinfo(found);
}

static int open_connection(void)
{
    int fd = socket(server.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&server, server_size) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* The answer to GET name, a bulk string; it is short, and comes in one piece. */
static bool ask_name(int fd, char name[64])
{
    static const char question[] = "GET name\r\n";
    char answer[128] = "";
    const char *text;

    if (write(fd, question, sizeof question - 1) < 0 || read(fd, answer, sizeof answer - 1) <= 0)
        return false;
    text = strchr(answer, '\n');
    snprintf(name, 64, "%.*s", text ? (int)strcspn(text + 1, "\r") : 0, text ? text + 1 : "");
    return true;
}

static int open_and_tell(void)
{
    char name[64];
    int fd;

    while ((fd = open_connection()) < 0 || !ask_name(fd, name))
        close(fd);
    printf("server %s\n", name);
    fflush(stdout);
    return fd;
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- reuse ---- */

static double until_s;
static atomic_long rounds, harmed, handled;

/* Both ends of a socket pair work: what goes in comes out, and nothing else. */
static bool is_well(const int pair[2])
{
    char sent[PASSED_BYTES], got[PASSED_BYTES];

    memset(sent, 'x', sizeof sent);
    for (int i = 0; i < 2; i++)
        if (send(pair[i], sent, sizeof sent, MSG_NOSIGNAL) != sizeof sent ||
            recv(pair[1 - i], got, sizeof got, MSG_WAITALL) != sizeof got ||
            memcmp(sent, got, sizeof sent) != 0)
            return false;
    return true;
}

static void *reuse(void *argument)
{
    (void)argument;
    while (now_s() < until_s) {
        int fd = open_connection(), pair[2];
        const struct timespec pause = {.tv_nsec = 200000};

        /* Sometimes it lasts, so that the library comes to look at it. */
        if (atomic_fetch_add(&rounds, 1) % 16 == 0)
            nanosleep(&pause, NULL);
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
            continue;
        /* The number passes from one to the other without a moment between. */
        if (fd >= 0 && dup2(pair[0], fd) == fd) {
            close(pair[0]);
            pair[0] = fd;
        }
        for (int i = 0; i < 8; i++)
            if (!is_well(pair)) {
                atomic_fetch_add(&harmed, 1);
                break;
            }
        close(pair[0]);
        close(pair[1]);
    }
    return NULL;
}

static void run_reuse(double seconds)
{
    pthread_t threads[THREADS];

    until_s = now_s() + seconds;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, reuse, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("rounds %ld harmed %ld\n", (long)rounds, (long)harmed);
}

/* ---- storm, namespace ---- */

static int child_of_storm(void)
{
    char name[64];
    int fd = open_connection();

    return fd < 0 || !ask_name(fd, name);
}

static void run_storm(int count)
{
    int served = 0, status;

    for (int done = 0; done < count; done += AT_ONCE) {
        for (int i = 0; i < AT_ONCE; i++)
            if (fork() == 0)
                _exit(child_of_storm());
        while (wait(&status) > 0)
            served += WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    printf("served %d of %d\n", served, count);
}

static void run_namespace(void)
{
    int status;

    if (fork() == 0) {
        printf("unshare %d ", unshare(CLONE_NEWUSER) == 0 ? 0 : errno);
        open_and_tell();
        _exit(0);
    }
    wait(&status);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        printf("status %d\n", status);
}

/* ---- strict, wait ---- */

static void drain(int fd)
{
    char byte;

    while (read(fd, &byte, 1) > 0)
        ;
}

static void read_to_the_end(int fd)
{
    drain(fd);
    if (write(STDOUT_FILENO, "shut\n", 5) < 0)
        _exit(4);
}

static void run_strict(int fd)
{
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
        _exit(5);
    read_to_the_end(fd);
    syscall(SYS_exit, 0);
}

static void run_wait(int fd)
{
    for (;;) {
        read_to_the_end(fd);
        close(fd);
        fd = open_and_tell();
    }
}

/* ---- alarms ---- */

static volatile sig_atomic_t is_connecting, is_over;
static atomic_long within;

/* Once: where the handler takes longer than its period the program would never get to run. */
static void set_alarm(double pause_s)
{
    const struct itimerval timer = {.it_value.tv_usec = (suseconds_t)(pause_s * 1e6)};

    setitimer(ITIMER_REAL, &timer, NULL);
}

static void on_alarm(int number)
{
    int saved = errno;
    double begun_s = now_s(), took_s;
    int fd = open_connection();

    if (fd >= 0)
        close(fd);
    atomic_fetch_add(&handled, 1);
    atomic_fetch_add(&within, is_connecting);
    took_s = now_s() - begun_s;
    /* Every millisecond; and the program has as much time as its handler, on a busy machine too. */
    if (number == SIGALRM && !is_over)
        set_alarm(took_s > 0.9 ? 0.9 : took_s > 0.0005 ? took_s : 0.001 - took_s);
    errno = saved;
}

static void run_alarms(double seconds)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    /* By processor time besides: on a busy machine time passes while the program waits its turn. */
    struct itimerval running = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000}, none = {0};
    int byte;

    while ((byte = getchar()) != '\n' && byte != EOF)
        ;
    sigaddset(&action.sa_mask, SIGALRM);
    sigaddset(&action.sa_mask, SIGPROF);
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGPROF, &action, NULL);
    set_alarm(0.001);
    setitimer(ITIMER_PROF, &running, NULL);
    for (until_s = now_s() + seconds;
         now_s() < until_s || handled < HANDLED_LEAST || within < WITHIN_LEAST; rounds++) {
        void *memory = malloc(1000 + (size_t)rounds % 5000); /* what a handler must not disturb */
        char name[64];
        int fd;

        is_connecting = 1;
        fd = open_connection();
        is_connecting = 0;
        /* connect() is not restarted by SA_RESTART when it blocks; that is the kernel's word. */
        if (fd < 0 ? errno != EINTR : !ask_name(fd, name))
            harmed++;
        if (fd >= 0)
            close(fd);
        free(memory);
    }
    is_over = 1;
    set_alarm(0);
    setitimer(ITIMER_PROF, &none, NULL);
    printf("rounds %ld handled %ld within %ld harmed %ld\n", (long)rounds, (long)handled,
           (long)within, (long)harmed);
}

int main(int argc, char **argv)
{
    double number = argc > 4 ? atof(argv[4]) : 0;
    const char *word;
    int fd;

    if (argc < 4)
        return 2;
    word = argv[1];
    resolve(argv[2], argv[3]);
    fd = open_and_tell();
    if (strcmp(word, "reuse") == 0)
        run_reuse(number);
    else if (strcmp(word, "storm") == 0)
        run_storm((int)number);
    else if (strcmp(word, "namespace") == 0)
        run_namespace();
    else if (strcmp(word, "strict") == 0)
        run_strict(fd);
    else if (strcmp(word, "alarms") == 0)
        run_alarms(number);
    else
        run_wait(fd);
    /* Its threads check: whoever wants to see what they find has time to. */
    fflush(stdout);
    drain(STDIN_FILENO);
    return 0;
}

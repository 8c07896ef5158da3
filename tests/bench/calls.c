/*
 * One hooked call in a loop, timed from inside. Prints nanoseconds per call.
 *
 *     calls bare IP PORT COUNT            connect() of no descriptor: the kernel's part is smallest
 *     calls tcp IP PORT COUNT             connects to a listener; for others to count what it does
 *     calls pair IP PORT COUNT [OPTION…]  connect() to IP and past it, straight to the listener, in
 *                                         turns: by how much the median of the former is longer
 *     calls option COUNT                  getsockopt(SO_KEEPALIVE): what one system call costs here
 *     calls lookup NAME PORT COUNT        getaddrinfo() and freeaddrinfo()
 *
 * An OPTION is a system call that is made within the time, before connect() or, after the word
 * "then", behind it: a socket option that is read (g LEVEL NAME) or set (s LEVEL NAME), or getpid()
 * (p 0 0). So a driver can tell what the system calls of a library cost by themselves. The listener
 * is on the port in the environment variable LISTEN.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { OPTIONS_MAX = 32, WARM_UP = 100 };

struct option_call {
    long number; /* of the system call */
    int level, name;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in address_of(const char *ip, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

    if (inet_pton(AF_INET, ip, &to.sin_addr) != 1)
        die(ip);
    return to;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

static void time_bare(const char *ip, const char *port, long count)
{
    struct sockaddr_in to = address_of(ip, port);
    uint64_t start = 0;

    for (long i = -WARM_UP; i < count; i++) { /* the first ones attach and warm up */
        if (i == 0)
            start = now_ns();
        connect(-1, (struct sockaddr *)&to, sizeof to);
    }
    printf("%.1f\n", (double)(now_ns() - start) / (double)count);
}

static void time_option(long count)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), value;
    uint64_t start = now_ns();

    for (long i = 0; i < count; i++)
        getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &(socklen_t){sizeof value});
    printf("%.1f\n", (double)(now_ns() - start) / (double)count);
}

static void time_lookup(const char *name, const char *port, long count)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    uint64_t start = 0;

    for (long i = -WARM_UP; i < count; i++) {
        if (i == 0)
            start = now_ns();
        if (getaddrinfo(name, port, &hints, &found) != 0)
            die(name);
        freeaddrinfo(found);
    }
    printf("%.1f\n", (double)(now_ns() - start) / (double)count);
}

static int listen_here(const char *port)
{
    struct sockaddr_in here = address_of("0.0.0.0", port);
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&here, sizeof here) < 0 || listen(fd, 16) < 0)
        die("listen");
    return fd;
}

/*
 * What an option holds is of no interest, and the cost is to be the system call's: few branches.
 * What is set is an int of 1; getpid() takes no notice of its arguments.
 */
static void use_options(int fd, const struct option_call options[], int count)
{
    static int value[64];
    static const int one = 1;

    for (int i = 0; i < count; i++) {
        socklen_t length = sizeof value;
        bool sets = options[i].number == SYS_setsockopt;

        syscall(options[i].number, fd, options[i].level, options[i].name,
                sets ? (const void *)&one : value, sets ? (void *)sizeof one : &length);
    }
}

/* One connection; what connect() and the options took. */
static uint64_t time_connection(int listener, const struct sockaddr_in *to,
                                const struct option_call options[], int before, int after)
{
    struct linger abort_it = {.l_onoff = 1};
    int fd = socket(AF_INET, SOCK_STREAM, 0), accepted;
    uint64_t start = now_ns(), took;

    use_options(fd, options, before);
    if (connect(fd, (const struct sockaddr *)to, sizeof *to) < 0)
        die("connect");
    use_options(fd, options + before, after);
    took = now_ns() - start;
    accepted = accept(listener, NULL, NULL);
    /* A reset leaves no TIME_WAIT behind: ports would run out. */
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_it, sizeof abort_it);
    close(fd);
    close(accepted);
    return took;
}

static uint64_t median(uint64_t *values, long count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

static void time_tcp(const char *ip, const char *port, long count)
{
    struct sockaddr_in to = address_of(ip, port);
    int listener = listen_here(getenv("LISTEN"));

    for (long i = 0; i < count; i++)
        time_connection(listener, &to, NULL, 0, 0);
    close(listener);
}

static void time_pair(const char *ip, const char *port, long count,
                      const struct option_call options[], int before, int after)
{
    struct sockaddr_in steered = address_of(ip, port);
    struct sockaddr_in direct = address_of("127.0.0.8", getenv("LISTEN"));
    int listener = listen_here(getenv("LISTEN"));
    uint64_t *plain_ns = calloc((size_t)count, sizeof *plain_ns);
    uint64_t *under_ns = calloc((size_t)count, sizeof *under_ns);

    for (long i = -WARM_UP; i < count; i++) {
        uint64_t plain = time_connection(listener, &direct, options, before, after);
        uint64_t under = time_connection(listener, &steered, options, 0, 0);

        if (i >= 0) {
            plain_ns[i] = plain;
            under_ns[i] = under;
        }
    }
    printf("%lld\n", (long long)(median(under_ns, count) - median(plain_ns, count)));
    free(plain_ns);
    free(under_ns);
    close(listener);
}

/* How many there are before "then", and behind it. */
static void read_options(char **words, int count, struct option_call options[], int *before,
                         int *after)
{
    int *found = before;

    *before = *after = 0;
    for (int i = 0; i < count && *before + *after < OPTIONS_MAX; i++) {
        if (strcmp(words[i], "then") == 0) {
            found = after;
        } else if (i + 2 < count) {
            options[*before + *after] =
                (struct option_call){.number = words[i][0] == 'p'   ? SYS_getpid
                                               : words[i][0] == 's' ? SYS_setsockopt
                                                                    : SYS_getsockopt,
                                     .level = atoi(words[i + 1]),
                                     .name = atoi(words[i + 2])};
            ++*found;
            i += 2;
        }
    }
}

int main(int argc, char **argv)
{
    struct option_call options[OPTIONS_MAX];
    int before, after;

    if (argc >= 5 && strcmp(argv[1], "bare") == 0)
        time_bare(argv[2], argv[3], atol(argv[4]));
    else if (argc >= 3 && strcmp(argv[1], "option") == 0)
        time_option(atol(argv[2]));
    else if (argc >= 5 && strcmp(argv[1], "lookup") == 0)
        time_lookup(argv[2], argv[3], atol(argv[4]));
    else if (argc >= 5 && strcmp(argv[1], "tcp") == 0)
        time_tcp(argv[2], argv[3], atol(argv[4]));
    else if (argc >= 5 && strcmp(argv[1], "pair") == 0) {
        read_options(argv + 5, argc - 5, options, &before, &after);
        time_pair(argv[2], argv[3], atol(argv[4]), options, before, after);
    } else {
        return 2;
    }
    return 0;
}

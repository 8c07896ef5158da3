#include "probe_lab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

static char directory[] = "/dev/shm/probe-lab-XXXXXX";

int next_socket_fails;
int next_connect_fails;
bool next_connect_to_itself;

/* As in libc, not variadic inside: what the caller did not pass is passed on unseen. */
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    int *fails = number == SYS_connect  ? &next_connect_fails
                 : number == SYS_socket ? &next_socket_fails
                                        : NULL;

    if (fails && *fails) {
        errno = *fails;
        *fails = 0;
        return -1;
    }
    if (number == SYS_connect && next_connect_to_itself) {
        next_connect_to_itself = false;
        __real_syscall(SYS_bind, a, b, c, d, e, f);
    }
    return __real_syscall(number, a, b, c, d, e, f);
}

int lab_run(const char *name, const TTest *const tests[], size_t count)
{
    char command[64];
    int status;

    if (!mkdtemp(directory))
        return EXIT_FAILURE;
    status = unit_run(name, tests, count);
    snprintf(command, sizeof(command), "rm -r %s", directory);
    return system(command) == 0 ? status : EXIT_FAILURE;
}

struct address loopback(uint16_t port)
{
    struct address address;

    ck_assert_int_eq(address_parse_ip("127.0.0.1", &address), 0);
    address.port = port;
    return address;
}

static int listen_anywhere(uint16_t *port, int backlog)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(name);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    if (backlog >= 0)
        ck_assert_int_eq(listen(fd, backlog), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    *port = ntohs(name.sin_port);
    return fd;
}

uint16_t free_port(void)
{
    uint16_t port;

    close(listen_anywhere(&port, -1));
    return port;
}

/* ---- redis-server ---- */

static void run_server(uint16_t port, const char *const options[])
{
    char port_text[8], file[16];
    const char *words[48] = {"redis-server",
                             "--port",
                             port_text,
                             "--bind",
                             "127.0.0.1",
                             "--save",
                             "",
                             "--dir",
                             directory,
                             "--logfile",
                             "/dev/null",
                             "--daemonize",
                             "no",
                             "--enable-debug-command",
                             "yes",
                             "--dbfilename",
                             file};
    union {
        const char **in;
        char *const *out;
    } list = {.in = words};
    unsigned count = 17;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(port_text, sizeof(port_text), "%u", port);
    snprintf(file, sizeof(file), "%u.rdb", port);
    for (; *options; options++)
        words[count++] = *options;
    execvp("redis-server", list.out);
    _exit(127);
}

static bool accepts(uint16_t port)
{
    redisContext *context = redisConnect("127.0.0.1", port);
    bool good = context && !context->err;

    redisFree(context);
    return good;
}

struct server server_start(const char *const options[])
{
    uint64_t until = clock_boot_ns() + PATIENCE_MS * NS_PER_MS;

    while (clock_boot_ns() < until) {
        struct server server = {.port = free_port()};

        server.pid = fork();
        if (server.pid == 0)
            run_server(server.port, options);
        ck_assert_int_gt(server.pid, 0);
        /* Another process may have taken the port meanwhile: then it ends. */
        while (waitpid(server.pid, NULL, WNOHANG) == 0 && clock_boot_ns() < until) {
            if (accepts(server.port))
                return server;
            poll(NULL, 0, 5);
        }
        kill(server.pid, SIGKILL);
    }
    ck_abort_msg("redis-server does not start");
}

void server_kill(const struct server *server)
{
    kill(server->pid, SIGKILL);
    ck_assert_int_eq(waitpid(server->pid, NULL, 0), server->pid);
}

/* What a test opens lasts until its process ends, and is given back then: leak checkers look. */
struct kept {
    struct kept *next;
    void *what;
    void (*give_back)(void *what);
};
static struct kept *kept;

static void give_back_all(void)
{
    while (kept) {
        struct kept *first = kept;

        kept = first->next;
        first->give_back(first->what);
        free(first);
    }
}

static void keep(void *what, void (*give_back)(void *what))
{
    struct kept *first = malloc(sizeof(*first));

    if (!kept)
        atexit(give_back_all);
    *first = (struct kept){.next = kept, .what = what, .give_back = give_back};
    kept = first;
}

static void close_client(void *client)
{
    redisFree(client);
}

void *client_open(const struct server *server)
{
    redisContext *context = redisConnect("127.0.0.1", server->port);

    ck_assert(context && !context->err);
    keep(context, close_client);
    return context;
}

void client_command(void *client, const char *command)
{
    char text[256];
    char *words[16];
    const char *in_order[16];
    int count = 0;
    char *rest = NULL;
    redisReply *reply;

    snprintf(text, sizeof(text), "%s", command);
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    for (int i = 0; i < count; i++)
        in_order[i] = words[i];
    reply = redisCommandArgv(client, count, in_order, NULL);
    ck_assert_msg(reply != NULL, "%s: no reply", command);
    ck_assert_msg(reply->type != REDIS_REPLY_ERROR, "%s: %s", command, reply->str);
    freeReplyObject(reply);
}

bool client_is_served(void *client)
{
    redisReply *reply = redisCommand(client, "PING");
    bool served = reply && reply->type == REDIS_REPLY_STATUS;

    freeReplyObject(reply);
    return served;
}

void client_order(const struct server *server, const char *command)
{
    redisContext *context = client_open(server);
    size_t length = strlen(command);

    ck_assert_int_eq(send(context->fd, command, length, 0), (ssize_t)length);
    ck_assert_int_eq(send(context->fd, "\r\n", 2, 0), 2);
}

/* ---- the stand-in ---- */

struct peer peer_listen(void)
{
    struct peer peer = {.fd = -1};

    peer.listening = listen_anywhere(&peer.port, 16);
    return peer;
}

void peer_says(struct peer *peer, const char *text)
{
    peer->says = text;
    peer->length = strlen(text);
    peer->said = 0;
}

static void peer_drop(struct peer *peer)
{
    close(peer->fd);
    peer->fd = -1;
}

static void peer_speak(struct peer *peer)
{
    size_t length = peer->length - peer->said;
    ssize_t sent;

    if (peer->slice && length > peer->slice)
        length = peer->slice;
    sent = send(peer->fd, peer->says + peer->said, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return;
    peer->said += (size_t)sent;
    if (peer->said < peer->length)
        return;
    if (peer->endless)
        peer->said = 0;
    else if (peer->hangs_up)
        peer_drop(peer);
    else
        peer->says = NULL;
}

static void peer_hear(struct peer *peer)
{
    char bytes[4096];
    ssize_t length = recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (length < 0 && errno == EAGAIN)
        return;
    if (length <= 0) {
        peer_drop(peer);
        return;
    }
    if (peer->hang_ups > 0) {
        peer->hang_ups--;
        peer_drop(peer);
        return;
    }
    for (ssize_t i = 0; i < length && peer->heard < sizeof(peer->last) - 1; i++)
        peer->last[peer->heard++] = bytes[i];
    peer->last[peer->heard] = '\0';
}

static void peer_turn(struct peer *peer)
{
    int fd = accept4(peer->listening, NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0) {
        if (peer->fd >= 0)
            close(peer->fd);
        peer->fd = fd;
        peer->accepted++;
        peer->heard = 0;
        peer->said = 0;
    }
    if (peer->fd >= 0)
        peer_hear(peer);
    if (peer->fd >= 0 && peer->heard > 0 && peer->says)
        peer_speak(peer);
}

/* ---- the probe ---- */

struct probe_target target_of(enum probe_kind kind, uint16_t port)
{
    return (struct probe_target){.addresses = {loopback(port)}, .address_count = 1, .kind = kind};
}

struct probe *probe_new(const struct probe_target *target)
{
    struct probe *probe = malloc(probe_size());

    keep(probe, free);
    probe_init(probe, target);
    return probe;
}

void lab_turn(struct probe *probe, struct peer *peer)
{
    struct pollfd waiting[] = {
        {.fd = probe_fd(probe), .events = probe_events(probe)},
        {.fd = peer ? peer->listening : -1, .events = POLLIN},
        {.fd = peer ? peer->fd : -1,
         .events = POLLIN | (peer && peer->says && peer->heard ? POLLOUT : 0)},
    };

    poll(waiting, 3, 1);
    if (waiting[0].revents)
        probe_handle(probe, waiting[0].revents, clock_boot_ns());
    if (peer)
        peer_turn(peer);
}

struct probe_result lab_check(struct probe *probe, struct peer *peer, unsigned timeout_ms)
{
    struct probe_result result;
    uint64_t now = clock_boot_ns();

    ck_assert(probe_start(probe, now, now + timeout_ms * NS_PER_MS));
    while (!probe_take(probe, &result)) {
        lab_turn(probe, peer);
        probe_expire(probe, clock_boot_ns());
    }
    return result;
}

void expect_result(struct probe_result result, enum probe_outcome outcome, enum check_cause cause)
{
    ck_assert_msg(result.outcome == outcome && result.cause == cause,
                  "outcome %d cause %d error %d, expected outcome %d cause %d", result.outcome,
                  result.cause, result.error, outcome, cause);
}

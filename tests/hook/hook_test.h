/*
 * hook_test: what the programs of this directory share.
 *
 * A program is a table of cases. The driver names one and runs it without the library, under it in
 * several conditions, and from the constructor of a library that is initialised before it. A case
 * prints a transcript of what the calls returned; the driver compares transcripts, which must not
 * depend on the library. Where the library does make a difference (who answers), the case checks.
 *
 * The environment tells where things are: HOOK_<NAME>=address:port of what a program may ask for,
 * HOOK_PORTS="east=1 west=2 home=3" who listens on which port, HOOK_MODE=kernel (nothing is
 * steered), steered, or either, and HOOK_GUARDED=1 that the case begins once the guard watches.
 */
#ifndef HOOK_TEST_H
#define HOOK_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct hook_case {
    const char *name;
    void (*run)(void);
};

/* Each program defines its cases; a NULL name ends them. */
extern const struct hook_case hook_cases[];

#define HOOK_CASE(name) static void name(void)
#define HOOK_ENTRY(name)                                                                           \
    {                                                                                              \
#name, name                                                                                \
    }
#define HOOK_END                                                                                   \
    {                                                                                              \
        NULL, NULL                                                                                 \
    }

/* One line of the transcript: written at once, so that fork() duplicates nothing. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "label: 0" (or another result that is not negative), else "label: ENAME" by errno. */
void say_result(const char *label, long result);

/* Fails the case and goes on. */
#define CHECK(condition) hook_check((condition), #condition, __FILE__, __LINE__)
bool hook_check(bool holds, const char *text, const char *file, int line);

/* Leaves the case (which must be the caller) as skipped, with the reason. */
#define SKIP(...)                                                                                  \
    do {                                                                                           \
        hook_skip(__VA_ARGS__);                                                                    \
        return;                                                                                    \
    } while (0)
void hook_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- who and where ---- */

struct where {
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
    };
    socklen_t size;
};

/* The address in $HOOK_<NAME>, "10.0.0.1:80" or "[::1]:80"; ends the process when it is not there.
 */
struct where where(const char *name);

/* The same address as an IPv6 socket spells it. */
struct where where_mapped(const char *name);

/* True when the library is expected to steer. */
bool steering(void);

/* Checks who is at the other end: `kernel` without steering, `steered` with it. */
#define CHECK_PEER(fd, kernel, steered)                                                            \
    hook_check_peer((fd), (kernel), (steered), __FILE__, __LINE__)
void hook_check_peer(int fd, const char *kernel, const char *steered, const char *file, int line);

/* Who listens on that port: "east", "west", "home", or "nobody we know". */
const char *who(uint16_t port);

/* The peer's port, 0 when there is none. */
uint16_t peer_port(int fd);

/* ---- calls ---- */

/* A TCP socket; ends the process when there is none to be had. `flags` as SOCK_NONBLOCK. */
int tcp_socket(int family, int flags);

/* A blocking connection by a new socket; the socket, or -errno. */
int connect_to(const char *name);

/* connect() with errno watched: says the result; a success must leave errno as it was. */
int say_connect(const char *label, int fd, const void *address, socklen_t size);

/* PING and PONG: true when a Redis server answers on fd. */
bool redis_answers(int fd);

/* Ends a connection at once, leaving no TIME_WAIT behind. */
void drop(int fd);

/* A pointer that no call can read. */
void *wild_pointer(void);

/* `size` bytes that end where readable memory ends, copied from `bytes`. */
void *at_the_end_of_memory(const void *bytes, size_t size);

/*
 * The library's guard watches this process from now on, so that connect() leaves to it what it sets
 * itself elsewhere: false when that does not come to pass. Takes a few connections to "cache".
 */
bool wait_for_the_guard(void);

/* How many descriptors, threads this process has. */
int count_descriptors(void);
int count_threads(void);

/* Milliseconds since some moment. */
uint64_t now_ms(void);

#endif

/*
 * probe_lab: what the tests of src/probe talk to: real redis-servers, and a stand-in that says what
 * it is told to. Everything runs on loopback, in this process or in children that die with it.
 */
#ifndef PROBE_LAB_H
#define PROBE_LAB_H

#include <sys/types.h>

#include "base/clock.h"
#include "probe/probe.h"
#include "unit.h"

/* unit_run() between making and removing the directory that the servers run in. */
int lab_run(const char *name, const TTest *const tests[], size_t count);

/* ---- redis-server ---- */

struct server {
    pid_t pid;
    uint16_t port;
};

/* Options as on its command line, ended by NULL. Returns when it accepts connections. */
struct server server_start(const char *const options[]);
void server_kill(const struct server *server);

/* A connection of an ordinary client (a redisContext), and a command on it; insists on no error. */
void *client_open(const struct server *server);
void client_command(void *client, const char *command);
bool client_is_served(void *client);
/* On a connection of its own, without waiting for an answer. */
void client_order(const struct server *server, const char *command);

/* ---- the stand-in: one listening socket, one connection at a time ---- */

struct peer {
    int listening;
    int fd; /* the newest connection, -1: none */
    uint16_t port;
    unsigned accepted;
    size_t heard;     /* bytes, on this connection */
    char last[1024];  /* as much of them as fits */
    const char *says; /* after something was heard; NULL: silent */
    size_t length;    /* of `says` */
    size_t slice;     /* bytes sent at a time; 0: all */
    size_t said;
    bool endless;      /* `says` again and again */
    bool hangs_up;     /* when all is said */
    unsigned hang_ups; /* instead of an answer, so many connections are ended */
};

struct peer peer_listen(void);
void peer_says(struct peer *peer, const char *text);

/* ---- the probe ---- */

uint16_t free_port(void);
struct address loopback(uint16_t port);
struct probe_target target_of(enum probe_kind kind, uint16_t port);
/* Never freed: a test is a process. */
struct probe *probe_new(const struct probe_target *target);

/* Polls once and handles what came, for the peer too (NULL: none). Does not judge deadlines. */
void lab_turn(struct probe *probe, struct peer *peer);

/* One more check, and turns until it has finished. */
struct probe_result lab_check(struct probe *probe, struct peer *peer, unsigned timeout_ms);

/* Insists on that result. */
void expect_result(struct probe_result result, enum probe_outcome outcome, enum check_cause cause);

/* ---- system calls that fail when told to (wrapped by the linker) ---- */

extern int next_socket_fails; /* this errno, once */
extern int next_connect_fails;
extern bool next_connect_to_itself;

#endif

/*
 * sentinel: one connection to one Sentinel (or to anything that speaks its protocol, such as the
 * discovery service of Redis Enterprise). It asks for the master of a name and its replicas, or
 * listens for a change of master. Non-blocking and without allocation, as a probe is.
 *
 *     sentinel_start()   connects, and sends what there is to send
 *     sentinel_handle()  after poll(): what has become known
 *
 * The caller watches the time: who is late is closed and counts as failed.
 */
#ifndef PROBE_SENTINEL_H
#define PROBE_SENTINEL_H

#include "probe/connection.h"

/* What one Sentinel says. */
struct sentinel_answer {
    struct address master; /* port 0: it has named none */
    unsigned count;        /* the master first, then its replicas */
    struct address servers[ENDPOINTS_MAX];
    bool calm; /* it finds the master well, and knows of no failover under way */
};

enum sentinel_work { SENTINEL_ASK, SENTINEL_LISTEN };

enum sentinel_news {
    SENTINEL_NOTHING,
    SENTINEL_LISTENING, /* from now on it will be heard */
    SENTINEL_ANSWERED,  /* `answer` is complete; the connection is closed */
    SENTINEL_SWITCHED,  /* `answer.master` is a new one; the connection may be closed, as after: */
    SENTINEL_FAILED,    /* `cause` says why; the connection is closed */
};

struct sentinel {
    const struct discover_settings *settings; /* the caller's */
    enum sentinel_work work;
    bool listening;
    unsigned replies; /* read so far; the first is that to AUTH where there was one */
    enum check_cause cause;
    struct sentinel_answer answer;
    /* of the reply that is being read: */
    char key[16];
    char host[ADDRESS_HOST_TEXT];
    char channel[32];
    bool named_host; /* by a name, which nobody here can look up */
    struct probe_target target;
    struct connection connection; /* last: large */
};

/* `settings` stay the caller's. `username` and `password` may be "". */
void sentinel_init(struct sentinel *sentinel, const struct discover_settings *settings,
                   unsigned index, const char *username, const char *password);
void sentinel_close(struct sentinel *sentinel);

/* On a closed one. SENTINEL_NOTHING: under way; or SENTINEL_FAILED. */
enum sentinel_news sentinel_start(struct sentinel *sentinel, enum sentinel_work work);

bool sentinel_is_open(const struct sentinel *sentinel);
int sentinel_fd(const struct sentinel *sentinel);
short sentinel_events(const struct sentinel *sentinel);
enum sentinel_news sentinel_handle(struct sentinel *sentinel, short revents);

/* Where `host` and `port`, as Sentinels say them, are for this host. False: by a name. */
bool sentinel_place(const struct discover_settings *settings, const char *host, unsigned port,
                    struct address *out);

#endif

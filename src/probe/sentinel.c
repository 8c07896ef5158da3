#include "probe/sentinel.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "base/wipe.h"
#include "probe/answer.h"
#include "probe/auth.h"
#include "probe/foreign.h"

enum { READS_MAX = 16, PORT_MAX = 65535 };

static const char SWITCH_CHANNEL[] = "+switch-master";

/* ---- addresses ---- */

static unsigned port_of(const char *text)
{
    unsigned port = 0;

    for (; *text >= '0' && *text <= '9' && port <= PORT_MAX; text++)
        port = port * 10 + (unsigned)(*text - '0');
    return *text || port > PORT_MAX ? 0 : port;
}

bool sentinel_place(const struct discover_settings *settings, const char *host, unsigned port,
                    struct address *out)
{
    for (uint32_t i = 0; i < settings->nat_count; i++) {
        const struct nat_entry *entry = &settings->nat[i];

        if (entry->port == port && text_equal(entry->host, host)) {
            *out = entry->to;
            return true;
        }
    }
    if (address_parse_ip(host, out) != 0)
        return false;
    out->port = (uint16_t)port;
    return true;
}

/* One more that it names: `sentinel->host`, which goes with this port and no other. */
static bool take_server(struct sentinel *sentinel, const char *port_text, struct address *out)
{
    unsigned port = port_of(port_text);
    bool placed = port != 0 && sentinel_place(sentinel->settings, sentinel->host, port, out);

    sentinel->named_host = sentinel->named_host || (port != 0 && !placed);
    sentinel->host[0] = '\0';
    return placed;
}

static void add_server(struct sentinel_answer *answer, const struct address *address)
{
    for (unsigned i = 0; i < answer->count; i++)
        if (address_equal(&answer->servers[i], address))
            return;
    if (answer->count < ENDPOINTS_MAX)
        answer->servers[answer->count++] = *address;
}

/* ---- words of a reply ---- */

/* "" where it does not fit: the beginning of a word is another word. */
static void keep(char *to, size_t size, const char *text)
{
    if (!text_copy(to, size, text))
        to[0] = '\0';
}

static bool says_auth(const struct sentinel *sentinel)
{
    return sentinel->target.password[0] && sentinel->replies == 0;
}

static unsigned question(const struct sentinel *sentinel)
{
    return sentinel->replies - (sentinel->target.password[0] ? 1 : 0);
}

/* [ip, port] */
static void hear_master(struct sentinel *sentinel, const struct word *word, const char *text)
{
    if (word->depth != 1)
        return;
    if (word->index == 0)
        keep(sentinel->host, sizeof(sentinel->host), text);
    else if (word->index == 1 && take_server(sentinel, text, &sentinel->answer.master))
        add_server(&sentinel->answer, &sentinel->answer.master);
}

/* [[key, value, …], …], one for each replica; "ip" comes before "port". */
static void hear_replica(struct sentinel *sentinel, const struct word *word, const char *text)
{
    struct address address;

    if (word->depth != 2)
        return;
    if (word->index % 2 == 0) {
        keep(sentinel->key, sizeof(sentinel->key), text);
    } else if (text_equal(sentinel->key, "ip")) {
        keep(sentinel->host, sizeof(sentinel->host), text);
    } else if (text_equal(sentinel->key, "port") && take_server(sentinel, text, &address)) {
        add_server(&sentinel->answer, &address);
    }
}

static bool has_part(const char *text, const char *part)
{
    size_t length = strlen(part);

    for (; *text; text++)
        if (strncmp(text, part, length) == 0)
            return true;
    return false;
}

/* [key, value, …] of the master; "flags" tells how it is. */
static void hear_state(struct sentinel *sentinel, const struct word *word, const char *text)
{
    if (word->depth != 1)
        return;
    if (word->index % 2 == 0)
        keep(sentinel->key, sizeof(sentinel->key), text);
    else if (text_equal(sentinel->key, "flags"))
        sentinel->answer.calm = text[0] && !has_part(text, "down") && !has_part(text, "failover") &&
                                !has_part(text, "disconnected");
}

/* The next word of a line, which is then behind it. False: there is none, or it does not fit. */
static bool next_word(const char **line, char *out, size_t size)
{
    size_t length = strcspn(*line, " ");

    if (length == 0 || length >= size)
        return false;
    memcpy(out, *line, length);
    out[length] = '\0';
    *line += length + ((*line)[length] == ' ');
    return true;
}

/* "name old-ip old-port new-ip new-port"; anything else is passed over. */
static void hear_switch(struct sentinel *sentinel, const char *line)
{
    char name[MASTER_TEXT], old[ADDRESS_HOST_TEXT], port[16];

    if (next_word(&line, name, sizeof(name)) && text_equal(name, sentinel->settings->master_name) &&
        next_word(&line, old, sizeof(old)) && next_word(&line, port, sizeof(port)) &&
        next_word(&line, sentinel->host, sizeof(sentinel->host)) &&
        next_word(&line, port, sizeof(port)))
        take_server(sentinel, port, &sentinel->answer.master);
}

/* [message, channel, line] */
static void hear_message(struct sentinel *sentinel, const struct word *word, const char *text)
{
    if (word->depth != 1)
        return;
    if (word->index == 1)
        keep(sentinel->channel, sizeof(sentinel->channel), text);
    else if (word->index == 2 && text_equal(sentinel->channel, SWITCH_CHANNEL))
        hear_switch(sentinel, text);
}

static void hear(void *listener, const struct word *word)
{
    struct sentinel *sentinel = listener;
    char text[2 * ADDRESS_HOST_TEXT];
    size_t length = word->length < sizeof(text) ? word->length : 0; /* see keep() */

    if (says_auth(sentinel))
        return;
    memcpy(text, word->text, length);
    text[length] = '\0';
    if (sentinel->work == SENTINEL_LISTEN)
        hear_message(sentinel, word, text);
    else if (question(sentinel) == 0)
        hear_master(sentinel, word, text);
    else if (question(sentinel) == 1)
        hear_replica(sentinel, word, text);
    else
        hear_state(sentinel, word, text);
}

/* ---- replies ---- */

static enum sentinel_news failed(struct sentinel *sentinel, enum check_cause cause)
{
    sentinel->cause = cause;
    sentinel_close(sentinel);
    return SENTINEL_FAILED;
}

static enum check_cause cause_of_error(const struct reply *reply)
{
    if (text_starts(reply->text, "ERR No such master") || text_starts(reply->text, "IDONTKNOW"))
        return CHECK_NO_SUCH_MASTER;
    return answer_cause(reply->text);
}

static enum sentinel_news take_answer(struct sentinel *sentinel, const struct reply *reply)
{
    bool last = question(sentinel) == 2;

    sentinel->replies++;
    /* How the master is need not be known: a discovery service does not tell. */
    if (reply->type == REPLY_ERROR && !last)
        return failed(sentinel, cause_of_error(reply));
    if (reply->type != REPLY_ARRAY && reply->type != REPLY_NIL && !last)
        return failed(sentinel, CHECK_WRONG_REPLY);
    if (sentinel->answer.master.port == 0)
        return failed(sentinel, sentinel->named_host ? CHECK_SENTINEL_NAMES : CHECK_NO_SUCH_MASTER);
    if (!last)
        return SENTINEL_NOTHING;
    sentinel_close(sentinel);
    return SENTINEL_ANSWERED;
}

static enum sentinel_news take_message(struct sentinel *sentinel, const struct reply *reply)
{
    if (reply->type == REPLY_ERROR)
        return failed(sentinel, cause_of_error(reply));
    if (!sentinel->listening) {
        sentinel->listening = true;
        return SENTINEL_LISTENING;
    }
    return sentinel->answer.master.port ? SENTINEL_SWITCHED : SENTINEL_NOTHING;
}

static enum sentinel_news take_reply(struct sentinel *sentinel, const struct reply *reply)
{
    if (says_auth(sentinel)) {
        /* A Sentinel that wants no password says so with an error, and answers all the same. */
        sentinel->replies++;
        return SENTINEL_NOTHING;
    }
    return sentinel->work == SENTINEL_LISTEN ? take_message(sentinel, reply)
                                             : take_answer(sentinel, reply);
}

/* A switch that was heard is news, even where the connection ended right behind it. */
static enum sentinel_news later(enum sentinel_news news, enum sentinel_news latest)
{
    if (latest == SENTINEL_NOTHING || (news == SENTINEL_SWITCHED && latest == SENTINEL_FAILED))
        return news;
    return latest;
}

static enum sentinel_news take_replies(struct sentinel *sentinel)
{
    struct reader *reader = &sentinel->connection.reader;
    enum sentinel_news news = SENTINEL_NOTHING;
    struct reply reply;
    int status;

    while ((status = reader_next(reader, &reply)) == 1) {
        news = later(news, take_reply(sentinel, &reply));
        if (!sentinel_is_open(sentinel))
            return news;
    }
    if (status == 0)
        return news;
    return later(news, failed(sentinel, status == -EMSGSIZE
                                            ? CHECK_TOO_LONG
                                            : foreign_cause(reader->begin, reader->begin_length)));
}

/* ---- the connection ---- */

void sentinel_init(struct sentinel *sentinel, const struct discover_settings *settings,
                   unsigned index, const char *username, const char *password)
{
    memset(sentinel, 0, offsetof(struct sentinel, connection));
    sentinel->settings = settings;
    sentinel->target.addresses[0] = settings->sentinels[index];
    sentinel->target.address_count = settings->sentinels[index].port ? 1 : 0;
    text_copy(sentinel->target.username, sizeof(sentinel->target.username), username);
    text_copy(sentinel->target.password, sizeof(sentinel->target.password), password);
    connection_init(&sentinel->connection);
    reader_listen(&sentinel->connection.reader, hear, sentinel);
}

void sentinel_close(struct sentinel *sentinel)
{
    connection_close(&sentinel->connection);
    sentinel->listening = false;
}

static void queue(struct sentinel *sentinel, unsigned count, const char *const words[])
{
    char text[COMMAND_MAX];

    connection_queue(&sentinel->connection, text, command_write(text, count, words));
}

static void greet(struct sentinel *sentinel)
{
    const char *name = sentinel->settings->master_name;
    const char *const master[] = {"SENTINEL", "get-master-addr-by-name", name};
    const char *const replicas[] = {"SENTINEL", "slaves", name}; /* as all versions know it */
    const char *const state[] = {"SENTINEL", "master", name};
    const char *const listen[] = {"SUBSCRIBE", SWITCH_CHANNEL};

    if (sentinel->target.password[0]) {
        char text[COMMAND_MAX];

        connection_queue(&sentinel->connection, text, auth_request(text, &sentinel->target));
        wipe(text, sizeof(text));
    }
    if (sentinel->work == SENTINEL_LISTEN) {
        queue(sentinel, 2, listen);
    } else {
        queue(sentinel, 3, master);
        queue(sentinel, 3, replicas);
        queue(sentinel, 3, state);
    }
    connection_flush(&sentinel->connection);
}

/* `error`: of connection_open() or connection_finish(). */
static enum sentinel_news connected(struct sentinel *sentinel, int error)
{
    if (error == -EINPROGRESS)
        return SENTINEL_NOTHING;
    if (error != 0)
        return failed(sentinel, answer_cause_of(-error));
    greet(sentinel);
    return SENTINEL_NOTHING;
}

enum sentinel_news sentinel_start(struct sentinel *sentinel, enum sentinel_work work)
{
    sentinel->work = work;
    sentinel->replies = 0;
    sentinel->named_host = false;
    sentinel->channel[0] = '\0';
    memset(&sentinel->answer, 0, sizeof(sentinel->answer));
    if (sentinel->target.address_count == 0)
        return failed(sentinel, CHECK_NO_ADDRESS);
    return connected(sentinel, connection_open(&sentinel->connection, &sentinel->target));
}

bool sentinel_is_open(const struct sentinel *sentinel)
{
    return sentinel->connection.fd >= 0;
}

int sentinel_fd(const struct sentinel *sentinel)
{
    return sentinel->connection.fd;
}

short sentinel_events(const struct sentinel *sentinel)
{
    return connection_events(&sentinel->connection);
}

enum sentinel_news sentinel_handle(struct sentinel *sentinel, short revents)
{
    struct connection *connection = &sentinel->connection;
    enum sentinel_news news = SENTINEL_NOTHING;

    if (connection->fd < 0 || !revents)
        return SENTINEL_NOTHING;
    if (!connection->made)
        return connected(sentinel, connection_finish(connection, &sentinel->target));
    if (revents & POLLOUT)
        connection_flush(connection);
    if (sentinel->work == SENTINEL_LISTEN)
        memset(&sentinel->answer, 0, sizeof(sentinel->answer));
    for (unsigned i = 0; i < READS_MAX; i++) {
        ssize_t length = connection_receive(connection);

        if (length == -EAGAIN)
            break;
        if (length >= 0)
            news = later(news, take_replies(sentinel));
        else
            news = later(news, failed(sentinel, length == -EPIPE ? CHECK_CLOSED
                                                                 : answer_cause_of((int)-length)));
        if (!sentinel_is_open(sentinel))
            break;
    }
    return news;
}

#include "probe/probe.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/wipe.h"
#include "policy/outcome.h"
#include "probe/answer.h"
#include "probe/auth.h"
#include "probe/checks.h"
#include "probe/connection.h"
#include "probe/foreign.h"
#include "probe/kind.h"
#include "probe/worker.h"

/* Reads per probe_handle(): more than all answers need, and no server can hold the loop up. */
enum { READS_MAX = 16 };

/* How often it is asked for its role where no check wants to know; and one that did not say. */
#define ROLE_EVERY_NS  (5 * NS_PER_S)
#define ROLE_SECRET_NS (60 * NS_PER_S)

struct probe {
    struct probe_target target;
    const struct kind *kind;
    uint64_t now_ns; /* of the call that is under way */
    struct checks checks;
    /* of a check that a worker makes, one at a time: */
    struct worker *worker;
    struct job *job; /* NULL: none is under way */
    /* of the connection: */
    enum check_cause auth; /* CHECK_FINE, CHECK_WRONGPASS, CHECK_NOPERM */
    enum check_cause
        refusal;           /* what AUTH was answered, should the server hang up; or CHECK_CLOSED */
    uint64_t role_due_ns;  /* when it is asked beside the checks, at the earliest */
    enum role_wanted role; /* what it answered, until a check takes it with it; or ROLE_ANY */
    struct connection connection;
};

const struct worker_driver *probe_workers;

static void make_connection(struct probe *probe);

size_t probe_size(void)
{
    return sizeof(struct probe);
}

void probe_init(struct probe *probe, const struct probe_target *target)
{
    static const struct kind *const kinds[] = {
        [PROBE_TCP] = &kind_tcp,     [PROBE_PING] = &kind_ping,       [PROBE_ECHO] = &kind_echo,
        [PROBE_ROLE] = &kind_role,   [PROBE_COMMAND] = &kind_command, [PROBE_KEY] = &kind_key,
        [PROBE_WRITE] = &kind_write,
    };

    memset(probe, 0, offsetof(struct probe, connection));
    probe->target = *target;
    probe->kind = target->kind < PROBE_HTTP ? kinds[target->kind] : NULL;
    connection_init(&probe->connection);
}

bool probe_can(const struct probe_target *target)
{
    if (target->kind >= PROBE_HTTP)
        return probe_workers && probe_workers->can(target->kind);
    return !target->tls || stream_tls;
}

/* TLS came to nothing. Files of ours that are no good say nothing about the server. */
static void fail_for(struct probe *probe, struct check *check, enum check_cause cause)
{
    bool ours = cause == CHECK_TLS_CA_FILE || cause == CHECK_TLS_CERT_FILE ||
                cause == CHECK_NEEDS_PROGRAM || cause == CHECK_FINE;

    check_finish(check, ours ? PROBE_VOID : PROBE_FAILED, cause, 0, probe->now_ns);
}

/* An error of a system call, 0 or a positive errno, ends this check. */
static void fail(struct probe *probe, struct check *check, enum check_cause cause, int error)
{
    bool local = error && outcome_of(error) == OUTCOME_LOCAL;

    check_finish(check, local ? PROBE_VOID : PROBE_FAILED, cause, error, probe->now_ns);
}

static void end_connection(struct probe *probe)
{
    connection_close(&probe->connection);
    checks_forget_owed(&probe->checks);
    probe->auth = CHECK_FINE;
    probe->refusal = CHECK_CLOSED;
    probe->role = ROLE_ANY;
}

/* ---- checks that a worker makes ---- */

static bool by_worker(const struct probe *probe)
{
    return !probe->kind;
}

static void drop_job(struct probe *probe)
{
    if (probe->job)
        probe_workers->drop(probe->job);
    probe->job = NULL;
}

static void start_job(struct probe *probe, struct check *check)
{
    if (!probe->worker)
        probe->worker = probe_workers->open(&probe->target);
    if (probe->worker)
        probe->job = probe_workers->start(probe->worker, check->deadline_ns);
    if (!probe->job)
        check_finish(check, PROBE_VOID, CHECK_FINE, ENOMEM, probe->now_ns);
}

/* There is one check at most, and this ends it. */
static void finish_job(struct probe *probe, enum probe_outcome outcome, enum check_cause cause)
{
    uint64_t first = 0;
    struct check *check = checks_next(&probe->checks, &first);

    if (check)
        check_finish(check, outcome, cause, 0, probe->now_ns);
    drop_job(probe);
}

static void take_job(struct probe *probe)
{
    struct job_result result;

    if (probe->job && probe_workers->result(probe->job, &result))
        finish_job(probe, result.outcome, result.cause);
}

void probe_close(struct probe *probe)
{
    drop_job(probe);
    if (probe->worker)
        probe_workers->close(probe->worker);
    probe->worker = NULL;
    end_connection(probe);
}

/* ---- checks that ask Redis ---- */

/* The connection ended, or is of no more use: checks in flight get one more chance on a new one. */
static void move_to_new_connection(struct probe *probe, enum check_cause cause, int error)
{
    struct check *check;

    end_connection(probe);
    for (uint64_t i = 0; (check = checks_next(&probe->checks, &i)); i++) {
        if (check->resent)
            fail(probe, check, cause, error);
        check->resent = true;
    }
    if (checks_in_flight(&probe->checks))
        make_connection(probe);
}

/* The same without their being to blame: it was our decision. */
static void replace_connection(struct probe *probe)
{
    end_connection(probe);
    if (checks_in_flight(&probe->checks))
        make_connection(probe);
}

static bool ask_to_enter(struct probe *probe)
{
    char text[COMMAND_MAX];
    size_t length = auth_request(text, &probe->target);
    bool sent =
        checks_owe(&probe->checks, NULL, 1) && connection_queue(&probe->connection, text, length);

    wipe(text, sizeof(text));
    return sent;
}

/*
 * Is it a replica? Whoever sends writes there wants to be told, whatever its checks are. Before a
 * check, which tells whether there are answers at all.
 */
static bool ask_role_aside(struct probe *probe)
{
    const struct question question = {.target = &probe->target};
    char text[COMMAND_MAX];

    if (probe->kind == &kind_role || probe->auth != CHECK_FINE ||
        probe->now_ns < probe->role_due_ns)
        return true;
    probe->role_due_ns = probe->now_ns + ROLE_EVERY_NS;
    return checks_owe_aside(&probe->checks) &&
           connection_queue(&probe->connection, text, kind_role.request(text, &question));
}

/* It does not know the command, will not say, or hangs up on who asks: for now. */
static void keep_from_asking(struct probe *probe)
{
    probe->role_due_ns = probe->now_ns + ROLE_SECRET_NS;
}

static bool is_refused_for_good(const struct reply *reply)
{
    return answer_cause(reply->text) == CHECK_NOPERM ||
           text_starts(reply->text, "ERR unknown command");
}

/* False: it may have passed over the question, and this may be the answer to the next. */
static bool learn_role(struct probe *probe, const struct reply *reply)
{
    probe->role = role_of(reply);
    if (probe->role != ROLE_ANY)
        return true;
    if (reply->type == REPLY_ERROR) {
        if (is_refused_for_good(reply))
            keep_from_asking(probe);
        return true;
    }
    keep_from_asking(probe);
    /* A Sentinel; or a role that nobody knows, where no other question is answered by an array. */
    return reply->type == REPLY_ARRAY &&
           (probe->kind != &kind_command || text_equal(reply->text, "sentinel"));
}

static bool send_check(struct probe *probe, struct check *check)
{
    struct question question = {.target = &probe->target, .token = check->token};
    char text[COMMAND_MAX];
    size_t length = probe->kind->request(text, &question);

    check->sent_ns = probe->now_ns;
    check->found = CHECK_FINE;
    return ask_role_aside(probe) && checks_owe(&probe->checks, check, probe->kind->answers) &&
           connection_queue(&probe->connection, text, length);
}

/* A new connection has room for AUTH and PROBES_IN_FLIGHT checks. */
static void greet(struct probe *probe)
{
    struct check *check;

    if (!probe->kind->request) {
        for (uint64_t i = 0; (check = checks_next(&probe->checks, &i)); i++)
            check_finish(check, PROBE_PASSED, CHECK_FINE, 0, probe->now_ns);
        end_connection(probe);
        return;
    }
    if (probe->target.password[0])
        ask_to_enter(probe);
    if (probe->role_due_ns < probe->now_ns + ROLE_EVERY_NS) /* it has answered nothing yet */
        probe->role_due_ns = probe->now_ns + ROLE_EVERY_NS;
    for (uint64_t i = 0; (check = checks_next(&probe->checks, &i)); i++)
        send_check(probe, check);
    connection_flush(&probe->connection);
}

/* `error`: of connection_open() or connection_finish(). */
static void connection_answered(struct probe *probe, int error)
{
    enum check_cause trouble = probe->connection.trouble;
    struct check *check;

    if (error == -EINPROGRESS)
        return;
    if (error == 0) {
        greet(probe);
        return;
    }
    end_connection(probe);
    for (uint64_t i = 0; (check = checks_next(&probe->checks, &i)); i++) {
        if (error == -EPROTO)
            fail_for(probe, check, trouble);
        else
            fail(probe, check, answer_cause_of(-error), -error);
    }
}

static void make_connection(struct probe *probe)
{
    struct check *check;

    if (probe->target.address_count == 0) {
        for (uint64_t i = 0; (check = checks_next(&probe->checks, &i)); i++)
            fail(probe, check, CHECK_NO_ADDRESS, 0);
        return;
    }
    end_connection(probe);
    connection_answered(probe, connection_open(&probe->connection, &probe->target));
}

bool probe_start(struct probe *probe, uint64_t now_ns, uint64_t deadline_ns)
{
    struct check *check;
    bool sent = true;

    probe->now_ns = now_ns;
    if (by_worker(probe) && checks_in_flight(&probe->checks))
        return false;
    check = checks_add(&probe->checks, now_ns, deadline_ns);
    if (!check)
        return false;
    if (by_worker(probe)) {
        start_job(probe, check);
    } else if (probe->connection.fd < 0) {
        make_connection(probe);
    } else if (probe->connection.made) {
        /* Who was not let in asks again, in case the password there has been put right. */
        if (probe->auth != CHECK_FINE && !checks_is_owed(&probe->checks))
            sent = ask_to_enter(probe);
        sent = sent && send_check(probe, check);
        if (sent)
            connection_flush(&probe->connection);
        else
            replace_connection(probe);
    }
    return true;
}

int probe_fd(const struct probe *probe)
{
    if (by_worker(probe))
        return probe->job ? probe_workers->fd(probe->job) : -1;
    return probe->connection.fd;
}

short probe_events(const struct probe *probe)
{
    return by_worker(probe) ? POLLIN : connection_events(&probe->connection);
}

static enum check_cause cause_of_answer(struct probe *probe, struct check *check,
                                        const struct reply *reply, unsigned index)
{
    struct question question = {.target = &probe->target, .token = check->token};
    enum check_cause cause;

    if (reply->type != REPLY_ERROR) {
        if (probe->kind == &kind_role)
            check->role = role_of(reply);
        return probe->kind->judge(&question, reply, index);
    }
    cause = answer_cause(reply->text);
    if (cause == CHECK_NOAUTH && probe->target.password[0]) /* our AUTH did not help */
        cause = CHECK_WRONGPASS;
    return cause;
}

/* The first answer that is not right decides; the others of the same question are waited for. */
static void judge(struct probe *probe, struct check *check, const struct reply *reply,
                  const struct answered *answered)
{
    enum check_cause cause = cause_of_answer(probe, check, reply, answered->index);

    if (check->found == CHECK_FINE)
        check->found = cause;
    if (!answered->last)
        return;
    check->aside = probe->role;
    probe->role = ROLE_ANY;
    if (check->found == CHECK_FINE)
        check_finish(check, PROBE_PASSED, probe->auth, 0, probe->now_ns);
    else if (probe->kind->alive_is_enough && answer_is_alive(check->found))
        check_finish(check, PROBE_PASSED, check->found, 0, probe->now_ns);
    else
        fail(probe, check, check->found, 0);
}

/* How a reply was taken. Behind the last two whatever comes could not be told apart. */
enum taken {
    TAKEN,
    UNASKED, /* nobody has asked for it */
    UNCLEAR, /* the answer to either of two questions */
};

static enum taken take_reply(struct probe *probe, const struct reply *reply)
{
    struct answered answered;

    if (reply->type == REPLY_PUSH)
        return TAKEN;
    if (!checks_answered(&probe->checks, &answered))
        return UNASKED;
    if (answered.aside)
        return learn_role(probe, reply) ? TAKEN : UNCLEAR;
    if (answered.auth) {
        enum check_cause cause = auth_answer(reply);

        probe->auth = answer_is_alive(cause) ? cause : CHECK_FINE;
        probe->refusal = cause == CHECK_FINE || answer_is_alive(cause) ? CHECK_CLOSED : cause;
    } else if (answered.check) {
        judge(probe, answered.check, reply, &answered);
    }
    return TAKEN;
}

/* `error`: of connection_receive(). */
static void connection_ended(struct probe *probe, int error)
{
    if (checks_aside_is_next(&probe->checks))
        keep_from_asking(probe); /* a proxy that does not know the command, perhaps */
    if (error == -EPROTO && probe->connection.trouble != CHECK_FINE)
        move_to_new_connection(probe, probe->connection.trouble, 0);
    else if (error == -EPIPE || probe->refusal != CHECK_CLOSED)
        move_to_new_connection(probe, probe->refusal, 0);
    else
        move_to_new_connection(probe, answer_cause_of(-error), -error);
}

/* The replies that are complete. False: the connection is gone. */
static bool take_replies(struct probe *probe)
{
    struct reader *reader = &probe->connection.reader;
    enum check_cause cause = CHECK_TOO_LONG;
    struct reply reply;
    struct check *check;
    uint64_t oldest = 0;
    int status;

    while ((status = reader_next(reader, &reply)) == 1) {
        enum taken taken = take_reply(probe, &reply);

        if (taken == UNASKED)
            connection_ended(probe, -EPIPE);
        else if (taken == UNCLEAR)
            replace_connection(probe);
        if (taken != TAKEN)
            return false;
    }
    if (status == 0)
        return true;
    if (status == -EPROTO)
        cause = foreign_cause(reader->begin, reader->begin_length);
    check = checks_next(&probe->checks, &oldest);
    if (check)
        fail(probe, check, cause, 0);
    move_to_new_connection(probe, cause, 0);
    return false;
}

void probe_handle(struct probe *probe, short revents, uint64_t now_ns)
{
    struct connection *connection = &probe->connection;

    probe->now_ns = now_ns;
    if (by_worker(probe) && revents)
        take_job(probe);
    if (connection->fd < 0 || !revents)
        return;
    if (!connection->made) {
        connection_answered(probe, connection_finish(connection, &probe->target));
        return;
    }
    if (revents & POLLOUT)
        connection_flush(connection);
    for (unsigned i = 0; i < READS_MAX || connection_has_more(connection); i++) {
        ssize_t length = connection_receive(connection);

        if (length == -EAGAIN)
            return;
        if (length < 0) {
            connection_ended(probe, (int)length);
            return;
        }
        if (!take_replies(probe))
            return;
    }
}

void probe_expire(struct probe *probe, uint64_t now_ns)
{
    bool shaking = probe->connection.joined && !probe->connection.made;
    bool expired = false;
    struct check *check;

    probe->now_ns = now_ns;
    if (by_worker(probe)) {
        if (checks_deadline_ns(&probe->checks) <= now_ns)
            finish_job(probe, PROBE_FAILED,
                       probe->target.kind == PROBE_EXEC ? CHECK_EXEC_TIMEOUT : CHECK_HTTP_TIMEOUT);
        return;
    }
    for (uint64_t i = 0; (check = checks_next(&probe->checks, &i)); i++) {
        if (check->deadline_ns <= now_ns) {
            fail(probe, check, shaking ? CHECK_TLS_TIMEOUT : CHECK_TIMEOUT, ETIMEDOUT);
            expired = true;
        }
    }
    if (probe->connection.fd < 0)
        return;
    /* A lost SYN is sent again after 1 s, 3 s, 7 s…: a new one is sooner. */
    if (probe->connection.made ? checks_patience_ns(&probe->checks) <= now_ns : expired)
        replace_connection(probe);
}

void probe_void(struct probe *probe)
{
    struct check *check;

    for (uint64_t i = 0; (check = checks_next(&probe->checks, &i)); i++)
        check_finish(check, PROBE_VOID, CHECK_FINE, 0, probe->now_ns);
    drop_job(probe);
    if (!probe->connection.made)
        end_connection(probe);
}

uint64_t probe_deadline_ns(const struct probe *probe)
{
    return checks_deadline_ns(&probe->checks);
}

bool probe_take(struct probe *probe, struct probe_result *out)
{
    return checks_take(&probe->checks, out);
}

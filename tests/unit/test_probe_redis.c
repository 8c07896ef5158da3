/* The verdicts of checks on real redis-servers. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "probe_lab.h"

enum { LONG_MS = 10000, SHORT_MS = 100 };

static const char *const no_options[] = {NULL};

static void set_credentials(struct probe_target *target, const char *username, const char *password)
{
    strcpy(target->username, username);
    strcpy(target->password, password);
}

START_TEST(every_kind_passes)
{
    struct server server = server_start(no_options);

    for (enum probe_kind kind = PROBE_TCP; kind <= PROBE_ECHO; kind++) {
        struct probe_target target = target_of(kind, server.port);
        struct probe *probe = probe_new(&target);

        for (int i = 0; i < 3; i++) {
            struct probe_result result = lab_check(probe, NULL, LONG_MS);

            expect_result(result, PROBE_PASSED, CHECK_FINE);
            ck_assert_uint_gt(result.rtt_ns, 0);
            ck_assert_uint_lt(result.rtt_ns, LONG_MS * NS_PER_MS);
        }
        ck_assert_int_eq(probe_fd(probe) >= 0, kind != PROBE_TCP);
        probe_close(probe);
    }
    server_kill(&server);
}
END_TEST

START_TEST(missing_credentials_are_no_failure)
{
    struct server server = server_start((const char *const[]){"--requirepass", "right", NULL});
    struct probe_target target = target_of(PROBE_PING, server.port);

    expect_result(lab_check(probe_new(&target), NULL, LONG_MS), PROBE_PASSED, CHECK_NOAUTH);
    server_kill(&server);
}
END_TEST

START_TEST(the_password_is_sent_first)
{
    struct server server = server_start((const char *const[]){"--requirepass", "right", NULL});
    struct probe_target target = target_of(PROBE_ECHO, server.port);
    struct probe *probe;

    set_credentials(&target, "", "right");
    probe = probe_new(&target);
    for (int i = 0; i < 3; i++)
        expect_result(lab_check(probe, NULL, LONG_MS), PROBE_PASSED, CHECK_FINE);
    set_credentials(&target, "default", "right");
    expect_result(lab_check(probe_new(&target), NULL, LONG_MS), PROBE_PASSED, CHECK_FINE);
    server_kill(&server);
}
END_TEST

START_TEST(a_wrong_password_is_no_failure)
{
    struct server server = server_start((const char *const[]){"--requirepass", "right", NULL});
    struct probe_target target = target_of(PROBE_PING, server.port);
    void *client = client_open(&server);
    struct probe *probe;

    set_credentials(&target, "", "wrong");
    probe = probe_new(&target);
    for (int i = 0; i < 3; i++)
        expect_result(lab_check(probe, NULL, LONG_MS), PROBE_PASSED, CHECK_WRONGPASS);
    client_command(client, "AUTH right");
    client_command(client, "CONFIG SET requirepass wrong");
    expect_result(lab_check(probe, NULL, LONG_MS), PROBE_PASSED, CHECK_FINE);
    server_kill(&server);
}
END_TEST

START_TEST(a_password_nobody_asks_for_does_no_harm)
{
    struct server server = server_start(no_options);
    struct probe_target target = target_of(PROBE_PING, server.port);

    set_credentials(&target, "", "superfluous");
    expect_result(lab_check(probe_new(&target), NULL, LONG_MS), PROBE_PASSED, CHECK_FINE);
    set_credentials(&target, "nobody", "superfluous");
    expect_result(lab_check(probe_new(&target), NULL, LONG_MS), PROBE_PASSED, CHECK_WRONGPASS);
    server_kill(&server);
}
END_TEST

START_TEST(a_user_without_rights_is_no_failure)
{
    struct server server = server_start(no_options);
    struct probe_target target = target_of(PROBE_PING, server.port);

    client_command(client_open(&server), "ACL SETUSER watcher on >secret -@all");
    set_credentials(&target, "watcher", "secret");
    expect_result(lab_check(probe_new(&target), NULL, LONG_MS), PROBE_PASSED, CHECK_NOPERM);
    server_kill(&server);
}
END_TEST

START_TEST(a_replica_without_its_master_fails)
{
    char port[8];
    struct server server;
    struct probe_target target;

    snprintf(port, sizeof(port), "%u", free_port());
    server = server_start((const char *const[]){"--replicaof", "127.0.0.1", port,
                                                "--replica-serve-stale-data", "no", NULL});
    target = target_of(PROBE_PING, server.port);
    expect_result(lab_check(probe_new(&target), NULL, LONG_MS), PROBE_FAILED, CHECK_MASTERDOWN);
    server_kill(&server);
}
END_TEST

START_TEST(a_server_in_a_script_fails)
{
    struct server server = server_start((const char *const[]){"--busy-reply-threshold", "1", NULL});
    struct probe_target target = target_of(PROBE_PING, server.port);
    struct probe *probe = probe_new(&target);
    struct probe_result result;

    expect_result(lab_check(probe, NULL, LONG_MS), PROBE_PASSED, CHECK_FINE);
    client_order(&server, "EVAL 'while true do end' 0");
    do /* until the script runs */
        result = lab_check(probe, NULL, LONG_MS);
    while (result.outcome == PROBE_PASSED);
    expect_result(result, PROBE_FAILED, CHECK_BUSY);
    server_kill(&server);
}
END_TEST

START_TEST(a_loading_server_fails)
{
    struct server server =
        server_start((const char *const[]){"--loading-process-events-interval-bytes", "1024",
                                           "--key-load-delay", "1000", NULL});
    struct probe_target target = target_of(PROBE_PING, server.port);
    struct probe *probe = probe_new(&target);
    struct probe_result result;

    client_command(client_open(&server), "DEBUG POPULATE 100000 key 100");
    expect_result(lab_check(probe, NULL, LONG_MS), PROBE_PASSED, CHECK_FINE);
    client_order(&server, "DEBUG RELOAD");
    do /* until it has saved and loads */
        result = lab_check(probe, NULL, LONG_MS);
    while (result.outcome == PROBE_PASSED);
    expect_result(result, PROBE_FAILED, CHECK_LOADING);
    server_kill(&server);
}
END_TEST

START_TEST(a_full_server_fails)
{
    struct server server = server_start((const char *const[]){"--maxclients", "1", NULL});
    struct probe_target target = target_of(PROBE_PING, server.port);
    void *client;
    struct probe *probe;

    /* The one that found the server ready may still be there. */
    do
        client = client_open(&server);
    while (!client_is_served(client));
    expect_result(lab_check(probe_new(&target), NULL, LONG_MS), PROBE_FAILED, CHECK_MAX_CLIENTS);
    set_credentials(&target, "", "any");
    probe = probe_new(&target);
    expect_result(lab_check(probe, NULL, LONG_MS), PROBE_FAILED, CHECK_MAX_CLIENTS);
    server_kill(&server);
}
END_TEST

START_TEST(a_killed_connection_is_no_failure)
{
    struct server server = server_start(no_options);
    struct probe_target target = target_of(PROBE_PING, server.port);
    struct probe *probe = probe_new(&target);
    void *client = client_open(&server);

    expect_result(lab_check(probe, NULL, LONG_MS), PROBE_PASSED, CHECK_FINE);
    /* The next check goes into the dead connection. */
    client_command(client, "CLIENT KILL TYPE normal SKIPME yes");
    expect_result(lab_check(probe, NULL, LONG_MS), PROBE_PASSED, CHECK_FINE);
    /* Seen while nothing is in flight. */
    client_command(client, "CLIENT KILL TYPE normal SKIPME yes");
    while (probe_fd(probe) >= 0)
        lab_turn(probe, NULL);
    expect_result(lab_check(probe, NULL, LONG_MS), PROBE_PASSED, CHECK_FINE);
    server_kill(&server);
}
END_TEST

START_TEST(a_dead_server_is_refused)
{
    struct server server = server_start(no_options);
    struct probe_target target = target_of(PROBE_PING, server.port);
    struct probe *probe = probe_new(&target);
    struct probe_result result;

    expect_result(lab_check(probe, NULL, LONG_MS), PROBE_PASSED, CHECK_FINE);
    server_kill(&server);
    result = lab_check(probe, NULL, LONG_MS);
    expect_result(result, PROBE_FAILED, CHECK_REFUSED);
    ck_assert_int_eq(result.error, ECONNREFUSED);
}
END_TEST

START_TEST(a_frozen_server_answers_late_on_the_same_connection)
{
    struct server server = server_start(no_options);
    struct probe_target target = target_of(PROBE_ECHO, server.port);
    struct probe *probe = probe_new(&target);
    struct probe_result result;
    int fd;

    expect_result(lab_check(probe, NULL, LONG_MS), PROBE_PASSED, CHECK_FINE);
    fd = probe_fd(probe);
    kill(server.pid, SIGSTOP);
    result = lab_check(probe, NULL, SHORT_MS);
    expect_result(result, PROBE_FAILED, CHECK_TIMEOUT);
    ck_assert_int_eq(result.error, ETIMEDOUT);
    kill(server.pid, SIGCONT);
    /* Its own answer, not the late one: that has another token. */
    expect_result(lab_check(probe, NULL, LONG_MS), PROBE_PASSED, CHECK_FINE);
    ck_assert_int_eq(probe_fd(probe), fd);
    server_kill(&server);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_kind_passes,
        missing_credentials_are_no_failure,
        the_password_is_sent_first,
        a_wrong_password_is_no_failure,
        a_password_nobody_asks_for_does_no_harm,
        a_user_without_rights_is_no_failure,
        a_replica_without_its_master_fails,
        a_server_in_a_script_fails,
        a_loading_server_fails,
        a_full_server_fails,
        a_killed_connection_is_no_failure,
        a_dead_server_is_refused,
        a_frozen_server_answers_late_on_the_same_connection,
    };

    return lab_run("probe_redis", tests, COUNT_OF(tests));
}

/* Checks that ask for more than a sign of life, on real redis-servers: each one right and wrong. */
#include <stdio.h>
#include <string.h>

#include "probe/expect.h"
#include "probe_lab.h"

enum { LONG_MS = 10000 };

static const char *const no_options[] = {NULL};

static struct server start(void)
{
    return server_start(no_options);
}

/* A check block: its words, ended by NULL. */
static struct probe_target block(enum probe_kind kind, uint16_t port, const char *const words[])
{
    struct probe_target target = target_of(kind, port);
    size_t at = 0;

    target.check.kind = (uint8_t)kind;
    for (; *words; words++, target.check.words++) {
        strcpy(target.check.text + at, *words);
        at += strlen(*words) + 1;
    }
    return target;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct probe_result check_once(const struct probe_target *target)
{
    struct probe *probe = probe_new(target);
    struct probe_result result = lab_check(probe, NULL, LONG_MS);

    probe_close(probe);
    return result;
}

static void expect(const struct probe_target *target, enum probe_outcome outcome,
                   enum check_cause cause)
{
    expect_result(check_once(target), outcome, cause);
}

/* ---- role ---- */

static struct probe_target role(uint16_t port, enum role_wanted wanted)
{
    struct probe_target target = target_of(PROBE_ROLE, port);

    target.role = wanted;
    return target;
}

static struct server start_replica_of(uint16_t port)
{
    char text[8];

    snprintf(text, sizeof(text), "%u", port);
    return server_start((const char *const[]){"--replicaof", "127.0.0.1", text, NULL});
}

START_TEST(a_master_is_what_a_master_is_wanted_for)
{
    struct server server = start();
    struct probe_target target = role(server.port, ROLE_MASTER);

    expect(&target, PROBE_PASSED, CHECK_FINE);
    target.role = ROLE_ANY;
    ck_assert_int_eq(check_once(&target).role, ROLE_MASTER);
    expect(&target, PROBE_PASSED, CHECK_FINE);
    target.role = ROLE_REPLICA;
    expect(&target, PROBE_FAILED, CHECK_IS_MASTER);
    server_kill(&server);
}
END_TEST

START_TEST(a_replica_must_have_its_master)
{
    struct server master = start(), replica = start_replica_of(master.port);
    struct probe_target target = role(replica.port, ROLE_REPLICA);
    struct probe_result result;

    do /* it has to be synchronised first */
        result = check_once(&target);
    while (result.outcome == PROBE_FAILED && result.cause == CHECK_LINK_DOWN);
    expect_result(result, PROBE_PASSED, CHECK_FINE);
    ck_assert_int_eq(result.role, ROLE_REPLICA);
    target.role = ROLE_ANY;
    expect(&target, PROBE_PASSED, CHECK_FINE);
    target.role = ROLE_MASTER;
    expect(&target, PROBE_FAILED, CHECK_IS_REPLICA);

    server_kill(&master);
    target.role = ROLE_REPLICA;
    do
        result = check_once(&target);
    while (result.outcome == PROBE_PASSED);
    expect_result(result, PROBE_FAILED, CHECK_LINK_DOWN);
    target.role = ROLE_ANY;
    expect(&target, PROBE_FAILED, CHECK_LINK_DOWN);
    server_kill(&replica);
}
END_TEST

START_TEST(who_may_not_ask_for_the_role_does_not_know_it)
{
    struct server server = server_start((const char *const[]){"--requirepass", "right", NULL});
    struct probe_target target = role(server.port, ROLE_MASTER);

    expect(&target, PROBE_FAILED, CHECK_NOAUTH);
    strcpy(target.password, "wrong");
    expect(&target, PROBE_FAILED, CHECK_WRONGPASS);
    strcpy(target.password, "right");
    expect(&target, PROBE_PASSED, CHECK_FINE);
    server_kill(&server);
}
END_TEST

/* ---- command ---- */

static void expecting(struct probe_target *target, enum expect_kind kind, const char *text,
                      int64_t from, int64_t to)
{
    target->check.expect = (uint8_t)kind;
    strcpy(target->check.expected, text);
    target->check.expect_from = from;
    target->check.expect_to = to;
}

START_TEST(a_command_has_its_answer)
{
    struct server server = start();
    struct probe_target exists = block(PROBE_COMMAND, server.port, WORDS("EXISTS", "drain me"));
    struct probe_target get = block(PROBE_COMMAND, server.port, WORDS("GET", "k"));
    void *client = client_open(&server);

    expect(&exists, PROBE_PASSED, CHECK_FINE); /* any answer that is no error */
    expecting(&exists, EXPECT_TEXT_IS, "0", 0, 0);
    expect(&exists, PROBE_PASSED, CHECK_FINE);
    client_command(client, "SET k value-17");
    expecting(&get, EXPECT_GLOB, "value-??", 0, 0);
    expect(&get, PROBE_PASSED, CHECK_FINE);
    expecting(&get, EXPECT_GLOB, "value-?", 0, 0);
    expect(&get, PROBE_FAILED, CHECK_UNEXPECTED);
    client_command(client, "SET k -3");
    expecting(&get, EXPECT_RANGE, "", -5, -3);
    expect(&get, PROBE_PASSED, CHECK_FINE);
    client_command(client, "SET k -2");
    expect(&get, PROBE_FAILED, CHECK_UNEXPECTED);
    client_command(client, "DEL k");
    expect(&get, PROBE_FAILED, CHECK_UNEXPECTED);
    expecting(&get, EXPECT_TEXT_IS, "(nil)", 0, 0);
    expect(&get, PROBE_PASSED, CHECK_FINE);
    server_kill(&server);
}
END_TEST

START_TEST(a_command_that_is_refused_fails)
{
    struct server server = start();
    struct probe_target nonsense = block(PROBE_COMMAND, server.port, WORDS("NOSUCH"));
    struct probe_target list = block(PROBE_COMMAND, server.port, WORDS("LLEN", "k"));

    expect(&nonsense, PROBE_FAILED, CHECK_ERROR_REPLY);
    expect(&list, PROBE_PASSED, CHECK_FINE);
    client_command(client_open(&server), "SET k 1");
    expect(&list, PROBE_FAILED, CHECK_ERROR_REPLY);
    server_kill(&server);
}
END_TEST

/* ---- key ---- */

START_TEST(a_key_has_its_value)
{
    struct server server = start();
    struct probe_target target = block(PROBE_KEY, server.port, WORDS("canary", "42"));
    void *client = client_open(&server);

    expect(&target, PROBE_FAILED, CHECK_NO_KEY);
    client_command(client, "SET canary 42");
    expect(&target, PROBE_PASSED, CHECK_FINE);
    client_command(client, "SET canary 421");
    expect(&target, PROBE_FAILED, CHECK_OTHER_VALUE);
    server_kill(&server);
}
END_TEST

/* ---- write ---- */

START_TEST(what_is_written_is_read_back_and_gone)
{
    struct server server = start();
    struct probe_target target = target_of(PROBE_WRITE, server.port);
    struct probe_target size = block(PROBE_COMMAND, server.port, WORDS("DBSIZE"));
    struct probe *probe = probe_new(&target);

    for (int i = 0; i < 20; i++)
        expect_result(lab_check(probe, NULL, LONG_MS), PROBE_PASSED, CHECK_FINE);
    expecting(&size, EXPECT_TEXT_IS, "0", 0, 0);
    expect(&size, PROBE_PASSED, CHECK_FINE);
    server_kill(&server);
}
END_TEST

START_TEST(who_refuses_writes_fails_and_says_why)
{
    struct server server = start(), replica = start_replica_of(server.port);
    struct probe_target target = target_of(PROBE_WRITE, replica.port);
    void *client = client_open(&server);

    expect(&target, PROBE_FAILED, CHECK_READONLY);
    target = target_of(PROBE_WRITE, server.port);
    client_command(client, "CONFIG SET min-replicas-to-write 5");
    expect(&target, PROBE_FAILED, CHECK_NOREPLICAS);
    client_command(client, "CONFIG SET min-replicas-to-write 0");
    client_command(client, "CONFIG SET maxmemory 1");
    expect(&target, PROBE_FAILED, CHECK_OOM);
    client_command(client, "CONFIG SET maxmemory 0");
    expect(&target, PROBE_PASSED, CHECK_FINE);
    server_kill(&replica);
    server_kill(&server);
}
END_TEST

/* Three answers of one question, and three of the next: each its own. */
START_TEST(checks_with_several_answers_overlap)
{
    struct server server = start();
    struct probe_target target = target_of(PROBE_WRITE, server.port);
    struct probe *probe = probe_new(&target);
    struct probe_result result;
    uint64_t now = clock_boot_ns();
    unsigned taken = 0;

    for (unsigned i = 0; i < PROBES_IN_FLIGHT; i++)
        ck_assert(probe_start(probe, now, now + LONG_MS * NS_PER_MS));
    while (taken < PROBES_IN_FLIGHT) {
        lab_turn(probe, NULL);
        while (probe_take(probe, &result)) {
            expect_result(result, PROBE_PASSED, CHECK_FINE);
            taken++;
        }
    }
    server_kill(&server);
}
END_TEST

/* ---- patterns ---- */

START_TEST(patterns_fit_or_do_not)
{
    ck_assert(expect_glob("", ""));
    ck_assert(!expect_glob("", "a"));
    ck_assert(expect_glob("*", ""));
    ck_assert(expect_glob("a*b*c", "a--b-b--c"));
    ck_assert(!expect_glob("a*b*c", "a--b-b--"));
    ck_assert(expect_glob("a?c", "abc"));
    ck_assert(!expect_glob("a?c", "ac"));
    ck_assert(expect_glob("a\\*", "a*"));
    ck_assert(!expect_glob("a\\*", "ab"));
    ck_assert(expect_glob("\\?\\\\", "?\\"));
    ck_assert(expect_glob("*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaab"));
    ck_assert(!expect_glob("*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_master_is_what_a_master_is_wanted_for,
        a_replica_must_have_its_master,
        who_may_not_ask_for_the_role_does_not_know_it,
        a_command_has_its_answer,
        a_command_that_is_refused_fails,
        a_key_has_its_value,
        what_is_written_is_read_back_and_gone,
        who_refuses_writes_fails_and_says_why,
        checks_with_several_answers_overlap,
        patterns_fit_or_do_not,
    };

    return lab_run("probe_kinds", tests, COUNT_OF(tests));
}

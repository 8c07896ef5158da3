/* Checks on a stand-in that answers what no well server answers, or hangs up, or is silent. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "probe_lab.h"

enum { LONG_MS = 10000, SHORT_MS = 30 };

struct scene {
    struct peer peer;
    struct probe *probe;
};

static struct scene scene_of(enum probe_kind kind, const char *password)
{
    struct scene scene = {.peer = peer_listen()};
    struct probe_target target = target_of(kind, scene.peer.port);

    strcpy(target.password, password);
    scene.probe = probe_new(&target);
    return scene;
}

/* One PING that is answered like this, on a fresh connection. */
static struct probe_result answered(const char *text)
{
    struct scene scene = scene_of(PROBE_PING, "");
    struct probe_result result;

    peer_says(&scene.peer, text);
    result = lab_check(scene.probe, &scene.peer, LONG_MS);
    probe_close(scene.probe);
    close(scene.peer.listening);
    close(scene.peer.fd);
    return result;
}

START_TEST(answers_give_verdicts)
{
    static const struct {
        const char *text;
        enum probe_outcome outcome;
        enum check_cause cause;
    } rows[] = {
        {"+PONG\r\n", PROBE_PASSED, CHECK_FINE},
        {"+pong\r\n", PROBE_PASSED, CHECK_FINE},
        {"$4\r\nPONG\r\n", PROBE_PASSED, CHECK_FINE},
        {"*2\r\n$4\r\npong\r\n$0\r\n\r\n", PROBE_PASSED, CHECK_FINE},
        {">2\r\n$10\r\ninvalidate\r\n*0\r\n+PONG\r\n", PROBE_PASSED, CHECK_FINE},
        {"-NOAUTH Authentication required.\r\n", PROBE_PASSED, CHECK_NOAUTH},
        {"-WRONGPASS invalid username-password pair or user is disabled.\r\n", PROBE_PASSED,
         CHECK_WRONGPASS},
        {"-NOPERM this user has no permissions to run the 'ping' command\r\n", PROBE_PASSED,
         CHECK_NOPERM},
        {"-LOADING Redis is loading the dataset in memory\r\n", PROBE_FAILED, CHECK_LOADING},
        {"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
         PROBE_FAILED, CHECK_MASTERDOWN},
        {"-CLUSTERDOWN The cluster is down\r\n", PROBE_FAILED, CHECK_CLUSTERDOWN},
        {"-BUSY Redis is busy running a script.\r\n", PROBE_FAILED, CHECK_BUSY},
        {"-BUSYKEY Target key name already exists.\r\n", PROBE_FAILED, CHECK_ERROR_REPLY},
        {"-ERR max number of clients reached\r\n", PROBE_FAILED, CHECK_MAX_CLIENTS},
        {"-ERR unknown command\r\n", PROBE_FAILED, CHECK_ERROR_REPLY},
        {"-MISCONF Errors writing to the AOF file\r\n", PROBE_FAILED, CHECK_MISCONF},
        {"-DENIED Redis is running in protected mode\r\n", PROBE_FAILED, CHECK_ERROR_REPLY},
        {"-\r\n", PROBE_FAILED, CHECK_ERROR_REPLY},
        {":1\r\n", PROBE_FAILED, CHECK_WRONG_REPLY},
        {"+OK\r\n", PROBE_FAILED, CHECK_WRONG_REPLY},
        {"+PONGS\r\n", PROBE_FAILED, CHECK_WRONG_REPLY},
        {"$-1\r\n", PROBE_FAILED, CHECK_WRONG_REPLY},
        {"*1\r\n$4\r\nPING\r\n", PROBE_FAILED, CHECK_WRONG_REPLY},
        {"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", PROBE_FAILED, CHECK_HTTP},
        {"\x15\x03\x01\x02\x02\x46", PROBE_FAILED, CHECK_TLS},
        {"220 smtp.example.com ESMTP\r\n", PROBE_FAILED, CHECK_NOT_REDIS},
        {"$abc\r\n", PROBE_FAILED, CHECK_NOT_REDIS},
        {"\r\n", PROBE_FAILED, CHECK_NOT_REDIS},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct probe_result result = answered(rows[i].text);

        ck_assert_msg(result.outcome == rows[i].outcome && result.cause == rows[i].cause,
                      "%s: outcome %d cause %d", rows[i].text, result.outcome, result.cause);
    }
}
END_TEST

START_TEST(an_echo_of_something_else_is_wrong)
{
    struct scene scene = scene_of(PROBE_ECHO, "");

    peer_says(&scene.peer, "$16\r\n0123456789abcdef\r\n");
    expect_result(lab_check(scene.probe, &scene.peer, LONG_MS), PROBE_FAILED, CHECK_WRONG_REPLY);
}
END_TEST

START_TEST(credentials_come_first_and_once)
{
    struct scene scene = scene_of(PROBE_PING, "se cret");
    static const char expected[] = "*2\r\n$4\r\nAUTH\r\n$7\r\nse cret\r\n*1\r\n$4\r\nPING\r\n";

    peer_says(&scene.peer, "+OK\r\n+PONG\r\n");
    expect_result(lab_check(scene.probe, &scene.peer, LONG_MS), PROBE_PASSED, CHECK_FINE);
    ck_assert_str_eq(scene.peer.last, expected);
    peer_says(&scene.peer, "+PONG\r\n");
    expect_result(lab_check(scene.probe, &scene.peer, LONG_MS), PROBE_PASSED, CHECK_FINE);
    ck_assert_str_eq(scene.peer.last + sizeof(expected) - 1, "*1\r\n$4\r\nPING\r\n");
}
END_TEST

START_TEST(a_slow_drip_is_an_answer)
{
    struct scene scene = scene_of(PROBE_PING, "");

    peer_says(&scene.peer, "+PONG\r\n");
    scene.peer.slice = 1;
    expect_result(lab_check(scene.probe, &scene.peer, LONG_MS), PROBE_PASSED, CHECK_FINE);
}
END_TEST

START_TEST(an_endless_answer_is_too_long)
{
    static char flood[60000];
    struct scene scene = scene_of(PROBE_PING, "");

    memset(flood, '$', sizeof(flood) - 1);
    memcpy(flood, "+", 1);
    peer_says(&scene.peer, flood);
    scene.peer.endless = true;
    expect_result(lab_check(scene.probe, &scene.peer, LONG_MS), PROBE_FAILED, CHECK_TOO_LONG);
    ck_assert_int_eq(probe_fd(scene.probe), -1);
}
END_TEST

START_TEST(answers_without_a_question_end_the_connection)
{
    struct scene scene = scene_of(PROBE_PING, "");

    peer_says(&scene.peer, "+PONG\r\n");
    scene.peer.endless = true;
    expect_result(lab_check(scene.probe, &scene.peer, LONG_MS), PROBE_PASSED, CHECK_FINE);
    while (probe_fd(scene.probe) >= 0)
        lab_turn(scene.probe, &scene.peer);
}
END_TEST

START_TEST(a_connection_that_ends_is_made_again_once)
{
    struct scene scene = scene_of(PROBE_PING, "");

    scene.peer.hang_ups = 1;
    peer_says(&scene.peer, "+PONG\r\n");
    expect_result(lab_check(scene.probe, &scene.peer, LONG_MS), PROBE_PASSED, CHECK_FINE);
    ck_assert_uint_eq(scene.peer.accepted, 2);

    scene = scene_of(PROBE_PING, "");
    scene.peer.hang_ups = 2;
    peer_says(&scene.peer, "+PONG\r\n");
    expect_result(lab_check(scene.probe, &scene.peer, LONG_MS), PROBE_FAILED, CHECK_CLOSED);
    ck_assert_uint_eq(scene.peer.accepted, 2);
    expect_result(lab_check(scene.probe, &scene.peer, LONG_MS), PROBE_PASSED, CHECK_FINE);
}
END_TEST

START_TEST(a_server_that_hangs_up_and_is_gone_is_refused)
{
    struct scene scene = scene_of(PROBE_PING, "");

    peer_says(&scene.peer, "+PONG\r\n");
    expect_result(lab_check(scene.probe, &scene.peer, LONG_MS), PROBE_PASSED, CHECK_FINE);
    close(scene.peer.listening);
    close(scene.peer.fd);
    scene.peer.listening = scene.peer.fd = -1;
    expect_result(lab_check(scene.probe, NULL, LONG_MS), PROBE_FAILED, CHECK_REFUSED);
}
END_TEST

START_TEST(a_full_server_is_named_even_when_it_answers_only_auth)
{
    struct scene scene = scene_of(PROBE_PING, "secret");

    peer_says(&scene.peer, "-ERR max number of clients reached\r\n");
    scene.peer.hangs_up = true;
    expect_result(lab_check(scene.probe, &scene.peer, LONG_MS), PROBE_FAILED, CHECK_MAX_CLIENTS);
}
END_TEST

/* Turns until the peer has heard so many bytes. */
static void until_heard(struct scene *scene, size_t bytes)
{
    while (scene->peer.heard < bytes)
        lab_turn(scene->probe, &scene->peer);
}

enum { PING_BYTES = 14 };

START_TEST(checks_under_way_together_are_answered_in_order)
{
    struct scene scene = scene_of(PROBE_PING, "");
    uint64_t now = clock_boot_ns(), later = now + LONG_MS * NS_PER_MS;
    struct probe_result result;

    for (uint64_t i = 0; i < 3; i++)
        ck_assert(probe_start(scene.probe, now + i, later));
    until_heard(&scene, (size_t)3 * PING_BYTES);
    peer_says(&scene.peer, "+PONG\r\n-LOADING x\r\n+PONG\r\n");
    for (uint64_t i = 0; i < 3; i++) {
        while (!probe_take(scene.probe, &result))
            lab_turn(scene.probe, &scene.peer);
        ck_assert_uint_eq(result.started_ns, now + i);
        expect_result(result, i == 1 ? PROBE_FAILED : PROBE_PASSED,
                      i == 1 ? CHECK_LOADING : CHECK_FINE);
    }
    ck_assert_uint_eq(scene.peer.accepted, 1);
}
END_TEST

START_TEST(a_late_answer_belongs_to_no_later_check)
{
    struct scene scene = scene_of(PROBE_PING, "");
    uint64_t now = clock_boot_ns();
    struct probe_result result;

    ck_assert(probe_start(scene.probe, now, now + 10));
    until_heard(&scene, PING_BYTES);
    probe_expire(scene.probe, now + 10);
    ck_assert(probe_take(scene.probe, &result));
    expect_result(result, PROBE_FAILED, CHECK_TIMEOUT);
    ck_assert(probe_start(scene.probe, now + 11, now + LONG_MS * NS_PER_MS));
    until_heard(&scene, (size_t)2 * PING_BYTES);
    peer_says(&scene.peer, "+PONG\r\n-LOADING x\r\n");
    while (!probe_take(scene.probe, &result))
        lab_turn(scene.probe, &scene.peer);
    expect_result(result, PROBE_FAILED, CHECK_LOADING);
    ck_assert_uint_eq(scene.peer.accepted, 1);
}
END_TEST

static const char ROLE_ASKED[] = "*1\r\n$4\r\nROLE\r\n";

/* A check ten seconds after the first: the role is asked for before it. */
static struct probe_result second_check(struct scene *scene, const char *answer)
{
    uint64_t later = clock_boot_ns() + 10 * NS_PER_S;
    struct probe_result result;

    peer_says(&scene->peer, "+PONG\r\n");
    expect_result(lab_check(scene->probe, &scene->peer, LONG_MS), PROBE_PASSED, CHECK_FINE);
    peer_says(&scene->peer, "");
    ck_assert(probe_start(scene->probe, later, later + LONG_MS * NS_PER_MS));
    until_heard(scene, (size_t)2 * PING_BYTES + sizeof(ROLE_ASKED) - 1);
    ck_assert_ptr_nonnull(strstr(scene->peer.last, ROLE_ASKED));
    peer_says(&scene->peer, answer);
    while (!probe_take(scene->probe, &result))
        lab_turn(scene->probe, &scene->peer);
    return result;
}

/* One more check so many seconds from now. True: the role is asked for before it. */
static bool asks_role(struct scene *scene, unsigned seconds)
{
    uint64_t later = clock_boot_ns() + seconds * NS_PER_S;
    struct probe_result result;
    size_t heard = scene->peer.heard;
    bool asked;

    peer_says(&scene->peer, "");
    ck_assert(probe_start(scene->probe, later, later + LONG_MS * NS_PER_MS));
    until_heard(scene, heard + PING_BYTES);
    asked = strncmp(scene->peer.last + heard, ROLE_ASKED, strlen(ROLE_ASKED)) == 0;
    if (asked)
        until_heard(scene, heard + PING_BYTES + strlen(ROLE_ASKED));
    peer_says(&scene->peer, asked ? "*1\r\n$6\r\nmaster\r\n+PONG\r\n" : "+PONG\r\n");
    while (!probe_take(scene->probe, &result))
        lab_turn(scene->probe, &scene->peer);
    expect_result(result, PROBE_PASSED, CHECK_FINE);
    ck_assert_int_eq(result.aside, asked ? ROLE_MASTER : ROLE_ANY);
    return asked;
}

START_TEST(the_role_is_asked_for_beside_the_checks)
{
    struct scene scene = scene_of(PROBE_PING, "");
    struct probe_result result =
        second_check(&scene,
                     "*5\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n$9\r\nconnected\r\n:0\r\n+PONG\r\n");

    expect_result(result, PROBE_PASSED, CHECK_FINE);
    ck_assert_int_eq(result.aside, ROLE_REPLICA);
}
END_TEST

START_TEST(who_does_not_tell_its_role_is_healthy_and_left_alone_for_a_minute)
{
    static const char *const answers[] = {
        "-ERR unknown command 'ROLE'\r\n+PONG\r\n",
        "-NOPERM no permissions to run the 'role' command\r\n+PONG\r\n",
        "*2\r\n$8\r\nsentinel\r\n*1\r\n$1\r\nm\r\n+PONG\r\n",
        "*1\r\n$6\r\nleader\r\n+PONG\r\n",
    };

    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct scene scene = scene_of(PROBE_PING, "");
        struct probe_result result = second_check(&scene, answers[i]);

        expect_result(result, PROBE_PASSED, CHECK_FINE);
        ck_assert_int_eq(result.aside, ROLE_ANY);
        ck_assert(!asks_role(&scene, 30));
        ck_assert(asks_role(&scene, 70));
        ck_assert_uint_eq(scene.peer.accepted, 1);
    }
}
END_TEST

START_TEST(who_cannot_tell_its_role_just_now_is_asked_again)
{
    static const char *const answers[] = {
        "-BUSY Redis is busy running a script.\r\n+PONG\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n+PONG\r\n",
        "-ERR no\r\n+PONG\r\n",
    };

    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct scene scene = scene_of(PROBE_PING, "");

        expect_result(second_check(&scene, answers[i]), PROBE_PASSED, CHECK_FINE);
        ck_assert(asks_role(&scene, 20));
    }
}
END_TEST

/* It passes over what it does not know, or gives an answer that is none. */
START_TEST(an_answer_that_may_be_another_questions_is_believed_by_neither)
{
    static const char *const answers[] = {
        "+PONG\r\n",
        ":1\r\n+PONG\r\n",
        "$-1\r\n-LOADING x\r\n",
    };

    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct scene scene = scene_of(PROBE_PING, "");
        uint64_t later = clock_boot_ns() + 10 * NS_PER_S;
        struct probe_result result;

        peer_says(&scene.peer, "+PONG\r\n");
        expect_result(lab_check(scene.probe, &scene.peer, LONG_MS), PROBE_PASSED, CHECK_FINE);
        peer_says(&scene.peer, "");
        ck_assert(probe_start(scene.probe, later, later + LONG_MS * NS_PER_MS));
        until_heard(&scene, (size_t)2 * PING_BYTES + sizeof(ROLE_ASKED) - 1);
        peer_says(&scene.peer, answers[i]);
        while (scene.peer.accepted < 2)
            lab_turn(scene.probe, &scene.peer);
        peer_says(&scene.peer, "+PONG\r\n");
        while (!probe_take(scene.probe, &result))
            lab_turn(scene.probe, &scene.peer);
        expect_result(result, PROBE_PASSED, CHECK_FINE);
        ck_assert_str_eq(scene.peer.last, "*1\r\n$4\r\nPING\r\n");
        ck_assert(!asks_role(&scene, 30));
    }
}
END_TEST

/* As some proxies do, and as any server does that is stopped at that moment. */
START_TEST(who_hangs_up_on_the_question_for_its_role_is_asked_again_later)
{
    struct scene scene = scene_of(PROBE_PING, "");
    uint64_t later = clock_boot_ns() + 10 * NS_PER_S;
    struct probe_result result;

    peer_says(&scene.peer, "+PONG\r\n");
    expect_result(lab_check(scene.probe, &scene.peer, LONG_MS), PROBE_PASSED, CHECK_FINE);
    ck_assert(probe_start(scene.probe, later, later + LONG_MS * NS_PER_MS));
    scene.peer.hang_ups = 1;
    peer_says(&scene.peer, "+PONG\r\n");
    while (!probe_take(scene.probe, &result))
        lab_turn(scene.probe, &scene.peer);
    expect_result(result, PROBE_PASSED, CHECK_FINE);
    ck_assert_uint_eq(scene.peer.accepted, 2);
    ck_assert(!asks_role(&scene, 30));
    ck_assert(asks_role(&scene, 70));
}
END_TEST

START_TEST(a_silent_connection_is_given_up_after_three_deadlines)
{
    struct scene scene = scene_of(PROBE_PING, "");
    uint64_t now = clock_boot_ns();
    struct probe_result result;

    ck_assert(probe_start(scene.probe, now, now + 10));
    until_heard(&scene, PING_BYTES);
    ck_assert(probe_start(scene.probe, now + 5, now + 100));
    until_heard(&scene, (size_t)2 * PING_BYTES);
    probe_expire(scene.probe, now + 29);
    ck_assert(probe_take(scene.probe, &result));
    ck_assert_uint_eq(probe_deadline_ns(scene.probe), now + 100);
    ck_assert_uint_eq(scene.peer.accepted, 1);
    probe_expire(scene.probe, now + 30);
    peer_says(&scene.peer, "+PONG\r\n");
    while (!probe_take(scene.probe, &result))
        lab_turn(scene.probe, &scene.peer);
    expect_result(result, PROBE_PASSED, CHECK_FINE);
    ck_assert_uint_eq(scene.peer.accepted, 2);
}
END_TEST

START_TEST(no_more_than_so_many_are_in_flight)
{
    struct scene scene = scene_of(PROBE_ECHO, "secret");
    uint64_t now = clock_boot_ns();
    struct probe_result result;

    for (int round = 0; round < 20; round++) { /* more answers are owed than there is room for */
        for (int i = 0; i < PROBES_IN_FLIGHT; i++)
            ck_assert(probe_start(scene.probe, now, now + NS_PER_S));
        ck_assert(!probe_start(scene.probe, now, now + NS_PER_S));
        for (int turn = 0; turn < 5; turn++)
            lab_turn(scene.probe, &scene.peer);
        probe_expire(scene.probe, now + NS_PER_S);
        for (int i = 0; i < PROBES_IN_FLIGHT; i++) {
            ck_assert(probe_take(scene.probe, &result));
            expect_result(result, PROBE_FAILED, CHECK_TIMEOUT);
        }
        ck_assert(!probe_take(scene.probe, &result));
        ck_assert_uint_eq(probe_deadline_ns(scene.probe), UINT64_MAX);
    }
    ck_assert_uint_ge(scene.peer.accepted, 20 * PROBES_IN_FLIGHT / 64);
}
END_TEST

START_TEST(void_checks_are_no_verdict)
{
    struct scene scene = scene_of(PROBE_PING, "");
    uint64_t now = clock_boot_ns();
    struct probe_result result;

    ck_assert(probe_start(scene.probe, now, now + NS_PER_S));
    until_heard(&scene, PING_BYTES);
    probe_void(scene.probe);
    ck_assert(probe_take(scene.probe, &result));
    ck_assert_int_eq(result.outcome, PROBE_VOID);
    ck_assert(probe_start(scene.probe, now, now + LONG_MS * NS_PER_MS));
    until_heard(&scene, (size_t)2 * PING_BYTES);
    peer_says(&scene.peer, "-LOADING late\r\n+PONG\r\n");
    while (!probe_take(scene.probe, &result))
        lab_turn(scene.probe, &scene.peer);
    expect_result(result, PROBE_PASSED, CHECK_FINE);
}
END_TEST

START_TEST(local_trouble_is_no_verdict)
{
    static const int local[] = {EADDRNOTAVAIL, ENOMEM, ENOBUFS, EACCES, EPERM, EAGAIN, EINVAL};
    struct scene scene = scene_of(PROBE_PING, "");

    for (size_t i = 0; i < COUNT_OF(local); i++) {
        struct probe_result result;

        next_connect_fails = local[i];
        result = lab_check(scene.probe, &scene.peer, LONG_MS);
        ck_assert_int_eq(result.outcome, PROBE_VOID);
        ck_assert_int_eq(result.error, local[i]);
    }
    next_socket_fails = EMFILE;
    expect_result(lab_check(scene.probe, &scene.peer, LONG_MS), PROBE_VOID, CHECK_FINE);
}
END_TEST

START_TEST(failed_connects_are_verdicts)
{
    static const struct {
        int error;
        enum check_cause cause;
    } rows[] = {
        {ECONNREFUSED, CHECK_REFUSED},     {ETIMEDOUT, CHECK_TIMEOUT},
        {ECONNRESET, CHECK_RESET},         {ENETUNREACH, CHECK_UNREACHABLE},
        {EHOSTUNREACH, CHECK_UNREACHABLE},
    };
    struct scene scene = scene_of(PROBE_TCP, "");

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct probe_result result;

        next_connect_fails = rows[i].error;
        result = lab_check(scene.probe, &scene.peer, LONG_MS);
        expect_result(result, PROBE_FAILED, rows[i].cause);
        ck_assert_int_eq(result.error, rows[i].error);
    }
    expect_result(lab_check(scene.probe, &scene.peer, LONG_MS), PROBE_PASSED, CHECK_FINE);
}
END_TEST

START_TEST(a_port_without_server_is_refused_for_every_kind)
{
    for (enum probe_kind kind = PROBE_TCP; kind <= PROBE_ECHO; kind++) {
        struct probe_target target = target_of(kind, free_port());

        expect_result(lab_check(probe_new(&target), NULL, LONG_MS), PROBE_FAILED, CHECK_REFUSED);
    }
}
END_TEST

START_TEST(no_address_is_a_verdict)
{
    struct probe_target target = {.kind = PROBE_PING};

    expect_result(lab_check(probe_new(&target), NULL, LONG_MS), PROBE_FAILED, CHECK_NO_ADDRESS);
}
END_TEST

START_TEST(the_next_address_is_tried)
{
    struct peer peer = peer_listen();
    struct probe_target target = target_of(PROBE_PING, free_port());

    ck_assert_int_eq(address_parse_ip("::1", &target.addresses[1]), 0);
    target.addresses[1].port = target.addresses[0].port;
    target.addresses[2] = loopback(peer.port);
    target.address_count = 3;
    peer_says(&peer, "+PONG\r\n");
    expect_result(lab_check(probe_new(&target), &peer, LONG_MS), PROBE_PASSED, CHECK_FINE);
    next_connect_fails = ENETUNREACH; /* at once, not by poll() */
    peer_says(&peer, "+PONG\r\n");
    expect_result(lab_check(probe_new(&target), &peer, LONG_MS), PROBE_PASSED, CHECK_FINE);
}
END_TEST

START_TEST(a_connection_to_itself_is_refused)
{
    for (enum probe_kind kind = PROBE_TCP; kind <= PROBE_ECHO; kind++) {
        struct probe_target target = target_of(kind, free_port());
        struct probe *probe = probe_new(&target);

        next_connect_to_itself = true;
        expect_result(lab_check(probe, NULL, LONG_MS), PROBE_FAILED, CHECK_REFUSED);
        ck_assert_int_eq(probe_fd(probe), -1);
    }
}
END_TEST

START_TEST(a_connection_that_is_not_made_in_time_is_begun_again)
{
    struct scene scene = scene_of(PROBE_TCP, "");
    struct probe_target target = target_of(PROBE_TCP, scene.peer.port);
    struct probe *filling[64];
    uint64_t now = clock_boot_ns();
    int waiting = 0;
    struct probe_result result;

    /* Fill the backlog, so that the kernel drops the next SYN. */
    do {
        filling[waiting] = probe_new(&target);
        result = lab_check(filling[waiting], NULL, SHORT_MS);
        ck_assert_int_lt(++waiting, 64);
    } while (result.outcome == PROBE_PASSED);
    expect_result(result, PROBE_FAILED, CHECK_TIMEOUT);
    ck_assert_int_eq(probe_fd(filling[waiting - 1]), -1);

    now = clock_boot_ns();
    ck_assert(probe_start(scene.probe, now, now + 10));
    ck_assert(probe_start(scene.probe, now, now + LONG_MS * NS_PER_MS));
    probe_expire(scene.probe, now + 10);
    ck_assert(probe_take(scene.probe, &result));
    expect_result(result, PROBE_FAILED, CHECK_TIMEOUT);
    ck_assert_int_ge(probe_fd(scene.probe), 0);
    while (!probe_take(scene.probe, &result))
        lab_turn(scene.probe, &scene.peer);
    expect_result(result, PROBE_PASSED, CHECK_FINE);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        answers_give_verdicts,
        an_echo_of_something_else_is_wrong,
        credentials_come_first_and_once,
        a_slow_drip_is_an_answer,
        an_endless_answer_is_too_long,
        answers_without_a_question_end_the_connection,
        a_connection_that_ends_is_made_again_once,
        a_server_that_hangs_up_and_is_gone_is_refused,
        a_full_server_is_named_even_when_it_answers_only_auth,
        checks_under_way_together_are_answered_in_order,
        a_late_answer_belongs_to_no_later_check,
        the_role_is_asked_for_beside_the_checks,
        who_does_not_tell_its_role_is_healthy_and_left_alone_for_a_minute,
        who_cannot_tell_its_role_just_now_is_asked_again,
        an_answer_that_may_be_another_questions_is_believed_by_neither,
        who_hangs_up_on_the_question_for_its_role_is_asked_again_later,
        a_silent_connection_is_given_up_after_three_deadlines,
        no_more_than_so_many_are_in_flight,
        void_checks_are_no_verdict,
        local_trouble_is_no_verdict,
        failed_connects_are_verdicts,
        a_port_without_server_is_refused_for_every_kind,
        no_address_is_a_verdict,
        the_next_address_is_tried,
        a_connection_to_itself_is_refused,
        a_connection_that_is_not_made_in_time_is_begun_again,
    };

    return unit_run("probe_peers", tests, COUNT_OF(tests));
}

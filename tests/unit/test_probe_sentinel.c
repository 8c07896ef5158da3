/* What is made of a Sentinel's words, and of their end. */
#include "probe/sentinel.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "probe_lab.h"

static struct discover_settings settings;
static struct sentinel sentinel;
static int their_end; /* of its connection */

static enum sentinel_news turn(void)
{
    struct pollfd waiting = {.fd = sentinel_fd(&sentinel), .events = sentinel_events(&sentinel)};

    ck_assert_int_eq(poll(&waiting, 1, -1), 1);
    return sentinel_handle(&sentinel, waiting.revents);
}

static void says(const char *text)
{
    size_t length = strlen(text);

    ck_assert_int_eq(send(their_end, text, length, MSG_NOSIGNAL), (ssize_t)length);
}

/* Under way: it has been asked, and has said nothing yet. */
static void start(const char *master_name, enum sentinel_work work)
{
    struct peer peer = peer_listen();

    text_copy(settings.master_name, sizeof(settings.master_name), master_name);
    settings.sentinels[0] = loopback(peer.port);
    settings.count = 1;
    sentinel_init(&sentinel, &settings, 0, "", "");
    ck_assert_int_eq(sentinel_start(&sentinel, work), SENTINEL_NOTHING);
    ck_assert_int_eq(turn(), SENTINEL_NOTHING);
    their_end = accept4(peer.listening, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(their_end, 0);
}

static void start_listening(const char *master_name)
{
    start(master_name, SENTINEL_LISTEN);
    says("*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n");
    ck_assert_int_eq(turn(), SENTINEL_LISTENING);
}

static void announces(const char *line)
{
    char text[2048];

    snprintf(text, sizeof(text), "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$%zu\r\n%s\r\n",
             strlen(line), line);
    says(text);
}

/* Its end has arrived behind all that it said. */
static void hang_up(bool reset)
{
    const struct linger at_once = {.l_onoff = 1};
    struct pollfd waiting = {.fd = sentinel_fd(&sentinel), .events = POLLRDHUP};

    if (reset) {
        setsockopt(their_end, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        close(their_end);
    } else {
        shutdown(their_end, SHUT_WR); /* close() would be a reset: our question was not read */
    }
    ck_assert_int_eq(poll(&waiting, 1, -1), 1);
}

static char *repeat(char letter, size_t count)
{
    static char texts[8][2048]; /* in turns: several are in use at once */
    static unsigned turn;
    char *text = texts[turn++ % COUNT_OF(texts)];

    ck_assert_uint_lt(count, sizeof(texts[0]));
    memset(text, letter, count);
    text[count] = '\0';
    return text;
}

static void expect_address(const struct address *address, const char *ip, uint16_t port)
{
    struct address expected;

    ck_assert_int_eq(address_parse_ip(ip, &expected), 0);
    expected.port = port;
    ck_assert(address_equal(address, &expected));
}

START_TEST(a_switch_is_heard_though_the_connection_ends_behind_it)
{
    for (int reset = 0; reset < 2; reset++) {
        start_listening("mymaster");
        announces("mymaster 10.0.0.1 6379 10.0.0.2 6380");
        hang_up(reset != 0);
        ck_assert_int_eq(turn(), SENTINEL_SWITCHED);
        expect_address(&sentinel.answer.master, "10.0.0.2", 6380);
        ck_assert(!sentinel_is_open(&sentinel));
        ck_assert_int_eq(sentinel.cause, reset ? CHECK_RESET : CHECK_CLOSED);
    }
}
END_TEST

START_TEST(a_switch_is_heard_though_rubbish_follows)
{
    start_listening("mymaster");
    announces("mymaster 10.0.0.1 6379 10.0.0.2 6380");
    says("what?\r\n");
    hang_up(false);
    ck_assert_int_eq(turn(), SENTINEL_SWITCHED);
    expect_address(&sentinel.answer.master, "10.0.0.2", 6380);
    ck_assert(!sentinel_is_open(&sentinel));
}
END_TEST

START_TEST(an_end_without_a_word_is_a_failure)
{
    start_listening("mymaster");
    announces("another 10.0.0.1 6379 10.0.0.2 6380");
    hang_up(false);
    ck_assert_int_eq(turn(), SENTINEL_FAILED);
    ck_assert_int_eq(sentinel.cause, CHECK_CLOSED);
}
END_TEST

START_TEST(a_switch_with_a_word_too_long_or_too_few_is_passed_over)
{
    const char *name = repeat('m', MASTER_TEXT - 1);
    char lines[6][1024];

    snprintf(lines[0], sizeof(lines[0]), "%sm 10.0.0.1 6379 10.0.0.2 6380", name);
    snprintf(lines[1], sizeof(lines[1]), "%s %s 6379 10.0.0.2 6380", name,
             repeat('h', ADDRESS_HOST_TEXT));
    snprintf(lines[2], sizeof(lines[2]), "%s 10.0.0.1 6379 10.0.0.2 %s", name, repeat('6', 16));
    snprintf(lines[3], sizeof(lines[3]), "%s 10.0.0.1 6379 10.0.0.2", name);
    snprintf(lines[4], sizeof(lines[4]), "%s 10.0.0.1 6379  6380", name);
    snprintf(lines[5], sizeof(lines[5]), "%s 10.0.0.1 6379 10.0.0.2 %s", name, repeat('6', 900));
    start_listening(name);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        announces(lines[i]);
        ck_assert_msg(turn() == SENTINEL_NOTHING, "%s", lines[i]);
    }
    announces("other 1.1.1.1 1 2.2.2.2 2");
    ck_assert_int_eq(turn(), SENTINEL_NOTHING);
    snprintf(lines[0], sizeof(lines[0]), "%s 10.0.0.1 6379 10.0.0.2 6380", name);
    announces(lines[0]);
    ck_assert_int_eq(turn(), SENTINEL_SWITCHED);
    expect_address(&sentinel.answer.master, "10.0.0.2", 6380);
}
END_TEST

/* Says what the master is, then one replica, then how the master is. */
static void answer(const char *ip_key, const char *ip, const char *flags)
{
    char text[4096];

    snprintf(text, sizeof(text),
             "*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n"
             "*1\r\n*6\r\n$2\r\nip\r\n$8\r\n10.0.0.2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n"
             "$4\r\nport\r\n$4\r\n6380\r\n"
             "*2\r\n$5\r\nflags\r\n$%zu\r\n%s\r\n",
             strlen(ip_key), ip_key, strlen(ip), ip, strlen(flags), flags);
    start("mymaster", SENTINEL_ASK);
    says(text);
    ck_assert_int_eq(turn(), SENTINEL_ANSWERED);
    expect_address(&sentinel.answer.servers[0], "10.0.0.1", 6379);
}

START_TEST(a_word_too_long_leaves_no_other_in_its_place)
{
    answer("ip", "10.0.0.3", "master");
    ck_assert_uint_eq(sentinel.answer.count, 2);
    expect_address(&sentinel.answer.servers[1], "10.0.0.3", 6380);
    ck_assert(sentinel.answer.calm);

    answer("ip", repeat('h', 600), repeat('f', 600));
    ck_assert_uint_eq(sentinel.answer.count, 1);
    ck_assert(!sentinel.answer.calm);

    answer(repeat('k', 600), "10.0.0.3", "master");
    ck_assert_uint_eq(sentinel.answer.count, 2);
    expect_address(&sentinel.answer.servers[1], "10.0.0.2", 6380);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_switch_is_heard_though_the_connection_ends_behind_it,
        a_switch_is_heard_though_rubbish_follows,
        an_end_without_a_word_is_a_failure,
        a_switch_with_a_word_too_long_or_too_few_is_passed_over,
        a_word_too_long_leaves_no_other_in_its_place,
    };

    return unit_run("probe_sentinel", tests, COUNT_OF(tests));
}

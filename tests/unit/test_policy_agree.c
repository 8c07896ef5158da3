/* What Sentinels say together: a minority changes nothing, silence neither. */
#include "policy/agree.h"

#include <check.h>
#include <string.h>

#include "unit.h"

enum { QUORUM = 2, VOICES = 3 };

static struct address at(unsigned port)
{
    struct address address = {.port = (uint16_t)port};

    ck_assert_int_eq(address_parse_ip("10.0.0.1", &address), 0);
    address.port = (uint16_t)port;
    return address;
}

/* A voice: its master, and with it the servers up to a 0. */
static struct voice says(unsigned master, unsigned second, unsigned third)
{
    struct voice voice = {.heard = true, .master = at(master)};

    voice.servers[voice.count++] = at(master);
    if (second)
        voice.servers[voice.count++] = at(second);
    if (third)
        voice.servers[voice.count++] = at(third);
    return voice;
}

START_TEST(a_quorum_names_the_master)
{
    struct voice voices[VOICES] = {says(1, 2, 0), says(2, 1, 0), says(2, 1, 0)};
    struct address master = {0};

    ck_assert_uint_eq(agree_master(voices, VOICES, QUORUM, &master), 2);
    ck_assert_uint_eq(master.port, 2);
}
END_TEST

START_TEST(a_minority_changes_nothing)
{
    struct voice voices[VOICES] = {says(1, 0, 0), says(2, 0, 0), says(3, 0, 0)};
    struct address master = at(9);

    ck_assert_uint_eq(agree_master(voices, VOICES, QUORUM, &master), 0);
    ck_assert_uint_eq(master.port, 9);
}
END_TEST

START_TEST(who_is_silent_has_no_voice)
{
    struct voice voices[VOICES] = {says(1, 0, 0), says(1, 0, 0), says(2, 0, 0)};
    struct address master = at(9);

    voices[0].heard = false;
    ck_assert_uint_eq(agree_master(voices, VOICES, QUORUM, &master), 0);
    ck_assert_uint_eq(master.port, 9);
}
END_TEST

START_TEST(most_voices_win_where_a_small_quorum_leaves_two)
{
    struct voice voices[VOICES] = {says(1, 0, 0), says(2, 0, 0), says(2, 0, 0)};
    struct address master = {0};

    ck_assert_uint_eq(agree_master(voices, VOICES, 1, &master), 2);
    ck_assert_uint_eq(master.port, 2);
}
END_TEST

START_TEST(a_voice_that_names_no_master_names_none)
{
    struct voice voices[VOICES] = {{.heard = true}, {.heard = true}, says(1, 0, 0)};
    struct address master = at(9);

    ck_assert_uint_eq(agree_master(voices, VOICES, QUORUM, &master), 0);
    ck_assert_uint_eq(master.port, 9);
}
END_TEST

START_TEST(servers_that_a_quorum_names_are_added_and_keep_their_order)
{
    struct voice voices[VOICES] = {says(1, 2, 3), says(1, 3, 0), says(1, 2, 4)};
    struct address servers[ENDPOINTS_MAX] = {0};
    unsigned count = 0;

    ck_assert(agree_servers(voices, VOICES, QUORUM, servers, &count));
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(servers[0].port, 1);
    ck_assert_uint_eq(servers[1].port, 2);
    ck_assert_uint_eq(servers[2].port, 3);
    voices[0] = voices[1] = voices[2] = says(3, 2, 1);
    ck_assert(!agree_servers(voices, VOICES, QUORUM, servers, &count));
    ck_assert_uint_eq(servers[0].port, 1);
}
END_TEST

START_TEST(a_server_vanishes_when_a_quorum_does_not_name_it)
{
    struct voice voices[VOICES] = {says(1, 2, 0), says(1, 2, 0), says(1, 0, 0)};
    struct address servers[ENDPOINTS_MAX] = {at(1), at(2)};
    unsigned count = 2;

    ck_assert(!agree_servers(voices, VOICES, QUORUM, servers, &count));
    /* One of those that name it falls silent, and a liar does not name it: that is no quorum. */
    voices[0].heard = false;
    ck_assert(!agree_servers(voices, VOICES, QUORUM, servers, &count));
    voices[0] = says(1, 0, 0);
    ck_assert(agree_servers(voices, VOICES, QUORUM, servers, &count));
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(servers[0].port, 1);
}
END_TEST

START_TEST(the_last_server_stays)
{
    struct voice voices[VOICES] = {{.heard = true}, {.heard = true}, {.heard = true}};
    struct address servers[ENDPOINTS_MAX] = {at(1)};
    unsigned count = 1;

    ck_assert(!agree_servers(voices, VOICES, QUORUM, servers, &count));
    ck_assert_uint_eq(count, 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_quorum_names_the_master,
        a_minority_changes_nothing,
        who_is_silent_has_no_voice,
        most_voices_win_where_a_small_quorum_leaves_two,
        a_voice_that_names_no_master_names_none,
        servers_that_a_quorum_names_are_added_and_keep_their_order,
        a_server_vanishes_when_a_quorum_does_not_name_it,
        the_last_server_stays,
    };

    return unit_run("policy_agree", tests, COUNT_OF(tests));
}

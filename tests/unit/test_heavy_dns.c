#include <string.h>

#include "base/text.h"
#include "heavy/dns_reply.h"
#include "unit.h"

/* A reply to "_r.x": one SRV record, priority 1, weight 2, port 7001, target "h.x". */
static const uint8_t good[] = {
    0,    1,   0x81, 0x80, 0,    1,    0, 1,   0, 0,   0,
    0,                                               /* header: one question, one answer */
    2,    '_', 'r',  1,    'x',  0,    0, 33,  0, 1, /* the question */
    0xc0, 12,  0,    33,   0,    1,    0, 0,   0, 30,  0,
    11, /* its name again, SRV, IN, 30 s, 11 bytes */
    0,    1,   0,    2,    0x1b, 0x59, 1, 'h', 1, 'x', 0, /* the record */
};

enum { TTL_AT = 28, PORT_AT = 38, TARGET_AT = 40 };

static enum dns_cause read_it(const uint8_t *bytes, size_t length, struct dns_answer *answer)
{
    /* As long as it is and no longer: sanitizers and valgrind see what is read beyond. */
    uint8_t *copy = malloc(length ? length : 1);
    enum dns_cause cause;

    memcpy(copy, bytes, length);
    *answer = (struct dns_answer){.ttl_s = DNS_TTL_NONE};
    cause = dns_read_srv(copy, length, answer);
    free(copy);
    return cause;
}

START_TEST(a_record_is_read)
{
    struct dns_answer answer;

    ck_assert_int_eq(read_it(good, sizeof(good), &answer), DNS_FOUND);
    ck_assert_uint_eq(answer.ttl_s, 30);
    ck_assert_uint_eq(answer.count, 1);
    ck_assert_str_eq(answer.hosts[0].name, "h.x");
    ck_assert_uint_eq(answer.hosts[0].port, 7001);
    ck_assert_uint_eq(answer.hosts[0].priority, 1);
    ck_assert_uint_eq(answer.hosts[0].weight, 2);
}
END_TEST

START_TEST(a_reply_cut_anywhere_is_nonsense)
{
    struct dns_answer answer;

    for (size_t length = 0; length < sizeof(good); length++)
        ck_assert_int_eq(read_it(good, length, &answer), DNS_NONSENSE);
}
END_TEST

START_TEST(any_bytes_are_read_to_an_end)
{
    uint8_t bytes[sizeof(good)];
    struct dns_answer answer;
    uint64_t seed = 7;

    for (int round = 0; round < 200000; round++) {
        memcpy(bytes, good, sizeof(bytes));
        for (int i = 0; i < 3; i++)
            bytes[unit_random(&seed) % sizeof(bytes)] = (uint8_t)unit_random(&seed);
        read_it(bytes, sizeof(bytes), &answer);
        ck_assert_uint_le(answer.count, DNS_HOSTS_MAX);
    }
}
END_TEST

START_TEST(no_target_and_no_port_are_no_offer)
{
    uint8_t bytes[sizeof(good)];
    struct dns_answer answer;

    memcpy(bytes, good, sizeof(bytes));
    bytes[TARGET_AT] = 0; /* the root */
    ck_assert_int_eq(read_it(bytes, sizeof(bytes), &answer), DNS_EMPTY);
    memcpy(bytes, good, sizeof(bytes));
    memset(bytes + PORT_AT, 0, 2);
    ck_assert_int_eq(read_it(bytes, sizeof(bytes), &answer), DNS_EMPTY);
}
END_TEST

static struct dns_host host(const char *name, enum dns_cause cause, unsigned unanswered)
{
    struct dns_host made = {.port = 6379, .cause = cause, .unanswered = unanswered};

    text_copy(made.name, sizeof(made.name), name);
    return made;
}

static void give(struct dns_host *to, const char *ip)
{
    ck_assert_int_eq(address_parse_ip(ip, &to->addresses[to->count]), 0);
    to->addresses[to->count++].port = to->port;
}

static bool has(const struct dns_host *of, const char *ip)
{
    struct address wanted;

    ck_assert_int_eq(address_parse_ip(ip, &wanted), 0);
    for (size_t i = 0; i < of->count; i++)
        if (address_same_ip(&of->addresses[i], &wanted))
            return true;
    return false;
}

START_TEST(a_family_that_was_not_answered_is_kept)
{
    struct dns_answer before = {.count = 1}, now = {.count = 1};

    before.hosts[0] = host("h.x", DNS_FOUND, 0);
    give(&before.hosts[0], "10.0.0.1");
    give(&before.hosts[0], "fd00::1");
    now.hosts[0] = host("h.x", DNS_FOUND, DNS_V6);
    give(&now.hosts[0], "10.0.0.2");
    dns_keep_known(&now, &before);
    ck_assert_uint_eq(now.hosts[0].count, 2);
    ck_assert(has(&now.hosts[0], "10.0.0.2") && has(&now.hosts[0], "fd00::1"));
}
END_TEST

START_TEST(an_address_that_is_said_to_be_gone_is_gone)
{
    struct dns_answer before = {.count = 1}, now = {.count = 1};

    before.hosts[0] = host("h.x", DNS_FOUND, 0);
    give(&before.hosts[0], "10.0.0.1");
    give(&before.hosts[0], "fd00::1");
    now.hosts[0] = host("h.x", DNS_FOUND, 0);
    give(&now.hosts[0], "10.0.0.1");
    dns_keep_known(&now, &before);
    ck_assert_uint_eq(now.hosts[0].count, 1);
    ck_assert(has(&now.hosts[0], "10.0.0.1"));
}
END_TEST

START_TEST(a_host_that_did_not_resolve_keeps_its_own_addresses)
{
    struct dns_answer before = {.count = 2}, now = {.count = 2};

    before.hosts[0] = host("a.x", DNS_FOUND, 0);
    give(&before.hosts[0], "10.0.0.1");
    before.hosts[1] = host("b.x", DNS_FOUND, 0);
    give(&before.hosts[1], "10.0.0.2");
    now.hosts[0] = host("b.x", DNS_LATE, DNS_V4 | DNS_V6);
    now.hosts[1] = host("c.x", DNS_LATE, DNS_V4 | DNS_V6);
    dns_keep_known(&now, &before);
    ck_assert_uint_eq(now.hosts[0].count, 1);
    ck_assert(has(&now.hosts[0], "10.0.0.2"));
    ck_assert_uint_eq(now.hosts[1].count, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_record_is_read,
        a_reply_cut_anywhere_is_nonsense,
        any_bytes_are_read_to_an_end,
        no_target_and_no_port_are_no_offer,
        a_family_that_was_not_answered_is_kept,
        an_address_that_is_said_to_be_gone_is_gone,
        a_host_that_did_not_resolve_keeps_its_own_addresses,
    };

    return unit_run("heavy_dns", tests, COUNT_OF(tests));
}

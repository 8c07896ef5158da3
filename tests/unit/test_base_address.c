#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "unit.h"

static struct address ip(const char *text, uint16_t port)
{
    struct address address;

    ck_assert_msg(address_parse_ip(text, &address) == 0, "'%s'", text);
    address.port = port;
    return address;
}

START_TEST(ip_literals_are_read_and_written_back)
{
    static const struct {
        const char *text, *written;
    } rows[] = {
        {"10.0.0.5", "10.0.0.5"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"::", "::"},
        {"fd00::5", "fd00::5"},
        {"FD00:0:0:0:0:0:0:5", "fd00::5"},
        {"::ffff:10.0.0.5", "10.0.0.5"},
        {"::ffff:a00:5", "10.0.0.5"},
        {"fe80::1%2", "fe80::1%2"},
        {"febf::1%4294967295", "febf::1%4294967295"},
    };
    char text[ADDRESS_IP_TEXT];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address address = ip(rows[i].text, 0);

        ck_assert_str_eq(address_format_ip(&address, text), rows[i].written);
    }
}
END_TEST

START_TEST(what_is_no_ip_literal_is_refused)
{
    static const char *const rows[] = {
        "",
        "10.0.0",
        "10.0.0.256",
        "10.0.0.5 ",
        "10.0.0.5:1",
        "010.0.0.005.1",
        "localhost",
        "[::1]",
        "fd00::5%2",
        "fe80::1%",
        "fe80::1%0",
        "fe80::1%4294967296",
        "fe80::1%-1",
        "fe80::1%2x",
        "10.0.0.5%2",
        "1::2::3",
        "fe80::1%99999999999999999999999",
        ":::",
        "0x7f.1",
        "12345::",
        "0000000000000000000000000000000000000000000000000000000000000000000000000000000000::1",
    };
    static const struct address none;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address address;

        ck_assert_msg(address_parse_ip(rows[i], &address) == -EINVAL, "'%s'", rows[i]);
        ck_assert_mem_eq(&address, &none, sizeof(none));
    }
}
END_TEST

START_TEST(ports_are_written_behind_brackets_in_ipv6)
{
    char text[ADDRESS_TEXT];
    struct address v4 = ip("10.0.0.5", 6379);
    struct address v6 = ip("fe80::1%7", 65535);
    struct address plain = ip("fd00::5", 0);

    ck_assert_str_eq(address_format(&v4, text), "10.0.0.5:6379");
    ck_assert_str_eq(address_format(&v6, text), "[fe80::1%7]:65535");
    ck_assert_str_eq(address_format(&plain, text), "fd00::5");
}
END_TEST

START_TEST(ipv4_and_its_mapped_form_are_one_address)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(6379)};
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(6379)};
    struct address a, b;

    inet_pton(AF_INET, "10.0.0.5", &v4.sin_addr);
    inet_pton(AF_INET6, "::ffff:10.0.0.5", &mapped.sin6_addr);
    ck_assert_int_eq(address_from_sockaddr(&v4, sizeof(v4), &a), 0);
    ck_assert_int_eq(address_from_sockaddr(&mapped, sizeof(mapped), &b), 0);
    ck_assert(address_is_v4(&a) && address_is_v4(&b));
    ck_assert(address_equal(&a, &b));
    ck_assert_mem_eq(&a, &b, sizeof(a));
    ck_assert_uint_eq(address_hash_ip(&a), address_hash_ip(&b));
    ck_assert_uint_eq(a.port, 6379);
}
END_TEST

START_TEST(each_part_tells_addresses_apart)
{
    struct address base = ip("fe80::1%2", 6379);
    struct address port = ip("fe80::1%2", 6380);
    struct address scope = ip("fe80::1%3", 6379);
    struct address other = ip("fe80::2%2", 6379);

    ck_assert(address_equal(&base, &base));
    ck_assert(address_same_ip(&base, &port) && !address_equal(&base, &port));
    ck_assert_uint_eq(address_hash_ip(&base), address_hash_ip(&port));
    ck_assert(!address_same_ip(&base, &scope));
    ck_assert(!address_same_ip(&base, &other));
    ck_assert_uint_ne(address_hash_ip(&base), address_hash_ip(&scope));
    ck_assert_uint_ne(address_hash_ip(&base), address_hash_ip(&other));
}
END_TEST

START_TEST(sockaddrs_that_are_too_short_or_foreign_are_refused)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr unix_socket = {.sa_family = AF_UNIX};
    struct address out;

    ck_assert_int_eq(address_from_sockaddr(&v4, 0, &out), -EINVAL);
    ck_assert_int_eq(address_from_sockaddr(&v4, 1, &out), -EINVAL);
    ck_assert_int_eq(address_from_sockaddr(&v4, sizeof(v4) - 1, &out), -EINVAL);
    ck_assert_int_eq(address_from_sockaddr(&v6, 23, &out), -EINVAL);
    ck_assert_int_eq(address_from_sockaddr(&unix_socket, sizeof(unix_socket), &out), -EAFNOSUPPORT);
    ck_assert_int_eq(address_from_sockaddr(&v6, 24, &out), 0); /* RFC 2133: without scope */
}
END_TEST

START_TEST(a_sockaddr_hashes_as_the_address_that_is_read_from_it)
{
    static const char *const ips[] = {"10.0.0.5", "fd00::5", "fe80::1%3", "::", "0.0.0.0"};
    static const int families[] = {AF_INET, AF_INET6, AF_UNIX};

    for (size_t i = 0; i < COUNT_OF(ips) * COUNT_OF(families); i++) {
        struct address source = ip(ips[i % COUNT_OF(ips)], 6379), read;
        int family = families[i / COUNT_OF(ips)];
        union socket_address sockaddr;
        socklen_t whole = sizeof(sockaddr);

        if (address_to_sockaddr(&source, family, &sockaddr, &whole) != 0)
            sockaddr.any.sa_family = (sa_family_t)family;
        for (size_t length = 0; length <= whole; length++) {
            char *bytes = malloc(length + 1); /* ends where the program's memory does */
            uint64_t hash = 0;
            int error;
            bool hashed;

            memcpy(bytes + 1, &sockaddr, length);
            error = address_from_sockaddr(bytes + 1, length, &read);
            hashed = address_hash_sockaddr(bytes + 1, length, &hash);
            free(bytes);
            ck_assert_msg(hashed == (error == 0), "family %d, %zu bytes", family, length);
            ck_assert(!hashed || hash == address_hash_ip(&read));
        }
    }
}
END_TEST

START_TEST(oversized_and_unaligned_sockaddrs_are_read)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(1)};
    char bytes[129] = {0};
    struct address out;

    memcpy(bytes + 1, &v4, sizeof(v4));
    ck_assert_int_eq(address_from_sockaddr(bytes + 1, 128, &out), 0);
    ck_assert_uint_eq(out.port, 1);
}
END_TEST

START_TEST(a_scope_counts_in_link_local_addresses_alone)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_scope_id = 9};
    struct address out;

    inet_pton(AF_INET6, "fd00::5", &v6.sin6_addr);
    ck_assert_int_eq(address_from_sockaddr(&v6, sizeof(v6), &out), 0);
    ck_assert_uint_eq(out.scope, 0);
    inet_pton(AF_INET6, "fe80::5", &v6.sin6_addr);
    ck_assert_int_eq(address_from_sockaddr(&v6, sizeof(v6), &out), 0);
    ck_assert_uint_eq(out.scope, 9);
}
END_TEST

START_TEST(an_address_is_written_in_the_sockets_family)
{
    struct address v4 = ip("10.0.0.5", 6379);
    struct address v6 = ip("fe80::1%4", 6379);
    union socket_address out;
    socklen_t length;
    struct address back;

    ck_assert_int_eq(address_to_sockaddr(&v4, AF_INET, &out, &length), 0);
    ck_assert_uint_eq(length, sizeof(struct sockaddr_in));
    ck_assert_int_eq(out.any.sa_family, AF_INET);
    ck_assert_int_eq(address_from_sockaddr(&out, length, &back), 0);
    ck_assert(address_equal(&v4, &back));

    ck_assert_int_eq(address_to_sockaddr(&v4, AF_INET6, &out, &length), 0);
    ck_assert_uint_eq(length, sizeof(struct sockaddr_in6));
    ck_assert(IN6_IS_ADDR_V4MAPPED(&out.v6.sin6_addr));
    ck_assert_int_eq(address_from_sockaddr(&out, length, &back), 0);
    ck_assert(address_equal(&v4, &back));

    ck_assert_int_eq(address_to_sockaddr(&v6, AF_INET6, &out, &length), 0);
    ck_assert_uint_eq(out.v6.sin6_scope_id, 4);
    ck_assert_int_eq(address_from_sockaddr(&out, length, &back), 0);
    ck_assert(address_equal(&v6, &back));

    ck_assert_int_eq(address_to_sockaddr(&v6, AF_INET, &out, &length), -EAFNOSUPPORT);
    ck_assert_int_eq(address_to_sockaddr(&v4, AF_UNIX, &out, &length), -EAFNOSUPPORT);
}
END_TEST

#define LABEL_63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
#define NAME_253                                                                                   \
    LABEL_63 "." LABEL_63 "." LABEL_63 "."                                                         \
             "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi"

START_TEST(hosts_and_ports_are_split)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        bool any_port, has_port;
    } rows[] = {
        {"cache", "cache", 0, false, false},
        {"Redis.Internal.", "redis.internal", 0, false, false},
        {"redis.internal.:6379", "redis.internal", 6379, false, true},
        {"redis_1-a.x:1", "redis_1-a.x", 1, false, true},
        {"cache:*", "cache", 0, true, false},
        {"10.0.0.5", "10.0.0.5", 0, false, false},
        {"10.0.0.5:65535", "10.0.0.5", 65535, false, true},
        {"fd00::5", "fd00::5", 0, false, false},
        {"::1", "::1", 0, false, false},
        {"[FD00::5]", "fd00::5", 0, false, false},
        {"[fd00::5]:6379", "fd00::5", 6379, false, true},
        {"[fd00::5]:*", "fd00::5", 0, true, false},
        {"[fe80::1%2]:7", "fe80::1%2", 7, false, true},
        {"10.0.0.5a", "10.0.0.5a", 0, false, false},
        {NAME_253, NAME_253, 0, false, false},
        {NAME_253 ".:6379", NAME_253, 6379, false, true},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct host_port out;

        ck_assert_msg(host_port_parse(rows[i].text, &out) == 0, "'%s'", rows[i].text);
        ck_assert_str_eq(out.host, rows[i].host);
        ck_assert_uint_eq(out.port, rows[i].port);
        ck_assert_msg(out.any_port == rows[i].any_port, "'%s'", rows[i].text);
        ck_assert_msg(out.has_port == rows[i].has_port, "'%s'", rows[i].text);
    }
}
END_TEST

START_TEST(malformed_hosts_and_ports_are_refused)
{
    static const struct {
        const char *text;
        int error;
    } rows[] = {
        {"", -EINVAL},
        {".", -EINVAL},
        {":6379", -EINVAL},
        {"cache:", -EINVAL},
        {"cache:x", -EINVAL},
        {"cache:+1", -EINVAL},
        {"cache:-1", -EINVAL},
        {"cache:6379 ", -EINVAL},
        {"cache:**", -EINVAL},
        {"cache:0", -ERANGE},
        {"cache:65536", -ERANGE},
        {"cache:18446744073709551617", -ERANGE},
        {"a..b", -EINVAL},
        {".a", -EINVAL},
        {"a..", -EINVAL},
        {"a b", -EINVAL},
        {"redis://a", -EINVAL},
        {"a/b", -EINVAL},
        {"caf\xc3\xa9", -EINVAL},
        {"*", -EINVAL},
        {"6379", -EINVAL},
        {"10.0.0.300", -EINVAL},
        {"10.0.0.5.", -EINVAL},
        {"[", -EINVAL},
        {"[]", -EINVAL},
        {"[::1", -EINVAL},
        {"[::1]6379", -EINVAL},
        {"[::1]:", -EINVAL},
        {"[::1]:0", -ERANGE},
        {"[10.0.0.5]:1", -EINVAL},
        {"[cache]:1", -EINVAL},
        {"a:b:c", -EINVAL},
        {"fd00::5::1", -EINVAL},
        {NAME_253 "x", -ENAMETOOLONG},
        {NAME_253 NAME_253 ":1", -ENAMETOOLONG},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct host_port out;
        int error = host_port_parse(rows[i].text, &out);

        ck_assert_msg(error == rows[i].error, "'%s': %d", rows[i].text, error);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        ip_literals_are_read_and_written_back,
        what_is_no_ip_literal_is_refused,
        ports_are_written_behind_brackets_in_ipv6,
        ipv4_and_its_mapped_form_are_one_address,
        each_part_tells_addresses_apart,
        sockaddrs_that_are_too_short_or_foreign_are_refused,
        a_sockaddr_hashes_as_the_address_that_is_read_from_it,
        oversized_and_unaligned_sockaddrs_are_read,
        a_scope_counts_in_link_local_addresses_alone,
        an_address_is_written_in_the_sockets_family,
        hosts_and_ports_are_split,
        malformed_hosts_and_ports_are_refused,
    };

    return unit_run("base_address", tests, COUNT_OF(tests));
}

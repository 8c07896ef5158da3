#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/hints.h"
#include "base/text.h"

enum { V4_AT = 12 }; /* where the four bytes of an IPv4 address lie in struct address */

/* Whole words: what is read as words soon after must not have been written in smaller pieces. */
static void set_v4(struct address *address, uint32_t ip)
{
    const uint64_t half[2] = {0, htobe64(address_low_word_v4(ip))};

    memcpy(address->ip, half, sizeof(half));
}

static uint64_t high_word(const struct address *address)
{
    uint64_t word;

    memcpy(&word, address->ip, sizeof(word));
    return be64toh(word);
}

static uint64_t low_word(const struct address *address)
{
    uint64_t word;

    memcpy(&word, address->ip + sizeof(word), sizeof(word));
    return be64toh(word);
}

bool address_is_v4(const struct address *address)
{
    return high_word(address) == 0 && low_word(address) >> 32 == 0xffff;
}

bool address_same_ip(const struct address *a, const struct address *b)
{
    return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 && a->scope == b->scope;
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->port == b->port && address_same_ip(a, b);
}

uint64_t address_hash_ip(const struct address *address)
{
    return address_hash_words(high_word(address), low_word(address), address->scope);
}

/* The program's may be unaligned. */
int address_from_sockaddr(const void *sockaddr, size_t length, struct address *out)
{
    const unsigned char *bytes = sockaddr;
    struct sockaddr_in6 v6 = {0};
    sa_family_t family;
    in_port_t port;
    uint32_t ip;

    *out = (struct address){0};
    if (length < sizeof(family))
        return -EINVAL;
    memcpy(&family, bytes + offsetof(struct sockaddr, sa_family), sizeof(family));
    if (LIKELY(family == AF_INET)) {
        if (length < sizeof(struct sockaddr_in))
            return -EINVAL;
        memcpy(&ip, bytes + offsetof(struct sockaddr_in, sin_addr), sizeof(ip));
        memcpy(&port, bytes + offsetof(struct sockaddr_in, sin_port), sizeof(port));
        set_v4(out, ip);
        out->port = ntohs(port);
        return 0;
    }
    if (family == AF_INET6) {
        if (length < SOCKADDR_IN6_LEAST)
            return -EINVAL;
        memcpy(&v6, bytes, length < sizeof(v6) ? length : sizeof(v6));
        memcpy(out->ip, &v6.sin6_addr, sizeof(out->ip));
        out->port = ntohs(v6.sin6_port);
        if (address_has_scope(high_word(out)) && length >= sizeof(v6))
            out->scope = v6.sin6_scope_id;
        return 0;
    }
    return -EAFNOSUPPORT;
}

int address_to_sockaddr(const struct address *address, int family, union socket_address *out,
                        socklen_t *length)
{
    memset(out, 0, sizeof(*out));
    if (LIKELY(family == AF_INET) && address_is_v4(address)) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(address->port);
        memcpy(&out->v4.sin_addr, address->ip + V4_AT, 4);
        *length = sizeof(out->v4);
        return 0;
    }
    if (family == AF_INET6) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(address->port);
        out->v6.sin6_scope_id = address->scope;
        memcpy(&out->v6.sin6_addr, address->ip, sizeof(address->ip));
        *length = sizeof(out->v6);
        return 0;
    }
    return -EAFNOSUPPORT;
}

/* Digits alone, no sign. 0, -EINVAL or -ERANGE (not in 1..most). */
static int parse_number(const char *text, uint32_t most, uint32_t *out)
{
    uint64_t number = 0;

    if (!*text)
        return -EINVAL;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9')
            return -EINVAL;
        if (number <= most)
            number = number * 10 + (uint64_t)(*c - '0');
    }
    if (number < 1 || number > most)
        return -ERANGE;
    *out = (uint32_t)number;
    return 0;
}

int address_parse_ip(const char *text, struct address *out)
{
    const char *percent = strchr(text, '%');
    char ip[ADDRESS_IP_TEXT];
    uint32_t v4;

    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, text, &v4) == 1) {
        set_v4(out, v4);
        return 0;
    }
    if (!text_copy(ip, sizeof(ip), text))
        return -EINVAL;
    if (percent)
        ip[percent - text] = '\0';
    if (inet_pton(AF_INET6, ip, out->ip) != 1)
        goto invalid;
    if (percent && (!address_has_scope(high_word(out)) ||
                    parse_number(percent + 1, UINT32_MAX, &out->scope) != 0))
        goto invalid;
    return 0;
invalid:
    memset(out, 0, sizeof(*out));
    return -EINVAL;
}

const char *address_format_ip(const struct address *address, char out[static ADDRESS_IP_TEXT])
{
    if (address_is_v4(address)) {
        inet_ntop(AF_INET, address->ip + V4_AT, out, ADDRESS_IP_TEXT);
        return out;
    }
    inet_ntop(AF_INET6, address->ip, out, ADDRESS_IP_TEXT);
    if (address->scope) {
        size_t length = strlen(out);

        snprintf(out + length, ADDRESS_IP_TEXT - length, "%%%" PRIu32, address->scope);
    }
    return out;
}

const char *address_format(const struct address *address, char out[static ADDRESS_TEXT])
{
    char ip[ADDRESS_IP_TEXT];

    address_format_ip(address, ip);
    if (address->port == 0)
        text_copy(out, ADDRESS_TEXT, ip);
    else
        snprintf(out, ADDRESS_TEXT, address_is_v4(address) ? "%s:%u" : "[%s]:%u", ip,
                 (unsigned)address->port);
    return out;
}

/*
 * Labels of letters, digits, '-' and '_'. Not of digits alone: "10.0.0.300" is a mistyped address
 * and "6379" a port, though resolvers would take the latter for 0.0.24.235.
 */
static bool is_host_name(const char *name)
{
    bool only_digits = true;
    char before = '.';

    for (; *name; before = *name++) {
        char c = text_lower(*name);
        bool digit = c >= '0' && c <= '9';

        if (c == '.' ? before == '.' : !(digit || (c >= 'a' && c <= 'z') || c == '-' || c == '_'))
            return false;
        if (!digit && c != '.')
            only_digits = false;
    }
    return before != '.' && !only_digits;
}

/* The host's part of `text`, `length` bytes of it, to out->host. */
static int set_host(struct host_port *out, const char *text, size_t length, bool must_be_v6)
{
    char host[ADDRESS_HOST_TEXT];
    struct address address;

    if (length >= sizeof(host))
        return -ENAMETOOLONG;
    memcpy(host, text, length);
    host[length] = '\0';
    if (text_host_name(out->host, sizeof(out->host), host) == 0)
        return -EINVAL;
    if (must_be_v6)
        return strchr(host, ':') && address_parse_ip(host, &address) == 0 ? 0 : -EINVAL;
    if (strlen(out->host) > 253) /* RFC 1035: 255 bytes on the wire */
        return -ENAMETOOLONG;
    return address_parse_ip(host, &address) == 0 || is_host_name(out->host) ? 0 : -EINVAL;
}

/* "" or ":6379" or ":*" */
static int set_port(struct host_port *out, const char *text)
{
    uint32_t port;
    int error;

    if (!*text)
        return 0;
    if (*text++ != ':')
        return -EINVAL;
    if (text_equal(text, "*")) {
        out->any_port = true;
        return 0;
    }
    error = parse_number(text, UINT16_MAX, &port);
    if (error)
        return error;
    out->port = (uint16_t)port;
    out->has_port = true;
    return 0;
}

int host_port_parse(const char *text, struct host_port *out)
{
    const char *colon = strchr(text, ':');
    const char *end;
    int error;

    memset(out, 0, sizeof(*out));
    if (*text == '[') {
        text++;
        end = strchr(text, ']');
        if (!end)
            return -EINVAL;
        error = set_host(out, text, (size_t)(end - text), true);
        return error ? error : set_port(out, end + 1);
    }
    if (colon && strchr(colon + 1, ':'))
        return set_host(out, text, strlen(text), true);
    end = colon ? colon : text + strlen(text);
    error = set_host(out, text, (size_t)(end - text), false);
    return error ? error : set_port(out, end);
}

#include "base/address.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/hints.h"
#include "base/text.h"

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

/* sockaddr_in6 without its scope, as RFC 2133 had it: Linux still takes it. */
enum { SOCKADDR_IN6_LEAST = offsetof(struct sockaddr_in6, sin6_scope_id) };

static void set_v4(struct address *address, const void *ip)
{
    memcpy(address->ip, mapped_prefix, sizeof(mapped_prefix));
    memcpy(address->ip + sizeof(mapped_prefix), ip, 4);
}

/* Only here does a scope mean anything; Linux ignores it in other addresses. */
static bool is_link_local(const struct address *address)
{
    return address->ip[0] == 0xfe && (address->ip[1] & 0xc0) == 0x80;
}

bool address_is_v4(const struct address *address)
{
    return memcmp(address->ip, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

bool address_same_ip(const struct address *a, const struct address *b)
{
    return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 && a->scope == b->scope;
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->port == b->port && address_same_ip(a, b);
}

static uint64_t hash_halves(const uint64_t half[2], uint32_t scope)
{
    /* In host order neighbours differ in the low bits. Fibonacci hashing (Knuth, volume 3, 6.4)
     * carries those upwards, so the high half is the good one. */
    uint64_t hash =
        (be64toh(half[0]) * 3 + be64toh(half[1]) + scope) * UINT64_C(0x9e3779b97f4a7c15);

    return hash ^ hash >> 32;
}

/* By words: every connect() of the program pays for this one. */
uint64_t address_hash_ip(const struct address *address)
{
    uint64_t half[2];

    memcpy(half, address->ip, sizeof(half));
    return hash_halves(half, address->scope);
}

HOT bool address_hash_sockaddr(const void *sockaddr, size_t length, uint64_t *hash)
{
    union { /* byte order is that of the network, as in struct address */
        uint8_t ip[16];
        uint64_t half[2];
    } address;
    const unsigned char *bytes = sockaddr;
    sa_family_t family;
    uint32_t scope = 0;

    if (length < sizeof(family))
        return false;
    memcpy(&family, bytes + offsetof(struct sockaddr, sa_family), sizeof(family));
    if (LIKELY(family == AF_INET && length >= sizeof(struct sockaddr_in))) {
        address.half[0] = 0;
        memcpy(address.ip + 8, mapped_prefix + 8, 4);
        memcpy(address.ip + 12, bytes + offsetof(struct sockaddr_in, sin_addr), 4);
    } else if (family == AF_INET6 && length >= SOCKADDR_IN6_LEAST) {
        memcpy(address.ip, bytes + offsetof(struct sockaddr_in6, sin6_addr), sizeof(address.ip));
        if (address.ip[0] == 0xfe && (address.ip[1] & 0xc0) == 0x80 &&
            length >= sizeof(struct sockaddr_in6))
            memcpy(&scope, bytes + offsetof(struct sockaddr_in6, sin6_scope_id), sizeof(scope));
    } else {
        return false;
    }
    *hash = hash_halves(address.half, scope);
    return true;
}

HOT int address_from_sockaddr(const void *sockaddr, size_t length, struct address *out)
{
    union socket_address copy; /* the program's may be unaligned */
    sa_family_t family;

    memset(out, 0, sizeof(*out));
    if (length < sizeof(family))
        return -EINVAL;
    memcpy(&family, sockaddr, sizeof(family));
    if (LIKELY(family == AF_INET)) {
        if (length < sizeof(copy.v4))
            return -EINVAL;
        memcpy(&copy.v4, sockaddr, sizeof(copy.v4));
        set_v4(out, &copy.v4.sin_addr);
        out->port = ntohs(copy.v4.sin_port);
        return 0;
    }
    if (family == AF_INET6) {
        if (length < SOCKADDR_IN6_LEAST)
            return -EINVAL;
        memset(&copy, 0, sizeof(copy));
        memcpy(&copy, sockaddr, length < sizeof(copy) ? length : sizeof(copy));
        memcpy(out->ip, &copy.v6.sin6_addr, sizeof(out->ip));
        out->port = ntohs(copy.v6.sin6_port);
        if (is_link_local(out) && length >= sizeof(copy.v6))
            out->scope = copy.v6.sin6_scope_id;
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
        memcpy(&out->v4.sin_addr, address->ip + sizeof(mapped_prefix), 4);
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
    uint8_t v4[4];

    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, text, v4) == 1) {
        set_v4(out, v4);
        return 0;
    }
    if (!text_copy(ip, sizeof(ip), text))
        return -EINVAL;
    if (percent)
        ip[percent - text] = '\0';
    if (inet_pton(AF_INET6, ip, out->ip) != 1)
        goto invalid;
    if (percent && (!is_link_local(out) || parse_number(percent + 1, UINT32_MAX, &out->scope) != 0))
        goto invalid;
    return 0;
invalid:
    memset(out, 0, sizeof(*out));
    return -EINVAL;
}

const char *address_format_ip(const struct address *address, char out[static ADDRESS_IP_TEXT])
{
    if (address_is_v4(address)) {
        inet_ntop(AF_INET, address->ip + sizeof(mapped_prefix), out, ADDRESS_IP_TEXT);
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

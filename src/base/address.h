/*
 * address: an IP address with a port, in one form for hashing and comparing.
 *
 * IPv4 is kept as IPv4-mapped IPv6, so 10.0.0.5 on an AF_INET socket and ::ffff:10.0.0.5 on an
 * AF_INET6 socket are the same address. Whether an endpoint can be reached from a given socket is
 * decided when the address is written back (address_to_sockaddr).
 *
 * Functions marked [hook] are async-signal-safe: no lock, no allocation, no stdio, errno untouched.
 */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <endian.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/hints.h"

struct address {
    uint8_t ip[16]; /* network byte order; IPv4 as ::ffff:a.b.c.d */
    uint32_t scope; /* interface index of a link-local IPv6 address, else 0 */
    uint16_t port;  /* host byte order; 0 = none given */
    uint16_t spare; /* always 0: addresses are compared and stored as bytes */
};

/* What a socket call takes; big enough for both families, small enough for a hook's stack. */
union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

enum {
    ADDRESS_IP_TEXT = 64,   /* "fe80::…%4294967295" and its NUL */
    ADDRESS_TEXT = 72,      /* the same as "[ip]:port" */
    ADDRESS_HOST_TEXT = 256 /* a DNS name and its NUL */
};

bool address_is_v4(const struct address *address);                      /* [hook] */
bool address_same_ip(const struct address *a, const struct address *b); /* [hook] scope included */
bool address_equal(const struct address *a, const struct address *b);   /* [hook] port included */
uint64_t address_hash_ip(const struct address *address);                /* [hook] port left out */

/*
 * [hook] Reads what the program passed to a socket call. `length` is its addrlen.
 * 0, -EINVAL (too short for its family) or -EAFNOSUPPORT (neither AF_INET nor AF_INET6).
 */
int address_from_sockaddr(const void *sockaddr, size_t length, struct address *out);

/* sockaddr_in6 without its scope, as RFC 2133 had it: Linux still takes it. */
enum { SOCKADDR_IN6_LEAST = offsetof(struct sockaddr_in6, sin6_scope_id) };

/* Only in a link-local address (its first 64 bits, host order) does a scope mean anything; Linux
 * ignores it in others. */
static inline bool address_has_scope(uint64_t high)
{
    return high >> 54 == 0xfe80 >> 6;
}

/*
 * Of an IP as two words in host order, where neighbours differ in the low bits: Fibonacci hashing
 * (Knuth, volume 3, 6.4) carries those upwards, so the high half is the good one.
 */
static inline uint64_t address_hash_words(uint64_t high, uint64_t low, uint32_t scope)
{
    uint64_t hash = (high * 3 + low + scope) * UINT64_C(0x9e3779b97f4a7c15);

    return hash ^ hash >> 32;
}

/* ::ffff:a.b.c.d, its low word. `ip` as the network has it. */
static inline uint64_t address_low_word_v4(uint32_t ip)
{
    return UINT64_C(0xffff) << 32 | be32toh(ip);
}

/*
 * [hook] address_hash_ip() of what address_from_sockaddr() would read, without reading it all: the
 * first question of every connect(), inline because every connect() of the program pays for it.
 * False where that would fail. In loads as wide as the program's own stores may have been: a wider
 * one would wait for them.
 */
static inline bool address_hash_sockaddr(const void *sockaddr, size_t length, uint64_t *hash)
{
    const unsigned char *bytes = sockaddr;
    sa_family_t family;

    if (length < sizeof(family))
        return false;
    memcpy(&family, bytes + offsetof(struct sockaddr, sa_family), sizeof(family));
    if (LIKELY(family == AF_INET) && length >= sizeof(struct sockaddr_in)) {
        uint32_t ip;

        memcpy(&ip, bytes + offsetof(struct sockaddr_in, sin_addr), sizeof(ip));
        *hash = address_hash_words(0, address_low_word_v4(ip), 0);
        return true;
    }
    if (family == AF_INET6 && length >= SOCKADDR_IN6_LEAST) {
        uint64_t half[2], high;
        uint32_t scope = 0;

        memcpy(half, bytes + offsetof(struct sockaddr_in6, sin6_addr), sizeof(half));
        high = be64toh(half[0]);
        if (UNLIKELY(address_has_scope(high)) && length >= sizeof(struct sockaddr_in6))
            memcpy(&scope, bytes + offsetof(struct sockaddr_in6, sin6_scope_id), sizeof(scope));
        *hash = address_hash_words(high, be64toh(half[1]), scope);
        return true;
    }
    return false;
}

/*
 * [hook] Writes `address` for a socket of `family`: AF_INET takes IPv4 only; on AF_INET6 an IPv4
 * address is written v4-mapped. 0 or -EAFNOSUPPORT.
 */
int address_to_sockaddr(const struct address *address, int family, union socket_address *out,
                        socklen_t *length);

/* An IP literal without port or brackets ("10.0.0.5", "fd00::5", "fe80::1%2"). 0 or -EINVAL. */
int address_parse_ip(const char *text, struct address *out);

/* Not for hooks (inet_ntop). Both return `out`. IPv4 is written dotted, IPv6 with port bracketed.
 */
const char *address_format_ip(const struct address *address, char out[static ADDRESS_IP_TEXT]);
const char *address_format(const struct address *address, char out[static ADDRESS_TEXT]);

/* "host", "host:port", "host:*", "[ipv6]", "[ipv6]:port", "ipv6" (two colons or more). */
struct host_port {
    char host[ADDRESS_HOST_TEXT]; /* without brackets; lower case, no trailing dot */
    uint16_t port;                /* 0 when none was given */
    bool any_port;                /* ":*" */
    bool has_port;                /* a number was given */
};

/*
 * Splits `text`. The host must be an IP literal or a name of letters, digits, '-', '_' and '.',
 * at most 253 bytes. 0, -EINVAL (malformed), -ERANGE (port not in 1..65535) or -ENAMETOOLONG.
 */
int host_port_parse(const char *text, struct host_port *out);

#endif

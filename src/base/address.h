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

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

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

/*
 * [hook] address_hash_ip() of what address_from_sockaddr() would read, without reading it all: the
 * first question of every connect(). False where that would fail.
 */
bool address_hash_sockaddr(const void *sockaddr, size_t length, uint64_t *hash);

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

/* getaddrinfo: a service's name is asked for as the number of an endpoint; libc does the rest. */
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "preload/hook.h"
#include "preload/hook_getaddrinfo.h"
#include "preload/lookup.h"
#include "preload/real.h"

enum { WIDE_TEXT = ADDRESS_HOST_TEXT + 16 };

/* -1: not a plain number of 1..65535. */
static long port_number(const char *service)
{
    long port = 0;

    if (!*service)
        return -1;
    for (const char *c = service; *c; c++) {
        if (*c < '0' || *c > '9' || port > 65535)
            return -1;
        port = port * 10 + (*c - '0');
    }
    return port >= 1 && port <= 65535 ? port : -1;
}

static enum lookup_family family_of(const struct addrinfo *hints)
{
    if (!hints || hints->ai_family == AF_UNSPEC)
        return LOOKUP_ANY;
    if (hints->ai_family == AF_INET)
        return LOOKUP_V4;
    return hints->ai_flags & AI_V4MAPPED ? LOOKUP_V6_OR_MAPPED : LOOKUP_V6;
}

/* A number is not what was asked, or the family is one that no Redis has: as it was. */
static bool keeps_its_meaning(const struct addrinfo *hints)
{
    return !hints || (!(hints->ai_flags & AI_NUMERICHOST) &&
                      (hints->ai_family == AF_UNSPEC || hints->ai_family == AF_INET ||
                       hints->ai_family == AF_INET6));
}

/*
 * AI_CANONNAME (Java always sets it): libc copies the text it was asked for, the number, into
 * memory of its own. So the number is written as long as the name is, and the name put in its place
 * after. IPv4 takes any number of zeros in its hexadecimal form (inet_aton); IPv6 has 39 characters
 * at most.
 */
static bool widen(const struct lookup *lookup, const char *node, char out[static WIDE_TEXT])
{
    const uint8_t *ip = lookup->address.ip;
    size_t wanted = strnlen(node, WIDE_TEXT), length;

    if (address_is_v4(&lookup->address)) {
        length = text_format(out, WIDE_TEXT, "0x");
        while (length + 8 < wanted && length + 9 < WIDE_TEXT)
            out[length++] = '0';
        for (unsigned i = 12; i < 16; i++)
            length += text_format(out + length, WIDE_TEXT - length, "%02x", ip[i]);
    } else {
        length = 0;
        for (unsigned i = 0; i < 16; i += 2)
            length += text_format(out + length, WIDE_TEXT - length, i ? ":%02x%02x" : "%02x%02x",
                                  ip[i], ip[i + 1]);
        if (lookup->address.scope)
            return false;
    }
    return length >= wanted;
}

/* True: the answer bears the name that was asked for. */
static bool put_name(struct addrinfo *answer, const char *wide, const char *node)
{
    if (!answer->ai_canonname || !text_equal(answer->ai_canonname, wide))
        return false;
    return text_copy(answer->ai_canonname, strnlen(wide, WIDE_TEXT) + 1, node);
}

static in_port_t *port_field(struct addrinfo *answer)
{
    if (answer->ai_family == AF_INET)
        return &((union socket_address *)(void *)answer->ai_addr)->v4.sin_port;
    if (answer->ai_family == AF_INET6)
        return &((union socket_address *)(void *)answer->ai_addr)->v6.sin6_port;
    return NULL;
}

/* A service name ("redis") is for libc to resolve: the port is in the answer. */
static uint16_t answered_port(struct addrinfo *answer)
{
    in_port_t *port = answer ? port_field(answer) : NULL;

    return port ? ntohs(*port) : 0;
}

static void put_port(struct addrinfo *answer, uint16_t port)
{
    for (; answer; answer = answer->ai_next) {
        in_port_t *field = port_field(answer);

        if (field)
            *field = htons(port);
    }
}

/* Asks libc for the number instead of the name. False: make the call as it was. */
static bool ask(const struct lookup *lookup, const char *node, const char *service,
                const struct addrinfo *hints, struct addrinfo **answer)
{
    char wide[WIDE_TEXT] = "";

    if ((hints && hints->ai_flags & AI_CANONNAME && !widen(lookup, node, wide)) ||
        real_getaddrinfo()(wide[0] ? wide : lookup->text, service, hints, answer) != 0)
        return false;
    if (!wide[0] || put_name(*answer, wide, node))
        return true;
    freeaddrinfo(*answer);
    return false;
}

/*
 * "http", not 80: libc knows the port, and which service has the name with that port is known only
 * then.
 */
static bool ask_by_port_name(struct lookup *lookup, const char *node, const char *service,
                             const struct addrinfo *hints, bool may_wait, struct addrinfo **answer)
{
    struct lookup any;
    uint16_t port;

    if (!lookup_name(node, 0, family_of(hints), may_wait, &any) ||
        !ask(&any, node, service, hints, answer))
        return false;
    port = answered_port(*answer);
    freeaddrinfo(*answer);
    return port != 0 && lookup_name(node, port, family_of(hints), may_wait, lookup) &&
           ask(lookup, node, service, hints, answer);
}

bool hook_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                      bool may_wait, struct addrinfo **result)
{
    long number = service ? port_number(service) : 0;
    struct addrinfo *answer = NULL;
    struct lookup lookup;

    if (!keeps_its_meaning(hints))
        return false;
    if (number < 0) {
        if (!ask_by_port_name(&lookup, node, service, hints, may_wait, &answer))
            return false;
    } else if (!lookup_name(node, (uint16_t)number, family_of(hints), may_wait, &lookup) ||
               !ask(&lookup, node, service, hints, &answer)) {
        return false;
    }
    if (service && !lookup.is_virtual)
        put_port(answer, lookup.address.port);
    lookup_given(&lookup);
    *result = answer;
    return true;
}

EXPORT int getaddrinfo(const char *restrict node, const char *restrict service,
                       const struct addrinfo *restrict hints, struct addrinfo **restrict result)
{
    int saved = errno;

    if (!real_getaddrinfo())
        return EAI_FAIL;
    if (node && hook_getaddrinfo(node, service, hints, true, result)) {
        errno = saved;
        return 0;
    }
    errno = saved;
    return real_getaddrinfo()(node, service, hints, result);
}

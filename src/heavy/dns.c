#include "heavy/dns.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define CARES_NO_DEPRECATED
#include <ares.h>

#include "base/clock.h"
#include "base/text.h"
#include "heavy/dns_reply.h"

enum {
    TRIES = 3,
    TRY_MAX_MS = 1000, /* doubles from try to try */
    TRY_MIN_MS = 50,
    CLASS_IN = 1,
    TYPE_SRV = 33,
};

/* Questions under way for one answer. */
struct exchange {
    ares_channel files;   /* knows /etc/hosts alone, and answers at once */
    ares_channel channel; /* name servers */
    struct dns_answer *answer;
    unsigned pending;
    enum dns_cause cut; /* DNS_FOUND, or why the rest is not waited for */
    struct part {
        struct exchange *exchange;
        struct dns_host *host;
        int family;
        bool of_files;
        enum dns_cause cause;
    } parts[2 * DNS_HOSTS_MAX];
    size_t part_count;
};

const char *dns_cause_text(enum dns_cause cause)
{
    switch (cause) {
    case DNS_FOUND:
        return "found";
    case DNS_NO_NAME:
        return "the name does not exist (NXDOMAIN)";
    case DNS_EMPTY:
        return "the answer is empty";
    case DNS_FAILED:
        return "the name server cannot tell (SERVFAIL)";
    case DNS_REFUSED:
        return "the name server refuses to tell (REFUSED)";
    case DNS_LATE:
        return "no name server answered in time";
    case DNS_UNREACHABLE:
        return "no name server can be reached";
    case DNS_NONSENSE:
        return "the answer cannot be understood";
    case DNS_BAD_SERVERS:
        return DNS_SERVERS_VARIABLE " is no list of addresses";
    case DNS_LOCAL:
        return "this host is out of memory or descriptors";
    case DNS_CANCELLED:
        return "it was not waited for";
    }
    return "unknown";
}

static enum dns_cause cause_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return DNS_FOUND;
    case ARES_ENOTFOUND:
        return DNS_NO_NAME;
    case ARES_ENODATA:
        return DNS_EMPTY;
    case ARES_ESERVFAIL:
    case ARES_ENOTIMP:
    case ARES_EFORMERR:
        return DNS_FAILED;
    case ARES_EREFUSED:
        return DNS_REFUSED;
    case ARES_ETIMEOUT:
        return DNS_LATE;
    case ARES_ECONNREFUSED:
        return DNS_UNREACHABLE;
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
        return DNS_CANCELLED;
    case ARES_ENOMEM:
    case ARES_EFILE:
    case ARES_ENOTINITIALIZED:
        return DNS_LOCAL;
    default:
        return DNS_NONSENSE;
    }
}

/* ---- addresses ---- */

/* Sorted, the same answer in another order is the same; with more than fit, the first are taken. */
static void insert(struct dns_host *host, const struct address *address)
{
    size_t at = 0;

    while (at < host->count && memcmp(&host->addresses[at], address, sizeof(*address)) < 0)
        at++;
    if (at == DNS_ADDRESSES_MAX ||
        (at < host->count && address_equal(&host->addresses[at], address)))
        return;
    if (host->count < DNS_ADDRESSES_MAX)
        host->count++;
    memmove(&host->addresses[at + 1], &host->addresses[at],
            (host->count - at - 1) * sizeof(*address));
    host->addresses[at] = *address;
}

static void note_ttl(struct dns_answer *answer, int ttl_s)
{
    if (ttl_s >= 0 && (uint32_t)ttl_s < answer->ttl_s)
        answer->ttl_s = (uint32_t)ttl_s;
}

static void take_addresses(struct part *part, const struct ares_addrinfo *found)
{
    struct dns_answer *answer = part->exchange->answer;

    for (const struct ares_addrinfo_cname *name = found->cnames; name; name = name->next)
        if (!part->of_files)
            note_ttl(answer, name->ttl);
    for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next) {
        struct address address;

        if (address_from_sockaddr(node->ai_addr, node->ai_addrlen, &address) != 0)
            continue;
        address.port = part->host->port;
        if (!part->of_files)
            note_ttl(answer, node->ai_ttl);
        insert(part->host, &address);
    }
}

static void addresses_came(void *argument, int status, int timeouts, struct ares_addrinfo *found)
{
    struct part *part = argument;

    (void)timeouts;
    part->exchange->pending--;
    part->cause = cause_of(status);
    if (found && status == ARES_SUCCESS)
        take_addresses(part, found);
    ares_freeaddrinfo(found);
}

static void ask_family(struct part *part, bool of_files)
{
    const struct exchange *exchange = part->exchange;
    struct ares_addrinfo_hints hints = {
        .ai_family = part->family,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = ARES_AI_NOSORT,
    };

    part->of_files = of_files;
    part->exchange->pending++;
    ares_getaddrinfo(of_files ? exchange->files : exchange->channel, part->host->name, NULL, &hints,
                     addresses_came, part);
}

/* What /etc/hosts has is not asked of name servers. */
static void ask_addresses(struct exchange *exchange, struct dns_host *host)
{
    struct part *parts = &exchange->parts[exchange->part_count];

    parts[0] = (struct part){.exchange = exchange, .host = host, .family = AF_INET};
    parts[1] = (struct part){.exchange = exchange, .host = host, .family = AF_INET6};
    exchange->part_count += 2;
    ask_family(&parts[0], true);
    ask_family(&parts[1], true);
    for (int i = 0; host->count == 0 && i < 2; i++)
        ask_family(&parts[i], false);
    for (int i = 0; host->count > 0 && i < 2; i++)
        if (parts[i].of_files && parts[i].cause != DNS_FOUND)
            parts[i].cause = DNS_EMPTY;
}

/* True: the name server has told, be it that there is none. */
static bool is_answered(enum dns_cause cause)
{
    return cause == DNS_FOUND || cause == DNS_EMPTY || cause == DNS_NO_NAME;
}

/* What two families come to together. */
static void conclude_host(struct dns_host *host, const struct part *parts)
{
    enum dns_cause v4 = parts[0].cause, v6 = parts[1].cause;

    host->unanswered = (is_answered(v4) ? 0 : DNS_V4) | (is_answered(v6) ? 0 : DNS_V6);
    if (host->count > 0)
        host->cause = DNS_FOUND;
    else if (!is_answered(v4) && (v4 != DNS_LATE || is_answered(v6)))
        host->cause = v4;
    else if (!is_answered(v6))
        host->cause = v6; /* a reset that ends one question leaves the other to silence */
    else                  /* one family of a name that has the other is empty */
        host->cause = v4 == DNS_NO_NAME && v6 == DNS_NO_NAME ? DNS_NO_NAME : DNS_EMPTY;
}

static void conclude(const struct exchange *exchange)
{
    struct dns_answer *answer = exchange->answer;
    bool any = false;

    for (size_t i = 0; i < answer->count; i++) {
        conclude_host(&answer->hosts[i], &exchange->parts[2 * i]);
        any = any || answer->hosts[i].count > 0;
    }
    answer->cause = any ? DNS_FOUND : answer->hosts[0].cause;
}

/* ---- waiting ---- */

static bool is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) > 0;
}

/* One turn: until something comes or is due. */
static void wait_turn(struct exchange *exchange, int cancel_fd, uint64_t left_ns)
{
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    struct pollfd polls[ARES_GETSOCK_MAXNUM + 1];
    struct timeval most = {
        .tv_sec = (time_t)(left_ns / NS_PER_S),
        .tv_usec = (suseconds_t)(left_ns % NS_PER_S / NS_PER_US),
    };
    struct timeval due, *next = ares_timeout(exchange->channel, &most, &due);
    unsigned mask = (unsigned)ares_getsock(exchange->channel, sockets, ARES_GETSOCK_MAXNUM);
    nfds_t count = 0;

    for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
        short wanted = (short)((mask >> i & 1 ? POLLIN : 0) |
                               (mask >> (i + ARES_GETSOCK_MAXNUM) & 1 ? POLLOUT : 0));

        if (wanted)
            polls[count++] = (struct pollfd){.fd = sockets[i], .events = wanted};
    }
    polls[count] = (struct pollfd){.fd = cancel_fd, .events = POLLIN};
    if (poll(polls, count + 1, (int)(next->tv_sec * 1000 + next->tv_usec / 1000) + 1) <= 0)
        count = 0;
    for (nfds_t i = 0; i < count; i++) {
        bool broken = polls[i].revents & (POLLERR | POLLHUP);
        bool readable = broken || polls[i].revents & POLLIN;

        ares_process_fd(exchange->channel, readable ? polls[i].fd : ARES_SOCKET_BAD,
                        polls[i].revents & POLLOUT ? polls[i].fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(exchange->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* what is due */
}

/* Until all is answered, or the rest is given up. */
static void await(struct exchange *exchange, uint64_t deadline_ns, int cancel_fd)
{
    while (exchange->pending > 0) {
        uint64_t now_ns = clock_boot_ns();

        if (cancel_fd >= 0 && is_readable(cancel_fd))
            exchange->cut = DNS_CANCELLED;
        else if (now_ns >= deadline_ns)
            exchange->cut = DNS_LATE;
        if (exchange->cut) {
            ares_cancel(exchange->channel);
            break;
        }
        wait_turn(exchange, cancel_fd, deadline_ns - now_ns);
    }
    for (size_t i = 0; i < exchange->part_count; i++)
        if (exchange->parts[i].cause == DNS_CANCELLED)
            exchange->parts[i].cause = exchange->cut;
}

/* ---- asking ---- */

/* `lookups`: "f" for files, "b" for name servers. */
static bool open_channel(ares_channel *channel, const char *lookups, int flags, uint64_t left_ns)
{
    uint64_t try_ms = left_ns / 4 / NS_PER_MS;
    char order[2] = {lookups[0], '\0'};
    struct ares_options options = {.flags = flags, .tries = TRIES, .lookups = order};

    if (try_ms > TRY_MAX_MS)
        try_ms = TRY_MAX_MS;
    options.timeout = (int)(try_ms < TRY_MIN_MS ? TRY_MIN_MS : try_ms);
    if (ares_init_options(channel, &options,
                          ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                              ARES_OPT_LOOKUPS) == ARES_SUCCESS)
        return true;
    *channel = NULL;
    return false;
}

static enum dns_cause open_channels(struct exchange *exchange, uint64_t deadline_ns, int flags)
{
    const char *servers = getenv(DNS_SERVERS_VARIABLE);
    uint64_t now_ns = clock_boot_ns();
    uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

    if (!open_channel(&exchange->files, "f", 0, left_ns) ||
        !open_channel(&exchange->channel, "b", flags, left_ns))
        return DNS_LOCAL;
    if (servers && servers[0] &&
        ares_set_servers_ports_csv(exchange->channel, servers) != ARES_SUCCESS)
        return DNS_BAD_SERVERS;
    return DNS_FOUND;
}

static void close_channels(const struct exchange *exchange)
{
    if (exchange->channel)
        ares_destroy(exchange->channel);
    if (exchange->files)
        ares_destroy(exchange->files);
}

static void srv_came(void *argument, int status, int timeouts, unsigned char *reply, int length)
{
    struct exchange *exchange = argument;
    struct dns_answer *answer = exchange->answer;

    (void)timeouts;
    exchange->pending--;
    answer->cause =
        status == ARES_SUCCESS ? dns_read_srv(reply, (size_t)length, answer) : cause_of(status);
    if (answer->cause != DNS_FOUND)
        answer->count = 0;
}

static void ask_srv(struct exchange *exchange, const char *name, uint64_t deadline_ns,
                    int cancel_fd)
{
    exchange->pending++;
    ares_search(exchange->channel, name, CLASS_IN, TYPE_SRV, srv_came, exchange);
    await(exchange, deadline_ns, cancel_fd);
    if (exchange->answer->cause == DNS_CANCELLED)
        exchange->answer->cause = exchange->cut;
}

static void ask(const struct dns_question *question, uint64_t deadline_ns, int cancel_fd, int flags,
                struct dns_answer *answer)
{
    struct exchange exchange = {.answer = answer};

    *answer = (struct dns_answer){.ttl_s = DNS_TTL_NONE};
    answer->cause = open_channels(&exchange, deadline_ns, flags);
    if (answer->cause == DNS_FOUND && question->srv) {
        ask_srv(&exchange, question->name, deadline_ns, cancel_fd);
    } else if (answer->cause == DNS_FOUND) {
        answer->count = 1;
        answer->hosts[0].port = question->port;
        text_copy(answer->hosts[0].name, sizeof(answer->hosts[0].name), question->name);
    }
    if (answer->cause == DNS_FOUND) {
        for (size_t i = 0; i < answer->count; i++)
            ask_addresses(&exchange, &answer->hosts[i]);
        await(&exchange, deadline_ns, cancel_fd);
        conclude(&exchange);
    }
    close_channels(&exchange);
}

/*
 * c-ares goes on to the next server after a SERVFAIL or REFUSED, and in the end calls all of them
 * unreachable. Asked so, it tells what the first one says.
 */
static void ask_first_server(const struct dns_question *question, uint64_t deadline_ns,
                             int cancel_fd, struct dns_answer *answer)
{
    struct dns_answer second;

    ask(question, deadline_ns, cancel_fd, ARES_FLAG_NOCHECKRESP, &second);
    if (second.cause != DNS_LATE)
        *answer = second;
}

static bool is_number(const struct dns_question *question, struct dns_answer *answer)
{
    struct address address;

    if (question->srv || address_parse_ip(question->name, &address) != 0)
        return false;
    address.port = question->port;
    *answer = (struct dns_answer){.ttl_s = DNS_TTL_NONE, .count = 1};
    text_copy(answer->hosts[0].name, sizeof(answer->hosts[0].name), question->name);
    answer->hosts[0].port = question->port;
    insert(&answer->hosts[0], &address);
    return true;
}

void dns_ask(const struct dns_question *question, uint64_t deadline_ns, int cancel_fd,
             struct dns_answer *answer)
{
    if (is_number(question, answer))
        return;
    ask(question, deadline_ns, cancel_fd, 0, answer);
    if (answer->cause == DNS_UNREACHABLE)
        ask_first_server(question, deadline_ns, cancel_fd, answer);
}

/* ---- what is known already ---- */

static void keep_family(struct dns_host *host, const struct dns_host *before)
{
    for (size_t i = 0; i < before->count; i++) {
        unsigned family = address_is_v4(&before->addresses[i]) ? DNS_V4 : DNS_V6;

        if (host->unanswered & family)
            insert(host, &before->addresses[i]);
    }
}

void dns_keep_known(struct dns_answer *answer, const struct dns_answer *before)
{
    for (size_t i = 0; i < answer->count; i++) {
        struct dns_host *host = &answer->hosts[i];

        for (size_t j = 0; j < before->count; j++) {
            const struct dns_host *known = &before->hosts[j];

            if (known->port != host->port || !text_equal(known->name, host->name))
                continue;
            if (host->cause == DNS_FOUND) {
                keep_family(host, known);
            } else {
                memcpy(host->addresses, known->addresses, sizeof(host->addresses));
                host->count = known->count;
            }
        }
    }
}

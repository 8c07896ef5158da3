#include "health/census.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "state/decision.h"
#include "state/live.h"

enum { ANSWER_SIZE = 16 * 1024, COUNTED_MAX = 256 };

/* An address of an endpoint, and how many connections go there. */
struct counted {
    struct address address;
    struct endpoint_live *live;
    uint32_t count;
};

struct census {
    struct counted list[COUNTED_MAX];
    unsigned length;
};

static void add(struct census *census, const struct service_view *service)
{
    SHARED64 struct address addresses[ADDRESSES_MAX];

    for (uint32_t e = 0; e < service->count; e++) {
        uint32_t count = service_addresses(service, e, addresses);

        for (uint32_t i = 0; i < count && census->length < COUNTED_MAX; i++)
            census->list[census->length++] = (struct counted){
                .address = addresses[i],
                .live = service->endpoint_live[e],
            };
    }
}

/* False: the settings were changing. */
static bool find_endpoints(struct census *census, const struct segment *segment)
{
    struct bank_view view;
    struct service_view service;

    if (!bank_open(segment, &view))
        return false;
    for (uint32_t i = 0; i < view.service_count; i++)
        if (service_read(&view, i, &service) &&
            service.settings.strategy == STRATEGY_LEAST_CONNECTIONS)
            add(census, &service);
    return bank_valid(&view);
}

static void count(struct census *census, const struct inet_diag_msg *found)
{
    struct address remote = {.port = ntohs(found->id.idiag_dport)};

    if (found->idiag_family == AF_INET) {
        remote.ip[10] = remote.ip[11] = 0xff;
        memcpy(remote.ip + 12, found->id.idiag_dst, 4);
    } else {
        memcpy(remote.ip, found->id.idiag_dst, sizeof(remote.ip));
    }
    for (unsigned i = 0; i < census->length; i++) {
        struct address *address = &census->list[i].address;

        if (address->port == remote.port && memcmp(address->ip, remote.ip, sizeof(remote.ip)) == 0)
            census->list[i].count++;
    }
}

/* One part of the answer. 1: more follows; 0: that was all; -errno. */
static int read_answer(struct census *census, const struct nlmsghdr *message, size_t length)
{
    for (; NLMSG_OK(message, length); message = NLMSG_NEXT(message, length)) {
        if (message->nlmsg_type == NLMSG_DONE)
            return 0;
        if (message->nlmsg_type == NLMSG_ERROR)
            return -EIO;
        if (message->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
            message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
            count(census, NLMSG_DATA(message));
    }
    return 1;
}

static int ask(struct census *census, int fd, uint8_t family)
{
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } question = {
        .header = {.nlmsg_len = sizeof(question),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .request = {.sdiag_family = family,
                    .sdiag_protocol = IPPROTO_TCP,
                    .idiag_states = 1u << TCP_ESTABLISHED},
    };
    union {
        struct nlmsghdr header;
        unsigned char bytes[ANSWER_SIZE];
    } answer;
    long got;
    int more;

    /* The raw calls: the host's own hooks, if it has any, are not to see them. */
    if (syscall(SYS_sendto, fd, &question, sizeof(question), MSG_NOSIGNAL, NULL, 0) < 0)
        return -errno;
    do {
        got = syscall(SYS_recvfrom, fd, &answer, sizeof(answer), 0, NULL, NULL);
        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        more = read_answer(census, &answer.header, (size_t)got);
    } while (more > 0);
    return more;
}

/* An endpoint with several addresses stands in the list once for each of them, one behind another.
 */
static void write_down(const struct census *census)
{
    for (unsigned i = 0; i < census->length;) {
        struct endpoint_live *live = census->list[i].live;
        uint32_t sum = 0;

        for (; i < census->length && census->list[i].live == live; i++)
            sum += census->list[i].count;
        live_count_connections(live, sum);
    }
}

void census_take(const struct segment *segment)
{
    struct census census; /* 11 KiB of stack, not touched without need */
    int fd;

    census.length = 0;
    if (!segment->writable || !find_endpoints(&census, segment) || census.length == 0)
        return;
    fd = (int)syscall(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0)
        return;
    if (ask(&census, fd, AF_INET) == 0 && ask(&census, fd, AF_INET6) == 0)
        write_down(&census);
    close(fd);
}

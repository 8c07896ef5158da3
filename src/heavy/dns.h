/*
 * dns: one question to the name servers, by c-ares: the addresses of a name, or the hosts that
 * offer a service (SRV) and theirs, with the time that the answer is good for. For threads that may
 * wait.
 *
 * /etc/hosts, the name servers and the search list are read anew with each question.
 */
#ifndef HEAVY_DNS_H
#define HEAVY_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

enum {
    DNS_HOSTS_MAX = 16,
    DNS_ADDRESSES_MAX = 16, /* per host */
};

/* No time to live came with the answer: it was in /etc/hosts, or a number. */
#define DNS_TTL_NONE UINT32_MAX

/* "127.0.0.1:5353,[::1]:53": asked instead of those of /etc/resolv.conf. */
#define DNS_SERVERS_VARIABLE "REDISTEER_NAME_SERVERS"

enum dns_cause {
    DNS_FOUND,
    DNS_NO_NAME,     /* NXDOMAIN */
    DNS_EMPTY,       /* the name is there, and has nothing of what was asked for */
    DNS_FAILED,      /* SERVFAIL */
    DNS_REFUSED,     /* REFUSED */
    DNS_LATE,        /* silence */
    DNS_UNREACHABLE, /* of the name servers not one */
    DNS_NONSENSE,    /* an answer that cannot be read */
    DNS_BAD_SERVERS, /* the variable above */
    DNS_LOCAL,       /* this host's own trouble: memory, descriptors */
    DNS_CANCELLED,
};

struct dns_question {
    char name[ADDRESS_HOST_TEXT];
    bool srv;      /* false: its addresses; true: the hosts that offer it */
    uint16_t port; /* of the addresses, without SRV */
};

enum dns_families {
    DNS_V4 = 1,
    DNS_V6 = 2,
};

struct dns_host {
    char name[ADDRESS_HOST_TEXT];
    uint16_t port;
    uint16_t priority, weight; /* of SRV, as they came: the lowest priority is the best */
    enum dns_cause cause;      /* DNS_FOUND, or why there is no address */
    unsigned unanswered;       /* DNS_V4 | DNS_V6: of these addresses nothing was learnt */
    size_t count;
    struct address
        addresses[DNS_ADDRESSES_MAX]; /* in the order of their bytes, without repetition */
};

struct dns_answer {
    enum dns_cause cause; /* DNS_FOUND: at least one host has an address */
    uint32_t ttl_s;       /* the shortest of all that was used */
    size_t count;         /* 1 without SRV; with it in the order of priority, then name and port */
    struct dns_host hosts[DNS_HOSTS_MAX];
};

/*
 * Asks, and comes back by `deadline_ns` (CLOCK_BOOTTIME) at the latest, or as soon as `cancel_fd`
 * is readable (-1: there is none).
 */
void dns_ask(const struct dns_question *question, uint64_t deadline_ns, int cancel_fd,
             struct dns_answer *answer);

/* For people: "the name does not exist (NXDOMAIN)". */
const char *dns_cause_text(enum dns_cause cause);

/*
 * What a part of the answer does not say is taken from the last one that did: addresses of a family
 * that was not answered, those of a host that did not resolve. An address that is said to be gone
 * is gone.
 */
void dns_keep_known(struct dns_answer *answer, const struct dns_answer *before);

#endif

/*
 * dns_reply: the SRV records of a name server's reply, read from its bytes. Pure but for the memory
 * that c-ares takes for a name.
 */
#ifndef HEAVY_DNS_REPLY_H
#define HEAVY_DNS_REPLY_H

#include "heavy/dns.h"

/*
 * Fills in hosts and ttl_s: DNS_FOUND, DNS_EMPTY (none, or it says that the service is not offered)
 * or DNS_NONSENSE. With more than fit, the best ones are taken.
 */
enum dns_cause dns_read_srv(const uint8_t *reply, size_t length, struct dns_answer *answer);

#endif

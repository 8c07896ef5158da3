#include "cli/lookups.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

static int error_of(enum dns_cause cause)
{
    switch (cause) {
    case DNS_FOUND:
        return 0;
    case DNS_NO_NAME:
    case DNS_EMPTY:
        return EAI_NONAME;
    case DNS_LATE:
    case DNS_UNREACHABLE:
    case DNS_CANCELLED:
        return EAI_AGAIN;
    case DNS_LOCAL:
        return EAI_MEMORY;
    case DNS_FAILED:
    case DNS_REFUSED:
    case DNS_NONSENSE:
    case DNS_BAD_SERVERS:
        break;
    }
    return EAI_FAIL;
}

/* The heaviest of those that share its priority. */
static uint16_t heaviest(const struct dns_answer *answer, uint16_t priority)
{
    uint16_t most = 0;

    for (size_t i = 0; i < answer->count; i++)
        if (answer->hosts[i].priority == priority && answer->hosts[i].weight > most)
            most = answer->hosts[i].weight;
    return most;
}

/* In thousandths of the heaviest; a weight of 0 is little, but it is not nothing (RFC 2782). */
static uint32_t weight_milli(const struct dns_answer *answer, const struct dns_host *host)
{
    uint32_t most = heaviest(answer, host->priority);
    uint32_t milli = most ? host->weight * 1000u / most : 1000;

    return milli ? milli : 1;
}

static void fill_offer(struct offer *offer, const struct dns_host *host)
{
    text_copy(offer->host, sizeof(offer->host), host->name);
    offer->count = host->count < ADDRESSES_MAX ? host->count : ADDRESSES_MAX;
    memcpy(offer->addresses, host->addresses, offer->count * sizeof(offer->addresses[0]));
}

/* In the answer's order, which is that of priorities. A host without address is none. */
static bool take_offers(struct lookup *lookup, const struct dns_answer *answer)
{
    uint8_t tier = 0;

    lookup->offers = calloc(ENDPOINTS_MAX, sizeof(*lookup->offers));
    if (!lookup->offers)
        return false;
    for (size_t i = 0; i < answer->count && lookup->count < ENDPOINTS_MAX; i++) {
        const struct dns_host *host = &answer->hosts[i];
        struct offer *offer = &lookup->offers[lookup->count];

        tier += i > 0 && host->priority != answer->hosts[i - 1].priority;
        if (host->count == 0)
            continue;
        fill_offer(offer, host);
        offer->tier = tier;
        offer->weight_milli = weight_milli(answer, host);
        lookup->count++;
    }
    return true;
}

void lookup_fail(struct lookup *lookup, enum dns_cause cause)
{
    lookup->count = 0;
    lookup->error = error_of(cause);
    lookup->why = lookup->error ? dns_cause_text(cause) : NULL;
}

bool lookup_take(struct lookup *lookup, const struct dns_answer *answer)
{
    lookup_fail(lookup, answer->cause);
    if (lookup->srv)
        return take_offers(lookup, answer);
    for (size_t i = 0; i < answer->hosts[0].count && i < ENDPOINTS_MAX && answer->count > 0; i++) {
        lookup->addresses[i] = answer->hosts[0].addresses[i];
        lookup->addresses[i].port = lookup->port;
        lookup->count++;
    }
    return true;
}

void lookup_ask(struct lookup *lookup, uint64_t patience_ns)
{
    struct dns_question question = {.srv = lookup->srv, .port = lookup->port};
    struct dns_answer *answer = malloc(sizeof(*answer)); /* threads have small stacks */

    lookup->error = EAI_MEMORY;
    if (!answer)
        return;
    text_copy(question.name, sizeof(question.name), lookup->host);
    dns_ask(&question, clock_boot_ns() + patience_ns, -1, answer);
    if (!lookup_take(lookup, answer))
        lookup->error = EAI_MEMORY;
    free(answer);
}

bool lookup_servers_given(void)
{
    const char *servers = getenv(DNS_SERVERS_VARIABLE);

    return servers && servers[0];
}

#include "settings/resolve.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct address));
}

static bool is_known(const struct address *addresses, size_t count, const struct address *address)
{
    for (size_t i = 0; i < count; i++) {
        if (address_equal(&addresses[i], address))
            return true;
    }
    return false;
}

/*
 * Name servers rotate their answers; sorted, the same answer is the same publication. With more
 * than fit, the first ones of the answer are taken.
 */
static void take(struct lookup *lookup, const struct addrinfo *found)
{
    for (; found && lookup->count < ADDRESSES_MAX; found = found->ai_next) {
        struct address address;
        if (address_from_sockaddr(found->ai_addr, found->ai_addrlen, &address) != 0)
            continue;
        address.port = lookup->port;
        if (!is_known(lookup->addresses, lookup->count, &address))
            lookup->addresses[lookup->count++] = address;
    }
    qsort(lookup->addresses, lookup->count, sizeof(lookup->addresses[0]), by_bytes);
    lookup->error = lookup->count ? 0 : EAI_NONAME;
}

static void wait_for(struct gaicb *request)
{
    const struct gaicb *const list[] = {request};

    while (gai_error(request) == EAI_INPROGRESS)
        gai_suspend(list, 1, NULL);
}

static int ask(struct lookup *lookups, struct gaicb *requests, struct gaicb **list, size_t count)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    size_t asked = 0;

    for (size_t i = 0; i < count; i++) {
        struct lookup *lookup = &lookups[i];
        if (address_parse_ip(lookup->host, &lookup->addresses[0]) == 0) {
            lookup->addresses[0].port = lookup->port;
            lookup->count = 1;
            continue;
        }
        requests[i] = (struct gaicb){.ar_name = lookup->host, .ar_request = &hints};
        list[asked++] = &requests[i];
    }
    if (asked && getaddrinfo_a(GAI_NOWAIT, list, (int)asked, NULL) == EAI_MEMORY)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (!requests[i].ar_name)
            continue;
        wait_for(&requests[i]);
        lookups[i].error = gai_error(&requests[i]);
        if (!lookups[i].error)
            take(&lookups[i], requests[i].ar_result);
        if (requests[i].ar_result)
            freeaddrinfo(requests[i].ar_result);
    }
    return 0;
}

int resolve(struct lookup *lookups, size_t count)
{
    struct gaicb *requests = calloc(count + 1, sizeof(*requests));
    struct gaicb **list = calloc(count + 1, sizeof(struct gaicb *));
    int error = requests && list ? ask(lookups, requests, list, count) : -ENOMEM;

    free(list);
    free(requests);
    return error;
}

#include "settings/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 16 };

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

static void look_up(struct lookup *lookup)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;

    if (address_parse_ip(lookup->host, &lookup->addresses[0]) == 0) {
        lookup->addresses[0].port = lookup->port;
        lookup->count = 1;
        return;
    }
    lookup->error = getaddrinfo(lookup->host, NULL, &hints, &found);
    if (lookup->error)
        return;
    take(lookup, found);
    freeaddrinfo(found);
}

struct queue {
    struct lookup *lookups;
    size_t count;
    atomic_size_t next; /* relaxed: each index goes to one thread, and join publishes the results */
};

static void *work(void *argument)
{
    struct queue *queue = argument;
    size_t next;

    while ((next = atomic_fetch_add_explicit(&queue->next, 1, memory_order_relaxed)) < queue->count)
        look_up(&queue->lookups[next]);
    return NULL;
}

void resolve(struct lookup *lookups, size_t count)
{
    struct queue queue = {.lookups = lookups, .count = count};
    pthread_t threads[THREADS_MAX];
    size_t started = 0;

    /* Fewer threads than wanted only take longer: this one works too. */
    while (started < THREADS_MAX && started + 1 < count &&
           pthread_create(&threads[started], NULL, work, &queue) == 0)
        started++;
    work(&queue);
    while (started > 0)
        pthread_join(threads[--started], NULL);
}

#include "settings/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"

enum { THREADS_MAX = 16 };
#define PATIENCE_MAX_NS (5 * NS_PER_S) /* of the driver, where the caller has no limit */

const struct name_driver *name_driver;

const char *lookup_why(const struct lookup *lookup)
{
    return lookup->why ? lookup->why : gai_strerror(lookup->error);
}

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
    for (; found && lookup->count < ENDPOINTS_MAX; found = found->ai_next) {
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

static void look_up(struct lookup *lookup, uint64_t patience_ns)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;

    if (address_parse_ip(lookup->host, &lookup->addresses[0]) == 0) {
        lookup->addresses[0].port = lookup->port;
        lookup->count = 1;
        lookup->error = 0;
        return;
    }
    if (name_driver && name_driver->ask(lookup, patience_ns))
        return;
    if (lookup->srv) {
        lookup->error = EAI_FAIL;
        return;
    }
    lookup->error = getaddrinfo(lookup->host, NULL, &hints, &found);
    if (lookup->error)
        return;
    take(lookup, found);
    freeaddrinfo(found);
}

/*
 * The work, and its own copy of everything it touches: a thread that hangs in a name server's
 * silence outlives the call. The last user frees it.
 */
struct queue {
    pthread_mutex_t lock;
    pthread_cond_t progress;
    size_t users;
    size_t next;
    size_t done;
    size_t count;
    uint64_t patience_ns;
    struct item {
        struct lookup lookup;
        char host[ADDRESS_HOST_TEXT];
        bool finished; /* and `offers` are the caller's */
    } items[];
};

static struct queue *queue_new(const struct lookup *lookups, size_t count, uint64_t patience_ns)
{
    struct queue *queue = calloc(1, sizeof(*queue) + count * sizeof(queue->items[0]));
    pthread_condattr_t attributes;

    if (!queue)
        return NULL;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->progress, &attributes);
    pthread_condattr_destroy(&attributes);
    queue->users = 1;
    queue->count = count;
    queue->patience_ns = patience_ns ? patience_ns : PATIENCE_MAX_NS;
    for (size_t i = 0; i < count; i++) {
        queue->items[i].lookup = lookups[i];
        queue->items[i].lookup.offers = NULL; /* the caller's, where there are some */
        text_copy(queue->items[i].host, sizeof(queue->items[i].host), lookups[i].host);
        queue->items[i].lookup.host = queue->items[i].host;
    }
    return queue;
}

static void queue_leave(struct queue *queue)
{
    bool last;

    pthread_mutex_lock(&queue->lock);
    last = --queue->users == 0;
    pthread_mutex_unlock(&queue->lock);
    if (!last)
        return;
    for (size_t i = 0; i < queue->count; i++)
        free(queue->items[i].lookup.offers);
    pthread_cond_destroy(&queue->progress);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

static void drain(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->next < queue->count) {
        struct item *item = &queue->items[queue->next++];

        pthread_mutex_unlock(&queue->lock);
        if (!item->lookup.known)
            look_up(&item->lookup, queue->patience_ns);
        pthread_mutex_lock(&queue->lock);
        item->finished = true;
        queue->done++;
        pthread_cond_signal(&queue->progress);
    }
    pthread_mutex_unlock(&queue->lock);
}

static void *work(void *argument)
{
    drain(argument);
    queue_leave(argument);
    return NULL;
}

static size_t start_threads(struct queue *queue)
{
    pthread_t thread;
    size_t started = 0;

    while (started < THREADS_MAX && started < queue->count) {
        pthread_mutex_lock(&queue->lock);
        queue->users++;
        pthread_mutex_unlock(&queue->lock);
        if (pthread_create(&thread, NULL, work, queue) != 0) {
            pthread_mutex_lock(&queue->lock);
            queue->users--; /* not the last: the caller is another */
            pthread_mutex_unlock(&queue->lock);
            break;
        }
        pthread_detach(thread);
        started++;
    }
    return started;
}

static struct timespec monotonic_in(uint64_t ns)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    ns += (uint64_t)time.tv_nsec;
    time.tv_sec += (time_t)(ns / NS_PER_S);
    time.tv_nsec = (long)(ns % NS_PER_S);
    return time;
}

static void await(struct queue *queue, uint64_t patience_ns)
{
    struct timespec deadline = monotonic_in(patience_ns);

    while (queue->done < queue->count) {
        if (patience_ns == 0)
            pthread_cond_wait(&queue->progress, &queue->lock);
        else if (pthread_cond_timedwait(&queue->progress, &queue->lock, &deadline) != 0)
            break;
    }
}

void resolve(struct lookup *lookups, size_t count, uint64_t patience_ns)
{
    struct queue *queue;

    for (size_t i = 0; i < count; i++) {
        lookups[i].known = name_driver && name_driver->known(&lookups[i]);
        if (!lookups[i].known)
            lookups[i].error = EAI_AGAIN;
    }
    queue = queue_new(lookups, count, patience_ns);
    if (!queue)
        return;
    if (start_threads(queue) == 0)
        drain(queue);
    pthread_mutex_lock(&queue->lock);
    await(queue, patience_ns);
    for (size_t i = 0; i < count; i++) {
        const char *host = lookups[i].host;

        if (queue->items[i].finished && !lookups[i].known) {
            lookups[i] = queue->items[i].lookup;
            queue->items[i].lookup.offers = NULL;
        }
        lookups[i].host = host;
    }
    pthread_mutex_unlock(&queue->lock);
    queue_leave(queue);
}

#include "preload/await.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "preload/background.h"
#include "state/live.h"

#define MOST_NS  (300 * NS_PER_MS) /* what a Sentinel is given to answer */
#define AGAIN_NS (10 * NS_PER_S)   /* who waited in vain does not wait with each connection */
#define POLL_NS  NS_PER_MS

static atomic_u64 begun_ns; /* CLOCK_BOOTTIME; the last wait of this process. By CAS; relaxed */

/* A quorum of its Sentinels has answered since, where it has some and one ever did. */
static bool is_agreed(const struct service_view *service, uint64_t since_ms)
{
    uint64_t agreed_ms = load_relaxed(&service->live->discovery.agreed_ms);

    return service->settings.sentinels == 0 || agreed_ms == 0 || agreed_ms >= since_ms;
}

static bool is_beyond(const struct service_view *service, unsigned index, enum checks_by checks)
{
    return checks == BY_THREAD &&
           bank_endpoint_needs_program(&service->bank, service->first_endpoint + index);
}

/* Or nobody is to check it, or can. */
static bool is_checked(const struct service_view *service, unsigned index, enum checks_by checks,
                       uint64_t now_ns)
{
    return service->endpoints[index].health_lasts_ns == 0 ||
           service_health(service, index, now_ns) != HEALTH_UNKNOWN ||
           is_beyond(service, index, checks);
}

/* Index of the active endpoint, -1: none, or one of other settings. */
static int active_of(const struct service_view *service)
{
    uint32_t slot = active_unpack(load_relaxed(&service->live->active)).slot;

    for (unsigned i = 0; i < service->count; i++)
        if (service->endpoints[i].slot == slot)
            return (int)i;
    return -1;
}

/* Somebody keeps an eye on the service, or nobody can: a few loads. */
static bool is_watched(const struct service_view *service, uint64_t now_ns)
{
    enum checks_by checks = background_checks(service->segment, now_ns);
    int active = active_of(service);

    return active >= 0 && is_checked(service, (unsigned)active, checks, now_ns);
}

/*
 * The active endpoint may be used; or none may, as far as they can be checked. Where another may be
 * used, whoever checks is about to make that the active one.
 */
static bool is_settled(const struct service_view *service, enum checks_by checks, uint64_t now_ns)
{
    int active = active_of(service);
    bool all = true;

    if (active < 0)
        return false;
    if (service_health(service, (unsigned)active, now_ns) == HEALTH_HEALTHY)
        return true;
    for (unsigned i = 0; i < service->count; i++) {
        if (service_health(service, i, now_ns) == HEALTH_HEALTHY)
            return is_beyond(service, (unsigned)active, checks);
        all = all && is_checked(service, i, checks, now_ns);
    }
    return all;
}

/* This process has waited lately, and the wait is over. Other threads' clocks may be ahead. */
static bool has_waited(uint64_t now_ns)
{
    uint64_t begun = load_relaxed(&begun_ns);

    return begun != 0 && now_ns >= begun + MOST_NS && now_ns < begun + AGAIN_NS;
}

/* When this call's wait ends: threads that come meanwhile wait for the same. */
static uint64_t deadline_ns(uint64_t now_ns)
{
    uint64_t begun = load_relaxed(&begun_ns);

    if ((begun == 0 || now_ns >= begun + AGAIN_NS) &&
        atomic_compare_exchange_strong_explicit(&begun_ns, &begun, now_ns, memory_order_relaxed,
                                                memory_order_relaxed))
        begun = now_ns;
    return begun + MOST_NS;
}

/* A blocking connect() that the program bounds ends no later for us. */
static uint64_t limit_ns(const struct journey *journey)
{
    uint64_t until_ns = deadline_ns(journey->now_ns);
    uint64_t timeout_ns = socket_send_timeout(journey->fd);

    return timeout_ns > 0 && journey->now_ns + timeout_ns / 2 < until_ns
               ? journey->now_ns + timeout_ns / 2
               : until_ns;
}

static bool doze(void)
{
    const struct timespec pause = {.tv_nsec = POLL_NS};

    return nanosleep(&pause, NULL) == 0;
}

/* False: the time was up, or a signal came. */
static bool await_settled(struct journey *journey, uint64_t until_ns)
{
    const struct service_view *service = journey->service;
    uint64_t since_ms = clock_wall_ns() / NS_PER_MS;
    bool before = false;

    while (journey->now_ns < until_ns) {
        enum checks_by checks = background_checks(service->segment, journey->now_ns);
        bool settled = checks == BY_NOBODY || (is_settled(service, checks, journey->now_ns) &&
                                               is_agreed(service, since_ms));

        /* Twice: what a prober makes of an answer follows in the same round. */
        if (settled && before)
            return true;
        before = settled;
        if (!doze())
            return false;
        journey->now_ns = clock_boot_ns();
    }
    return false;
}

bool await_checks(struct journey *journey)
{
    const struct service_view *service = journey->service;
    uint64_t came_ns = journey->now_ns;
    int saved = errno;
    bool known;

    if (is_watched(service, came_ns) || !journey->ours || !service->segment->writable ||
        has_waited(came_ns) || !pick_may_wait(journey))
        return true;
    background_needed(service->segment, CALLER_SOCKET, came_ns);
    if (background_checks(service->segment, came_ns) == BY_NOBODY || is_watched(service, came_ns))
        return true;
    known = await_settled(journey, limit_ns(journey));
    journey->now_ns = clock_boot_ns();
    log_debug("%s: waited %u us for the first checks%s", service->settings.name,
              (unsigned)((journey->now_ns - came_ns) / NS_PER_US), known ? "" : ", in vain");
    errno = saved;
    return try_is_still_ours(journey);
}

#include "preload/await.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "preload/background.h"
#include "state/live.h"

#define MOST_NS  (300 * NS_PER_MS) /* what a Sentinel is given to answer */
#define AGAIN_NS (10 * NS_PER_S)   /* who waited in vain does not wait with each connection */
#define POLL_NS  NS_PER_MS

static atomic_u64 begun_ns; /* CLOCK_BOOTTIME; the last wait of this process. By CAS; relaxed */

/* A quorum of Sentinels has answered since, where one ever has. */
static bool is_agreed(const struct service_view *service, uint64_t since_ms)
{
    uint64_t agreed_ms = load_relaxed(&service->live->discovery.agreed_ms);

    return agreed_ms == 0 || agreed_ms >= since_ms;
}

/* Or nobody is to check it. */
static bool is_checked(const struct service_view *service, unsigned index, uint64_t now_ns)
{
    return service->endpoints[index].health_lasts_ns == 0 ||
           service_health(service, index, now_ns) != HEALTH_UNKNOWN;
}

/* That an endpoint may be used, be it another than the active one; or of all that none may. */
static bool is_known(const struct service_view *service, uint64_t now_ns)
{
    bool all = true;

    for (unsigned i = 0; i < service->count; i++) {
        if (service_health(service, i, now_ns) == HEALTH_HEALTHY)
            return true;
        all = all && is_checked(service, i, now_ns);
    }
    return all;
}

/* Somebody keeps an eye on the service: one look. */
static bool is_watched(const struct service_view *service, uint64_t now_ns)
{
    uint32_t slot = active_unpack(load_relaxed(&service->live->active)).slot;

    for (unsigned i = 0; i < service->count; i++)
        if (service->endpoints[i].slot == slot)
            return is_checked(service, i, now_ns);
    return false;
}

/* When this call's wait ends; 0: it is not to wait. Threads that come meanwhile wait for the same.
 */
static uint64_t deadline_ns(uint64_t now_ns)
{
    uint64_t begun = load_relaxed(&begun_ns);

    if ((begun == 0 || now_ns - begun >= AGAIN_NS) &&
        atomic_compare_exchange_strong_explicit(&begun_ns, &begun, now_ns, memory_order_relaxed,
                                                memory_order_relaxed))
        begun = now_ns;
    return now_ns - begun < MOST_NS ? begun + MOST_NS : 0;
}

static bool doze(void)
{
    const struct timespec pause = {.tv_nsec = POLL_NS};

    return nanosleep(&pause, NULL) == 0;
}

bool await_checks(struct journey *journey)
{
    const struct service_view *service = journey->service;
    uint64_t since_ms, until_ns, came_ns = journey->now_ns;
    int saved = errno;

    if (is_watched(service, journey->now_ns) || !journey->ours || !service->segment->writable ||
        !pick_may_wait(journey))
        return true;
    until_ns = deadline_ns(journey->now_ns);
    since_ms = clock_wall_ns() / NS_PER_MS;
    background_needed(service->segment, CALLER_SOCKET, journey->now_ns);
    while (journey->now_ns < until_ns && background_checks(service->segment, journey->now_ns)) {
        bool known = is_watched(service, journey->now_ns) && is_known(service, journey->now_ns) &&
                     is_agreed(service, since_ms);

        /* Once more when it is known: what the prober makes of it follows in the same round. */
        if (!doze() || known)
            break;
        journey->now_ns = clock_boot_ns();
    }
    if (until_ns > 0)
        journey->now_ns = clock_boot_ns();
    errno = saved;
    return journey->now_ns == came_ns || try_is_still_ours(journey);
}

#include "preload/await.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "preload/background.h"
#include "preload/process.h"
#include "state/live.h"

#define MOST_NS  (300 * NS_PER_MS) /* what a Sentinel is given to answer */
#define AGAIN_NS (10 * NS_PER_S)   /* who waited in vain does not wait with each connection */
#define POLL_NS  NS_PER_MS

enum { LOOK_POLLS = 10 }; /* between two looks at who checks, which are system calls */

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

static bool all_are_checked(const struct service_view *service, enum checks_by checks,
                            uint64_t now_ns)
{
    for (unsigned i = 0; i < service->count; i++)
        if (!is_checked(service, i, checks, now_ns))
            return false;
    return true;
}

/* Somebody keeps an eye on the service, who can make all its checks: a few loads. */
static bool is_watched(const struct service_view *service, uint64_t now_ns)
{
    uint32_t slot = active_unpack(load_relaxed(&service->live->active)).slot;

    for (unsigned i = 0; i < service->count; i++)
        if (service->endpoints[i].slot == slot)
            return is_checked(service, i, BY_PROCESS, now_ns);
    return all_are_checked(service, BY_PROCESS, now_ns); /* none is active: they are spread */
}

/* Where the connection would go is known to be right; or all that can be known is. */
static bool is_settled(const struct service_view *service, enum checks_by checks, uint64_t now_ns)
{
    struct choice choice = service_choice(service, now_ns);

    return (choice.endpoint >= 0 &&
            is_checked(service, (unsigned)choice.endpoint, checks, now_ns)) ||
           all_are_checked(service, checks, now_ns);
}

/* This process has waited lately, and the wait is over. Other threads' clocks may be ahead. */
static bool has_waited(uint64_t now_ns)
{
    uint64_t begun = load_relaxed(&begun_ns);

    return begun != 0 && now_ns >= begun + MOST_NS && now_ns < begun + AGAIN_NS;
}

/* Begins a wait, or joins that of another thread; returns when it began. */
static uint64_t take_turn(uint64_t now_ns)
{
    uint64_t begun = load_relaxed(&begun_ns);

    if ((begun == 0 || now_ns >= begun + AGAIN_NS) &&
        atomic_compare_exchange_strong_explicit(&begun_ns, &begun, now_ns, memory_order_relaxed,
                                                memory_order_relaxed))
        begun = now_ns;
    return begun;
}

/* When this call's wait ends. */
static uint64_t deadline_ns(uint64_t now_ns)
{
    return take_turn(now_ns) + MOST_NS;
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
static bool await_settled(const struct service_view *service, uint64_t now_ns, uint64_t until_ns)
{
    uint64_t since_ms = clock_wall_ns() / NS_PER_MS;
    enum checks_by checks = BY_NOBODY;
    bool before = false;

    for (unsigned polls = 0; now_ns < until_ns; polls++, now_ns = clock_boot_ns()) {
        bool settled;

        if (polls % LOOK_POLLS == 0)
            checks = background_checks(service->segment, now_ns);
        settled = checks == BY_NOBODY ||
                  (is_settled(service, checks, now_ns) && is_agreed(service, since_ms));
        /* Twice: what a prober makes of an answer follows in the same round. */
        if (settled && before)
            return true;
        before = settled;
        if (!doze())
            break;
    }
    return false;
}

/* Has somebody check, if anybody can. False: there is nothing to wait for. */
static bool set_going(const struct service_view *service, enum shim_caller caller, uint64_t now_ns)
{
    enum checks_by checks;

    background_needed(service->segment, caller, now_ns);
    checks = background_checks(service->segment, now_ns);
    if (checks == BY_NOBODY)
        return false;
    if (!is_settled(service, checks, now_ns))
        return true;
    take_turn(now_ns); /* what cannot be checked here: not to be looked at each time */
    return false;
}

/* Returns what time it is then. */
static uint64_t await(const struct service_view *service, uint64_t came_ns, uint64_t until_ns)
{
    bool known = await_settled(service, came_ns, until_ns);
    uint64_t now_ns = clock_boot_ns();

    log_debug("%s: waited %u us for the first checks%s", service->settings.name,
              (unsigned)((now_ns - came_ns) / NS_PER_US), known ? "" : ", in vain");
    return now_ns;
}

bool await_checks(struct journey *journey)
{
    const struct service_view *service = journey->service;
    int saved = errno;

    if (is_watched(service, journey->now_ns) || !journey->ours || !service->segment->writable ||
        has_waited(journey->now_ns) || !pick_may_wait(journey) ||
        !set_going(service, CALLER_SOCKET, journey->now_ns))
        return true;
    journey->now_ns = await(service, journey->now_ns, limit_ns(journey));
    errno = saved;
    return try_is_still_ours(journey);
}

void await_checks_for(const struct service_view *service, uint64_t now_ns)
{
    int saved = errno;

    if (!is_watched(service, now_ns) && process_is_ours() && service->segment->writable &&
        !has_waited(now_ns) && set_going(service, CALLER_RESOLVER, now_ns))
        await(service, now_ns, deadline_ns(now_ns));
    errno = saved;
}

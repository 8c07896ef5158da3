/* try: one endpoint, its addresses one after the other, and the record of what came of it. */
#include <errno.h>
#include <netinet/tcp.h>

#include "base/clock.h"
#include "base/log.h"
#include "preload/avoid.h"
#include "preload/describe.h"
#include "preload/journey.h"
#include "preload/route.h"
#include "preload/track.h"

static void log_attempt(const struct journey *journey, unsigned index, const struct address *to,
                        uint64_t started_ns)
{
    char name[NAME_TEXT], text[ADDRESS_TEXT];

    if (!log_enabled(LOG_DEBUG))
        return;
    route_endpoint_name(&journey->service, index, name);
    log_line(LOG_DEBUG, "fd %d: %s -> %s %s: errno %d after %llu us", journey->fd,
             journey->service.settings.name, name, describe_address(to, text),
             journey->result < 0 ? journey->error : 0,
             (unsigned long long)((journey->now_ns - started_ns) / NS_PER_US));
}

static void begin_tracking(struct journey *journey, unsigned index, uint64_t started_ns)
{
    const struct endpoint_settings *endpoint = &journey->service.endpoints[index];
    struct tracked tracked = {
        .cookie = journey->cookie,
        .started_ns = started_ns,
        .service_slot = journey->service.settings.slot,
        .endpoint_slot = endpoint->slot,
        .generation = endpoint->generation,
    };

    if (journey->ours)
        track_begin(journey->fd, &tracked);
}

/* The endpoint's attempt is decided; unless another thread's getsockopt() was told first. */
static void record(struct journey *journey, unsigned index, int error, uint64_t started_ns)
{
    bool tracked = journey->ours && journey->cookie;

    if (tracked && !track_settle(journey->fd, journey->cookie))
        return;
    if (journey->ours && error == 0)
        avoid_forget(journey->service.endpoints[index].slot);
    service_report(&journey->service, index, error, journey->now_ns - started_ns, journey->now_ns);
}

/* Fast open: success was answered before the handshake. */
static bool is_deferred(const struct journey *journey)
{
    return (journey->attempt->flags & MSG_FASTOPEN || socket_connects_late(journey->fd)) &&
           socket_state(journey->fd) != TCP_ESTABLISHED;
}

/*
 * A refusal of a non-blocking connect that is already visible, on loopback mostly. Looked for only
 * when there is somewhere else to go: else the error is the program's to learn.
 */
static bool refused_already(struct journey *journey, bool more_addresses)
{
    const struct retry_rules *retry = &journey->service.settings.retry;

    if (journey->error != EINPROGRESS || !(retry->errors & OUTCOME_BIT(OUTCOME_REFUSED)))
        return false;
    if (!more_addresses &&
        (journey->attempts >= retry->attempts || pick_other(journey, journey->tried, true) < 0))
        return false;
    return socket_state(journey->fd) == TCP_CLOSE;
}

/*
 * One real call. What the program is told of one that is UNDECIDED (EINPROGRESS, EINTR, or 0 of a
 * deferred fast open) is the kernel's word.
 */
static enum progress try_address(struct journey *journey, unsigned index, const struct address *to,
                                 bool more_addresses)
{
    const struct connect_rules *rules = &journey->service.settings.connect;
    union socket_address address;
    socklen_t length;
    uint64_t started_ns = journey->now_ns;

    if (address_to_sockaddr(to, journey->family, &address, &length) != 0) {
        journey->result = -1;
        journey->error = EAFNOSUPPORT;
        return FAILED;
    }
    if (journey->family == AF_INET6 && address_is_v4(to))
        journey->no_native = true;
    if (journey->calls++ > 0)
        socket_reset(journey->fd);
    socket_bound(journey->fd, journey->options, rules->timeout_ns);
    begin_tracking(journey, index, started_ns);
    journey->result = journey->attempt->call(journey->attempt, journey->fd, &address.any, length);
    journey->error = journey->result < 0 ? errno : 0;
    journey->now_ns = clock_boot_ns();
    log_attempt(journey, index, to, started_ns);

    if (journey->result < 0 && journey->error != EINPROGRESS && journey->error != EINTR)
        return FAILED;
    socket_bound(journey->fd, journey->options, rules->user_timeout_ns);
    if (journey->result >= 0 && !is_deferred(journey))
        return CONNECTED;
    if (refused_already(journey, more_addresses)) {
        int error = socket_take_error(journey->fd);

        journey->result = -1;
        journey->error = error ? error : ECONNREFUSED;
        return FAILED;
    }
    return UNDECIDED;
}

bool try_worth_another(const struct journey *journey)
{
    enum outcome outcome = outcome_of(journey->error);

    return outcome != OUTCOME_LOCAL &&
           journey->service.settings.retry.errors & OUTCOME_BIT(outcome);
}

/*
 * An endpoint's addresses are tried as long as they fail within its connect.timeout; what is
 * recorded is the endpoint's outcome, the last one's.
 */
enum progress try_endpoint(struct journey *journey, unsigned index)
{
    const struct address *addresses[ADDRESSES_MAX];
    unsigned count = pick_addresses(journey, index, addresses);
    uint64_t started_ns = journey->now_ns;
    enum progress progress = FAILED;

    journey->tried |= UINT32_C(1) << index;
    if (count == 0)
        return FAILED;
    journey->attempts++;
    if (journey->service.segment->writable)
        count_up(&journey->service.endpoint_live[index]->steered);
    for (unsigned i = 0; i < count; i++) {
        progress = try_address(journey, index, addresses[i], i + 1 < count);
        if (progress != FAILED || !try_worth_another(journey) ||
            journey->now_ns - started_ns >= journey->service.settings.connect.timeout_ns)
            break;
    }
    if (progress != UNDECIDED)
        record(journey, index, progress == FAILED ? journey->error : 0, started_ns);
    return progress;
}

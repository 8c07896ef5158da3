#include "preload/told.h"

#include <errno.h>
#include <netinet/tcp.h>

#include "base/clock.h"
#include "base/hints.h"
#include "preload/avoid.h"
#include "preload/guard.h"
#include "preload/process.h"
#include "preload/route.h"
#include "preload/shim.h"
#include "preload/socket.h"
#include "preload/track.h"

/* The program itself has seen this failure: its next connection begins with another endpoint. */
static void report_seen(const struct service_view *service, unsigned index, int error,
                        uint64_t started_ns)
{
    uint64_t now = clock_boot_ns();
    enum outcome outcome = outcome_of(error);
    bool counted = service->settings.breaker.count & OUTCOME_BIT(outcome);

    if (outcome == OUTCOME_OK || !counted)
        avoid_forget(service->endpoints[index].slot);
    else
        avoid_remember(service->endpoints[index].slot, now + service->settings.breaker.open_ns);
    /* When the handshake ended is not known, only when the program asked: a success is not slow. */
    service_report(service, index, error, error ? now - started_ns : 0, now);
    if (error != 0)
        guard_kick(); /* it announces what has come of that */
}

/* The settings of a tracked socket's endpoint; false: it is gone from them, or they are of a newer
 * segment than its slots. */
static bool find(const struct tracked *tracked, struct service_view *service, unsigned *index)
{
    const struct segment *segment = shim_segment(CALLER_SOCKET);

    return segment && segment->number == tracked->segment &&
           route_slots(segment, tracked->service_slot, tracked->endpoint_slot, tracked->generation,
                       service, index);
}

static void settle(int fd, const struct tracked *tracked, int error)
{
    struct service_view service;
    unsigned index;

    if (track_settle(fd, tracked->cookie) && find(tracked, &service, &index))
        report_seen(&service, index, error, tracked->started_ns);
}

/* A shutdown by our own guard ended the attempt: its time was up, or its endpoint is down. */
static int true_error(int fd, uint64_t cookie, int error)
{
    return error == ECONNRESET && track_was_shut(fd, cookie) ? ETIMEDOUT : error;
}

void told_error(int fd, int error)
{
    int saved = errno;
    struct tracked tracked;

    if (!track_absent(fd) && process_is_ours() && track_find(fd, socket_cookie(fd), &tracked) &&
        tracked.connecting) {
        /* No error may also mean that it is not decided yet: the program asked early. */
        int state = error ? TCP_CLOSE : socket_state(fd);

        if (error != 0 || (state > 0 && state != TCP_SYN_SENT && state != TCP_CLOSE))
            settle(fd, &tracked, true_error(fd, tracked.cookie, error));
    }
    errno = saved;
}

/*
 * A blocking connect() that a signal interrupted is taken up again by the next one: the rest of
 * connect.timeout still bounds it, by the guard or else by the kernel.
 */
enum resumption { NOT_RESUMED, RESUMED, RESUMED_BY_KERNEL };

static enum resumption resume(int fd, const struct tracked *tracked, struct connect_rules *rules)
{
    struct service_view service;
    unsigned index;
    uint64_t spent_ns = clock_boot_ns() - tracked->started_ns;
    struct socket_options options = {.is_tcp = true, .user_timeout = true};

    if (!tracked->connecting || socket_nonblocking(fd) || !find(tracked, &service, &index))
        return NOT_RESUMED;
    *rules = service.settings.connect;
    if (guard_watches())
        return RESUMED;
    /* The user timeout that an interrupted attempt left: else the program has set its own. */
    if (socket_bound_now(fd) != rules->user_timeout_ns)
        return NOT_RESUMED;
    socket_bound(fd, options,
                 rules->timeout_ns > spent_ns + NS_PER_MS ? rules->timeout_ns - spent_ns
                                                          : NS_PER_MS);
    return RESUMED_BY_KERNEL;
}

static bool may_go_on(const struct tracked *tracked, int error)
{
    struct service_view service;
    unsigned index;

    return find(tracked, &service, &index) && outcome_of(error) != OUTCOME_LOCAL &&
           service.settings.retry.errors & OUTCOME_BIT(outcome_of(error));
}

/* True: the attempt that `tracked` tells of is decided by this answer of connect(). */
static bool is_decided(int error)
{
    return error != EALREADY && error != EINPROGRESS && error != EINTR;
}

RARE bool told_already(int fd, uint64_t cookie, const struct attempt *attempt, ssize_t *result)
{
    struct connect_rules rules;
    struct tracked tracked;
    enum resumption resumed = NOT_RESUMED;
    int error, state;

    if (!track_find(fd, cookie, &tracked))
        return false;
    state = socket_state(fd);
    if (state == TCP_CLOSE && !tracked.connecting)
        return false;
    if (state == TCP_CLOSE && tracked.shut && process_is_ours() && !socket_nonblocking(fd)) {
        /* The guard ended a blocking attempt between two calls: its time was up, on to the next. */
        settle(fd, &tracked, ETIMEDOUT);
        socket_take_error(fd);
        socket_reset(fd);
        return false;
    }
    if (state == TCP_SYN_SENT && process_is_ours())
        resumed = resume(fd, &tracked, &rules);
    *result = attempt_pass(attempt, fd);
    error = *result < 0 ? true_error(fd, cookie, errno) : 0;
    if (resumed == RESUMED_BY_KERNEL && socket_cookie(fd) == cookie)
        socket_bound(fd, (struct socket_options){.is_tcp = true, .user_timeout = true},
                     rules.user_timeout_ns);
    if (tracked.connecting && is_decided(error) && process_is_ours()) {
        settle(fd, &tracked, error == EISCONN ? 0 : error);
        /* As in the first call: a blocking connect() goes on with the next endpoint. */
        if (resumed && error && error != EISCONN && may_go_on(&tracked, error) &&
            socket_cookie(fd) == cookie) {
            socket_reset(fd);
            return false;
        }
    }
    errno = error;
    return true;
}

void told_reset(int fd)
{
    int saved = errno;

    if (!track_absent(fd) && process_is_ours())
        track_forget(fd, socket_cookie(fd));
    errno = saved;
}

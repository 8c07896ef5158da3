#include "preload/told.h"

#include <errno.h>
#include <netinet/tcp.h>

#include "base/clock.h"
#include "preload/avoid.h"
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
    service_report(service, index, error, now - started_ns, now);
}

static void settle(int fd, const struct tracked *tracked, int error)
{
    const struct segment *segment = shim_segment(CALLER_SOCKET);
    struct service_view service;
    unsigned index;

    if (!segment || !track_settle(fd, tracked->cookie))
        return;
    if (route_slots(segment, tracked->service_slot, tracked->endpoint_slot, tracked->generation,
                    &service, &index))
        report_seen(&service, index, error, tracked->started_ns);
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
            settle(fd, &tracked, error);
    }
    errno = saved;
}

bool told_already(int fd, uint64_t cookie, const struct attempt *attempt, ssize_t *result)
{
    struct tracked tracked;
    int error, state;

    if (track_absent(fd) || !track_find(fd, cookie, &tracked))
        return false;
    state = socket_state(fd);
    if (state == TCP_CLOSE && !tracked.connecting)
        return false;
    *result = attempt_pass(attempt, fd);
    error = *result < 0 ? errno : 0;
    if (!tracked.connecting || !process_is_ours())
        return true;
    if (error == 0 || error == EISCONN)
        settle(fd, &tracked, 0);
    else if (error != EALREADY && error != EINPROGRESS && error != EINTR)
        settle(fd, &tracked, error);
    errno = error;
    return true;
}

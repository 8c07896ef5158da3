#include "preload/steer.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "base/clock.h"
#include "base/hints.h"
#include "base/log.h"
#include "preload/await.h"
#include "preload/background.h"
#include "preload/guard.h"
#include "preload/journey.h"
#include "preload/learned.h"
#include "preload/memo.h"
#include "preload/process.h"
#include "preload/route.h"
#include "preload/told.h"
#include "preload/track.h"

/* All endpoints down: may this call go on, and with which endpoint? -1: it is answered, or
 * hopeless. */
RARE static void pick_when_all_down(struct journey *journey, struct pick *out)
{
    const struct service_settings *settings = &journey->service->settings;

    *out = (struct pick){.endpoint = -1};
    journey->result = -1;
    if (settings->when_all_down == ALL_DOWN_REFUSE) {
        log_info("%s: all endpoints are down: refused", settings->name);
        journey->error = ECONNREFUSED;
        return;
    }
    if (settings->when_all_down == ALL_DOWN_WAIT && pick_may_wait(journey)) {
        if (!pick_await(journey)) {
            journey->error = EINTR;
            return;
        }
        if (!try_is_still_ours(journey)) {
            journey->error = EBADF;
            return;
        }
        pick_first(journey, out);
    }
    if (out->endpoint < 0)
        out->endpoint = pick_other(journey, 0, true);
    /* Where the program wanted to go might be one that must not be written to. */
    if (out->endpoint < 0 && pick_is_barred(journey)) {
        log_info("%s: no master: refused", settings->name);
        journey->error = ECONNREFUSED;
    }
}

/* The whole call. False: no endpoint can be tried and nothing was done: pass. */
HOT static bool travel(struct journey *journey)
{
    enum progress progress;
    struct pick pick;

    pick_first(journey, &pick);
    if (UNLIKELY(pick.endpoint < 0)) {
        pick_when_all_down(journey, &pick);
        if (pick.endpoint < 0)
            return journey->error != 0;
    }
    while (pick.endpoint >= 0) {
        if (UNLIKELY(pick_queues(journey)) && (!pick_in_turn(journey, &pick) || pick.endpoint < 0))
            break;
        progress = try_endpoint(journey, (unsigned)pick.endpoint);
        if (pick.trial && progress != UNDECIDED)
            breaker_trial_end(&journey->service->endpoint_live[pick.endpoint]->breaker, pick.token);
        if (LIKELY(progress == CONNECTED || progress == UNDECIDED))
            return true;
        if (progress == FAILED && (!try_worth_another(journey) || !try_is_still_ours(journey)))
            break;
        pick_next(journey, &pick);
    }
    if (journey->calls == 0)
        return journey->error != 0;
    /* The socket is the program's again, as it was. */
    if (!journey->cookie || try_is_still_ours(journey))
        socket_bound(journey->fd, journey->options, 0);
    return true;
}

/* observe: decide and say so, send the program where it wanted to go. */
RARE static ssize_t observe(struct journey *journey)
{
    struct choice choice;
    char name[NAME_TEXT] = "none";

    if (socket_examine(journey->fd).is_tcp && socket_state(journey->fd) == TCP_CLOSE) {
        choice = service_target(journey->service, journey->now_ns);
        if (choice.endpoint >= 0) {
            route_endpoint_name(journey->service, (unsigned)choice.endpoint, name);
            if (journey->service->segment->writable)
                count_up(&journey->service->endpoint_live[choice.endpoint]->steered);
        }
        log_info("observe %s: a connection would go to %s", journey->service->settings.name, name);
    }
    return attempt_pass(journey->attempt, journey->fd);
}

/* Linux bounds an attempt to connect by no less than a second. */
static bool kernel_is_too_slow(const struct journey *journey)
{
    return journey->service->settings.connect.timeout_ns < NS_PER_S;
}

/* A call to a service, which is known by now. errno is the answer's. */
HOT __attribute__((noinline)) static ssize_t steer_to(const struct service_view *service, int fd,
                                                      const struct attempt *attempt,
                                                      sa_family_t family)
{
    int saved = errno;
    struct journey journey = {
        .fd = fd,
        .attempt = attempt,
        .family = family,
        .service = service,
        .cookie = socket_cookie(fd),
        .nonblocking = -1,
        .result = -1,
    };
    enum service_mode mode;

    if (UNLIKELY(track_may_know(fd, journey.cookie)) &&
        told_already(fd, journey.cookie, attempt, &journey.result)) {
        if (journey.result >= 0)
            errno = saved;
        return journey.result;
    }
    journey.now_ns = clock_boot_ns();
    mode = service_mode(service, journey.now_ns);
    if (UNLIKELY(mode == MODE_OFF))
        goto pass_through;
    if (UNLIKELY(mode == MODE_OBSERVE)) {
        errno = saved;
        journey.result = observe(&journey);
        if (journey.result >= 0)
            errno = saved;
        return journey.result;
    }
    journey.ours = process_is_ours();
    journey.watched = journey.ours && journey.cookie && fd < TRACKED_MAX && guard_watches();
    journey.options = socket_examine(fd);
    if (UNLIKELY(!journey.options.is_tcp))
        goto pass_through;
    if (UNLIKELY(!journey.watched))
        socket_prepare(fd, &service->settings.connect, &journey.options);
    /* Before an attempt that the guard may have to end; else after it: the connection comes first.
     */
    if (LIKELY(journey.ours) && UNLIKELY(kernel_is_too_slow(&journey)))
        background_needed(service->segment, CALLER_SOCKET, journey.now_ns);
    if (!await_verdicts(&journey)) {
        errno = EBADF;
        return -1;
    }
    if (UNLIKELY(!travel(&journey)))
        goto pass_through;
    if (LIKELY(journey.ours))
        background_needed(service->segment, CALLER_SOCKET, journey.now_ns);
    errno = journey.result < 0 ? journey.error : saved;
    return journey.result;

pass_through:
    errno = saved;
    return attempt_pass(attempt, fd);
}

/*
 * A destination that no earlier connection has left in the memo; it may turn out not to be ours.
 * Apart, as is steer_to(): a copy of the settings is large, and may lie on a signal handler's
 * stack.
 */
RARE static ssize_t steer_anew(const struct segment *segment, int fd, const struct attempt *attempt,
                               sa_family_t family)
{
    uint32_t learned = learned_count();
    /* As it is now: another thread of the program may be writing it. */
    union socket_address copy = {.v6 = {0}};
    struct attempt known = {.address = &copy.any,
                            .length = attempt->length < sizeof(copy) ? attempt->length
                                                                     : (socklen_t)sizeof(copy)};
    struct service_view service;
    struct address destination;
    int saved = errno;
    bool ours;

    memcpy(&copy, attempt->address, known.length);
    ours = address_from_sockaddr(&copy, known.length, &destination) == 0 &&
           address_hash_sockaddr(&copy, known.length, &known.ip_hash) &&
           route_address(segment, &destination, &service);
    if (ours)
        memo_keep(&known, &service, learned);
    errno = saved;
    return ours ? steer_to(&service, fd, attempt, family) : attempt_pass(attempt, fd);
}

HOT ssize_t steer(int fd, const struct attempt *attempt)
{
    const struct segment *segment = shim_segment_in_force(CALLER_SOCKET);
    struct memo *memo;
    sa_family_t family;
    ssize_t result;

    memcpy(&family, &attempt->address->sa_family, sizeof(family)); /* may be unaligned */
    if (UNLIKELY(family == AF_UNSPEC))
        told_reset(fd);
    if (UNLIKELY(!segment))
        return attempt_pass(attempt, fd);
    memo = memo_find(segment, attempt);
    if (LIKELY(memo)) {
        result = steer_to(memo_service(memo), fd, attempt, family);
        memo_release(memo);
        return result;
    }
    return steer_anew(segment, fd, attempt, family);
}

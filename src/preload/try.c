/* try: one endpoint, its addresses one after the other, and the record of what came of it. */
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "base/clock.h"
#include "base/describe.h"
#include "base/hints.h"
#include "base/log.h"
#include "preload/avoid.h"
#include "preload/guard.h"
#include "preload/journey.h"
#include "preload/route.h"
#include "preload/track.h"

#define AT_ONCE_NS (100 * NS_PER_MS)
#define BLOCKED_NS NS_PER_MS /* long enough for another thread to close the descriptor */

enum { SECOND_LOOK_MS = 5 }; /* a fiftieth of what "lasting" means to track_begin() */

/* Apart, because of the stack. */
RARE static void tell_attempt(const struct journey *journey, unsigned index,
                              const struct address *to, uint64_t started_ns)
{
    char name[NAME_TEXT], text[ADDRESS_TEXT];

    route_endpoint_name(journey->service, index, name);
    log_line(LOG_DEBUG, "fd %d: %s -> %s %s: errno %d after %llu us", journey->fd,
             journey->service->settings.name, name, describe_address(to, text),
             journey->result < 0 ? journey->error : 0,
             (unsigned long long)((journey->now_ns - started_ns) / NS_PER_US));
}

/*
 * `*follows` is set when this connection takes the place of one to the same endpoint that was meant
 * to last. journey->lost: the guard is at this socket, and there must be no further attempt.
 */
static void begin_tracking(struct journey *journey, unsigned index, uint64_t started_ns,
                           bool *follows)
{
    const struct endpoint_brief *endpoint = &journey->service->endpoints[index];
    const struct tracked tracked = {
        .cookie = journey->cookie,
        .started_ns = started_ns,
        .segment = (uint8_t)journey->service->segment->number,
        .service_slot = (uint16_t)journey->service->settings.slot,
        .endpoint_slot = (uint16_t)endpoint->slot,
        .generation = (uint16_t)endpoint->generation,
        .equipped = !journey->watched,
    };

    if (!journey->ours)
        return;
    if (UNLIKELY(!track_begin(journey->fd, &tracked, follows)))
        journey->lost = true;
    guard_kick();
}

/* The endpoint's attempt is decided; unless another thread's getsockopt() was told first. */
static void record(struct journey *journey, unsigned index, int error, uint64_t started_ns)
{
    bool tracked = journey->ours && journey->cookie;

    if (tracked && !track_settle(journey->fd, journey->cookie))
        return;
    if (journey->ours && error == 0)
        avoid_forget(journey->service->endpoints[index].slot);
    service_report(journey->service, index, error, journey->now_ns - started_ns, journey->now_ns);
    if (error != 0)
        guard_kick(); /* it announces what has come of that */
}

/* Fast open: success may have been answered before the handshake. */
static bool is_deferred(const struct journey *journey)
{
    return UNLIKELY(journey->attempt->flags & MSG_FASTOPEN || journey->options.connects_late) &&
           socket_state(journey->fd) != TCP_ESTABLISHED;
}

bool try_is_still_ours(struct journey *journey)
{
    if (!journey->cookie || socket_cookie(journey->fd) != journey->cookie)
        journey->lost = true;
    return !journey->lost;
}

/*
 * A refusal of a non-blocking connect that is already visible, on loopback mostly. Looked for only
 * when there is somewhere else to go: else the error is the program's to learn.
 */
static bool refused_already(struct journey *journey, bool more_addresses)
{
    const struct retry_rules *retry = &journey->service->settings.retry;

    if (journey->error != EINPROGRESS || !(retry->errors & OUTCOME_BIT(OUTCOME_REFUSED)))
        return false;
    if (!more_addresses &&
        (journey->attempts >= retry->attempts || pick_other(journey, journey->tried, true) < 0))
        return false;
    return socket_state(journey->fd) == TCP_CLOSE;
}

/*
 * connect() answers ECONNRESET only when this host shuts the socket under it: a RST to a SYN is
 * ECONNREFUSED. The program has cancelled its own call, and the endpoint is not to blame.
 */
static bool was_cancelled(const struct journey *journey)
{
    return !journey->hung_up && (journey->error == ECONNRESET || journey->error == EPIPE);
}

/* Our own guard ended the attempt, because its time was up or the endpoint is down. */
static bool guard_ended(const struct journey *journey)
{
    return journey->error == ECONNRESET && journey->ours &&
           track_was_shut(journey->fd, journey->cookie);
}

/*
 * A dying server's kernel resets its connections before it closes the listening socket, and a quick
 * client that connects anew in between is taken into a queue that nobody serves: it would lose a
 * second connection within the same few milliseconds. So a connection that follows a lasting one is
 * given that long to prove itself, if there is somewhere else to go.
 */
static bool hangs_up(struct journey *journey)
{
    struct pollfd poll_fd = {.fd = journey->fd, .events = POLLIN | POLLRDHUP};

    return journey->attempts < journey->service->settings.retry.attempts &&
           pick_other(journey, journey->tried, false) >= 0 &&
           poll(&poll_fd, 1, SECOND_LOOK_MS) == 1 && poll_fd.revents & (POLLERR | POLLHUP) &&
           try_is_still_ours(journey) && socket_state(journey->fd) == TCP_CLOSE;
}

/*
 * One real call, bounded by `timeout_ns`. What the program is told of one that is UNDECIDED
 * (EINPROGRESS, EINTR, or 0 of a deferred fast open) is the kernel's word.
 */
static enum progress try_address(struct journey *journey, const struct address *to,
                                 uint64_t timeout_ns, bool more_addresses)
{
    uint64_t before_ns = journey->now_ns;
    union socket_address address;
    socklen_t length;

    address_to_sockaddr(to, journey->family, &address, &length);
    /* A longer one than needed is as the program wrote it: the kernel may judge a socket of another
     * family by that. */
    if (UNLIKELY(journey->attempt->length > length) && journey->attempt->length <= sizeof(address))
        length = journey->attempt->length;
    if (UNLIKELY(journey->family == AF_INET6) && address_is_v4(to))
        journey->no_native = true;
    if (journey->calls++ > 0)
        socket_reset(journey->fd);
    socket_bound(journey->fd, journey->options, timeout_ns);
    journey->result = attempt_make(journey->attempt, journey->fd, &address.any, length);
    journey->error = journey->result < 0 ? errno : 0;
    journey->now_ns = clock_boot_ns();

    if (journey->result < 0 && journey->error != EINPROGRESS && journey->error != EINTR) {
        if (guard_ended(journey))
            journey->error = ETIMEDOUT;
        return FAILED;
    }
    if (UNLIKELY(journey->now_ns - before_ns >= BLOCKED_NS) && journey->cookie &&
        !try_is_still_ours(journey))
        return journey->result >= 0 ? CONNECTED : UNDECIDED;
    socket_bound(journey->fd, journey->options, journey->service->settings.connect.user_timeout_ns);
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

    return !journey->lost && outcome != OUTCOME_LOCAL && !was_cancelled(journey) &&
           journey->service->settings.retry.errors & OUTCOME_BIT(outcome);
}

/*
 * The endpoint's addresses are tried as long as they fail at once, all together within its
 * connect.timeout; what is recorded is the endpoint's outcome, the last one's.
 */
HOT enum progress try_endpoint(struct journey *journey, unsigned index)
{
    SHARED64 struct address addresses[ADDRESSES_MAX];
    unsigned count = pick_addresses(journey, index, addresses);
    uint64_t timeout_ns = journey->service->settings.connect.timeout_ns;
    uint64_t started_ns = journey->now_ns, now_ns;
    enum progress progress = OUT_OF_REACH;
    bool follows = false;

    journey->hung_up = false;
    journey->tried |= (uint16_t)(1u << index);
    if (UNLIKELY(count == 0)) {
        journey->out_of_reach |= (uint16_t)(1u << index);
        return OUT_OF_REACH;
    }
    journey->attempts++;
    if (journey->service->segment->writable)
        count_up(&journey->service->endpoint_live[index]->steered);
    for (unsigned i = 0; i < count; i++) {
        now_ns = journey->now_ns;
        begin_tracking(journey, index, started_ns, &follows);
        if (journey->lost)
            return FAILED; /* with the answer of the attempt before */
        progress =
            try_address(journey, &addresses[i], timeout_ns - (now_ns - started_ns), i + 1 < count);
        if (log_enabled(LOG_DEBUG))
            tell_attempt(journey, index, &addresses[i], now_ns);
        if (progress != FAILED || !try_worth_another(journey) || !try_is_still_ours(journey) ||
            journey->now_ns - started_ns >= AT_ONCE_NS ||
            journey->now_ns - started_ns >= timeout_ns)
            break;
    }
    if (UNLIKELY(follows) && progress == CONNECTED && hangs_up(journey)) {
        socket_take_error(journey->fd);
        journey->now_ns = clock_boot_ns();
        journey->hung_up = true;
        journey->result = -1;
        journey->error = ECONNRESET;
        progress = FAILED;
    }
    if (progress == CONNECTED || (progress == FAILED && !was_cancelled(journey)))
        record(journey, index, progress == FAILED ? journey->error : 0, started_ns);
    return progress;
}

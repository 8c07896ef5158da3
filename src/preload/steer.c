#include "preload/steer.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "policy/backoff.h"
#include "preload/avoid.h"
#include "preload/describe.h"
#include "preload/process.h"
#include "preload/real.h"
#include "preload/route.h"
#include "preload/socket.h"
#include "preload/track.h"

enum {
    ATTEMPTS_MAX = 16,
    POLL_MS = 5, /* how often when_all_down = wait looks again */
};

/* One steered call. */
struct journey {
    int fd;
    const struct attempt *attempt;
    int family; /* of the program's address: the socket takes no other */
    struct service_view service;
    struct socket_options options;
    uint64_t cookie;
    bool ours;      /* books may be kept */
    bool no_native; /* a v4-mapped attempt was made: Linux lets no native IPv6 one succeed now */
    bool asked_v6_only, v6_only;
    int nonblocking;       /* -1: not asked yet */
    uint32_t tried;        /* endpoints that failed in this call */
    uint32_t out_of_reach; /* endpoints that this socket's family cannot reach */
    unsigned attempts;
    unsigned rounds;
    uint64_t now_ns; /* when this call began, or its last attempt ended: few looks at the clock */
    ssize_t result;
    int error;
};

static ssize_t pass(int fd, const struct attempt *attempt)
{
    return attempt->call(attempt, fd, attempt->address, attempt->length);
}

/* ---- outcomes ---- */

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

void steer_outcome(int fd, int error)
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

/* ---- connect() on a socket that was steered before ---- */

/*
 * A second connect() is a question about the first (hiredis asks so), or, after a failure that the
 * program has seen, a new attempt. True: it was a question, and `*result` is the kernel's answer.
 */
static bool answered(int fd, uint64_t cookie, const struct attempt *attempt, ssize_t *result)
{
    struct tracked tracked;
    int error, state;

    if (track_absent(fd) || !track_find(fd, cookie, &tracked))
        return false;
    state = socket_state(fd);
    if (state == TCP_CLOSE && !tracked.connecting)
        return false;
    *result = pass(fd, attempt);
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

/* ---- where to ---- */

static bool takes_v4(struct journey *journey)
{
    if (journey->family == AF_INET)
        return true;
    if (!journey->asked_v6_only) {
        journey->v6_only = socket_v6_only(journey->fd);
        journey->asked_v6_only = true;
    }
    return !journey->v6_only;
}

static bool reachable(struct journey *journey, const struct address *address)
{
    if (address_is_v4(address))
        return takes_v4(journey);
    return journey->family == AF_INET6 && !journey->no_native;
}

/*
 * The endpoint's addresses that this socket can reach, native IPv6 first on an IPv6 socket, because
 * after one v4-mapped attempt Linux lets no native one succeed. Returns how many.
 */
static unsigned addresses_for(struct journey *journey, unsigned index,
                              const struct address *out[static ADDRESSES_MAX])
{
    const struct endpoint_settings *endpoint = &journey->service.endpoints[index];
    const struct address *v4[ADDRESSES_MAX];
    unsigned count = 0, v4_count = 0;

    for (uint32_t i = 0; i < endpoint->address_count && i < ADDRESSES_MAX; i++) {
        const struct address *address = &endpoint->addresses[i];

        if (!reachable(journey, address))
            continue;
        if (address_is_v4(address))
            v4[v4_count++] = address;
        else
            out[count++] = address;
    }
    for (unsigned i = 0; i < v4_count; i++)
        out[count++] = v4[i];
    return count;
}

static bool can_wait(struct journey *journey)
{
    if (journey->nonblocking < 0)
        journey->nonblocking = socket_nonblocking(journey->fd);
    return !journey->nonblocking;
}

/* False: a signal came. Its handler has run; the call ends with EINTR, as it would without us. */
static bool pause_ns(uint64_t ns)
{
    const struct timespec pause = {.tv_sec = (time_t)(ns / NS_PER_S),
                                   .tv_nsec = (long)(ns % NS_PER_S)};

    return nanosleep(&pause, NULL) == 0;
}

/* when_all_down = wait: until an endpoint is eligible or a trial is due. False: a signal came. */
static bool await_endpoint(struct journey *journey)
{
    uint64_t deadline = journey->now_ns + journey->service.settings.wait_ns;

    for (; journey->now_ns < deadline; journey->now_ns = clock_boot_ns()) {
        struct choice choice = service_choice(&journey->service, journey->now_ns);

        if (choice.endpoint >= 0 || choice.trial >= 0)
            break;
        if (!pause_ns(POLL_MS * NS_PER_MS))
            return false;
    }
    return true;
}

static struct choice_rules choice_rules(const struct service_view *service)
{
    return (struct choice_rules){
        .strategy = (enum strategy)service->settings.strategy,
        .failback = service->settings.failover.failback != 0,
    };
}

/* The next endpoint in order of preference that was not tried, or -1. */
static int next_endpoint(struct journey *journey, uint32_t tried, bool desperate)
{
    struct candidate candidates[ENDPOINTS_MAX];
    struct choice_rules rules = choice_rules(&journey->service);

    service_candidates(&journey->service, candidates, journey->now_ns);
    return choose_next(&rules, candidates, journey->service.count, tried | journey->out_of_reach,
                       desperate, journey->now_ns);
}

/* Endpoints that this process saw fail a moment ago, unless that would leave none. */
static uint32_t avoided(struct journey *journey)
{
    uint32_t set = 0;

    for (unsigned i = 0; i < journey->service.count; i++)
        if (avoid_holds(journey->service.endpoints[i].slot, journey->now_ns))
            set |= UINT32_C(1) << i;
    return set && next_endpoint(journey, set, false) >= 0 ? set : 0;
}

struct pick {
    int endpoint; /* -1: none */
    bool trial;
    unsigned token;
};

/* The first endpoint of this call: a trial that is due, else the active one, else what is left. */
static struct pick first_pick(struct journey *journey)
{
    struct choice choice = service_decide(&journey->service, journey->now_ns);
    struct pick pick = {.endpoint = choice.endpoint};
    uint32_t shunned = avoided(journey);

    if (choice.trial >= 0 && !(journey->out_of_reach & UINT32_C(1) << choice.trial)) {
        struct endpoint_live *live = journey->service.endpoint_live[choice.trial];

        if (journey->service.segment->writable &&
            breaker_trial_begin(&live->breaker, &journey->service.settings.breaker, journey->now_ns,
                                journey->service.settings.connect.timeout_ns, &pick.token)) {
            pick.endpoint = choice.trial;
            pick.trial = true;
            return pick;
        }
    }
    if (pick.endpoint >= 0 && ((shunned | journey->out_of_reach) & UINT32_C(1) << pick.endpoint))
        pick.endpoint = next_endpoint(journey, shunned, false);
    return pick;
}

/* The endpoint after a failure; with retry.wait > 0 all begin again after a pause. */
static struct pick next_pick(struct journey *journey)
{
    const struct retry_rules *retry = &journey->service.settings.retry;
    bool desperate = journey->service.settings.when_all_down != ALL_DOWN_REFUSE;
    struct pick pick = {.endpoint = -1};

    if (journey->attempts >= retry->attempts || journey->attempts >= ATTEMPTS_MAX)
        return pick;
    pick.endpoint = next_endpoint(journey, journey->tried, desperate);
    if (pick.endpoint < 0 && retry->wait_ns && can_wait(journey)) {
        uint64_t pause =
            backoff_ns(retry->wait_ns, retry->backoff_milli, journey->rounds++, NS_PER_S * 60);

        if (!pause_ns(jitter_ns(pause, retry->jitter, (uint32_t)hash_mix(journey->now_ns)))) {
            journey->error = EINTR;
            return pick;
        }
        journey->now_ns = clock_boot_ns();
        journey->tried = 0;
        pick.endpoint = next_endpoint(journey, 0, desperate);
    }
    return pick;
}

/* ---- attempts ---- */

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

/* The attempt is decided, here and now; unless another thread's getsockopt() was told first. */
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

enum progress { CONNECTED, UNDECIDED, FAILED };

/*
 * One attempt at one address. UNDECIDED: the connection is under way and the program will learn its
 * outcome; what it is told (EINPROGRESS, EINTR, or 0 of a deferred fast open) is the kernel's word.
 */
static enum progress try_address(struct journey *journey, unsigned index, const struct address *to)
{
    union socket_address address;
    socklen_t length;
    const struct connect_rules *rules = &journey->service.settings.connect;
    uint64_t started_ns = journey->now_ns;

    if (address_to_sockaddr(to, journey->family, &address, &length) != 0) {
        journey->result = -1;
        journey->error = EAFNOSUPPORT;
        return FAILED;
    }
    if (journey->family == AF_INET6 && address_is_v4(to))
        journey->no_native = true;
    if (journey->attempts++ > 0)
        socket_reset(journey->fd);
    socket_bound(journey->fd, journey->options, rules->timeout_ns);
    begin_tracking(journey, index, started_ns);
    if (journey->service.segment->writable)
        count_up(&journey->service.endpoint_live[index]->steered);
    journey->result = journey->attempt->call(journey->attempt, journey->fd, &address.any, length);
    journey->error = journey->result < 0 ? errno : 0;
    journey->now_ns = clock_boot_ns();
    log_attempt(journey, index, to, started_ns);

    if (journey->result < 0 && journey->error != EINPROGRESS && journey->error != EINTR) {
        record(journey, index, journey->error, started_ns);
        return FAILED;
    }
    socket_bound(journey->fd, journey->options, rules->user_timeout_ns);
    if (journey->result >= 0 && !is_deferred(journey)) {
        record(journey, index, 0, started_ns);
        return CONNECTED;
    }
    /* A refusal that is already visible, on loopback mostly: the next endpoint, if there is one. */
    if (journey->error == EINPROGRESS && socket_state(journey->fd) == TCP_CLOSE &&
        journey->service.settings.retry.errors & OUTCOME_BIT(OUTCOME_REFUSED) &&
        journey->attempts < journey->service.settings.retry.attempts &&
        next_endpoint(journey, journey->tried | UINT32_C(1) << index, true) >= 0) {
        int error = socket_take_error(journey->fd);

        if (error == 0)
            error = ECONNREFUSED;
        record(journey, index, error, started_ns);
        journey->error = error;
        return FAILED;
    }
    return UNDECIDED;
}

/* True: another endpoint, or another address, may be worth a try after this error. */
static bool worth_another(const struct journey *journey)
{
    return journey->service.settings.retry.errors & OUTCOME_BIT(outcome_of(journey->error)) &&
           outcome_of(journey->error) != OUTCOME_LOCAL;
}

/*
 * All addresses of one endpoint that this socket can reach, as long as they fail at once; one that
 * timed out has used up the endpoint's time.
 */
static enum progress try_endpoint(struct journey *journey, unsigned index)
{
    const struct address *addresses[ADDRESSES_MAX];
    unsigned count = addresses_for(journey, index, addresses);
    enum progress progress = FAILED;

    for (unsigned i = 0; i < count; i++) {
        if (!reachable(journey, addresses[i]))
            continue;
        progress = try_address(journey, index, addresses[i]);
        if (progress != FAILED || !worth_another(journey) ||
            outcome_of(journey->error) == OUTCOME_TIMEOUT)
            break;
    }
    journey->tried |= UINT32_C(1) << index;
    return progress;
}

/* False: this socket reaches no endpoint at all. */
static bool find_out_of_reach(struct journey *journey)
{
    const struct address *unused[ADDRESSES_MAX];
    bool any = false;

    for (unsigned i = 0; i < journey->service.count; i++) {
        if (addresses_for(journey, i, unused) == 0)
            journey->out_of_reach |= UINT32_C(1) << i;
        else
            any = true;
    }
    return any;
}

/* The whole call. False: no endpoint can be tried and nothing was done: pass. */
static bool travel(struct journey *journey)
{
    const struct service_settings *settings = &journey->service.settings;
    struct pick pick;
    enum progress progress;

    if (!find_out_of_reach(journey))
        return false;
    pick = first_pick(journey);
    if (pick.endpoint < 0 && settings->when_all_down == ALL_DOWN_REFUSE) {
        log_info("%s: all endpoints are down: refused", settings->name);
        journey->result = -1;
        journey->error = ECONNREFUSED;
        return true;
    }
    if (pick.endpoint < 0 && settings->when_all_down == ALL_DOWN_WAIT && can_wait(journey)) {
        if (!await_endpoint(journey)) {
            journey->result = -1;
            journey->error = EINTR;
            return true;
        }
        pick = first_pick(journey);
    }
    if (pick.endpoint < 0)
        pick.endpoint = next_endpoint(journey, 0, true);
    if (pick.endpoint < 0)
        return false;
    while (pick.endpoint >= 0) {
        progress = try_endpoint(journey, (unsigned)pick.endpoint);
        if (pick.trial && progress != UNDECIDED)
            breaker_trial_end(&journey->service.endpoint_live[pick.endpoint]->breaker, pick.token);
        if (progress != FAILED)
            return true;
        if (!worth_another(journey))
            break;
        pick = next_pick(journey);
    }
    /* The socket is the program's again, as it was. */
    socket_bound(journey->fd, journey->options, 0);
    return true;
}

/* observe: decide and say so, send the program where it wanted to go. */
static ssize_t observe(struct journey *journey)
{
    struct choice choice = service_decide(&journey->service, journey->now_ns);
    char name[NAME_TEXT] = "none";

    if (choice.endpoint >= 0) {
        route_endpoint_name(&journey->service, (unsigned)choice.endpoint, name);
        if (journey->service.segment->writable)
            count_up(&journey->service.endpoint_live[choice.endpoint]->steered);
    }
    log_info("observe %s: a connection would go to %s", journey->service.settings.name, name);
    return pass(journey->fd, journey->attempt);
}

ssize_t steer(int fd, const struct attempt *attempt)
{
    int saved = errno;
    const struct segment *segment = shim_segment_in_force(CALLER_SOCKET);
    struct address destination;
    struct journey journey;
    enum service_mode mode;

    if (!segment || address_from_sockaddr(attempt->address, attempt->length, &destination) != 0 ||
        !route_address(segment, &destination, &journey.service))
        goto pass_through;
    journey.cookie = socket_cookie(fd);
    if (answered(fd, journey.cookie, attempt, &journey.result)) {
        if (journey.result >= 0)
            errno = saved;
        return journey.result;
    }
    journey.now_ns = clock_boot_ns();
    mode = service_mode(&journey.service, journey.now_ns);
    if (mode == MODE_OFF)
        goto pass_through;
    journey.fd = fd;
    journey.attempt = attempt;
    journey.family = attempt->address->sa_family;
    journey.ours = process_is_ours();
    journey.no_native = journey.asked_v6_only = journey.v6_only = false;
    journey.nonblocking = -1;
    journey.tried = journey.out_of_reach = 0;
    journey.attempts = journey.rounds = 0;
    journey.result = -1;
    journey.error = 0;
    journey.options = mode == MODE_STEER ? socket_prepare(fd, &journey.service.settings.connect)
                                         : (struct socket_options){.is_tcp = true};
    if (!journey.options.is_tcp)
        goto pass_through;
    if (mode == MODE_OBSERVE) {
        errno = saved;
        return observe(&journey);
    }
    if (!travel(&journey))
        goto pass_through;
    errno = journey.result < 0 ? journey.error : saved;
    return journey.result;

pass_through:
    errno = saved;
    return pass(fd, attempt);
}

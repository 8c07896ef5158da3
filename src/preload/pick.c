/* pick: which endpoint, and which of its addresses, a steered call goes to next. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/hints.h"
#include "policy/backoff.h"
#include "policy/pace.h"
#include "preload/avoid.h"
#include "preload/journey.h"

enum {
    POLL_MS = 5, /* how often when_all_down = wait looks again */
    PAUSE_MAX_S = 60,
};

static bool takes_v4(struct journey *journey)
{
    if (!journey->asked_v6_only) {
        journey->v6_only = socket_v6_only(journey->fd);
        journey->asked_v6_only = true;
    }
    return !journey->v6_only;
}

/* Of an IPv6 socket. */
static unsigned in_order(struct journey *journey, struct address addresses[], unsigned known)
{
    struct address v4[ADDRESSES_MAX];
    unsigned native_count = 0, v4_count = 0;

    for (unsigned i = 0; i < known; i++) {
        if (address_is_v4(&addresses[i]))
            v4[v4_count++] = addresses[i];
        else if (!journey->no_native)
            addresses[native_count++] = addresses[i];
    }
    if (v4_count == 0 || !takes_v4(journey))
        return native_count;
    memcpy(&addresses[native_count], v4, v4_count * sizeof(*v4));
    return native_count + v4_count;
}

unsigned pick_addresses(struct journey *journey, unsigned index,
                        struct address out[static ADDRESSES_MAX])
{
    uint32_t known = service_addresses(journey->service, index, out);
    unsigned count = 0;

    if (UNLIKELY(journey->family == AF_INET6))
        return in_order(journey, out, known);
    for (uint32_t i = 0; i < known; i++) {
        if (!address_is_v4(&out[i]))
            continue;
        if (UNLIKELY(count < i))
            out[count] = out[i];
        count++;
    }
    return count;
}

bool pick_may_wait(struct journey *journey)
{
    if (journey->nonblocking < 0)
        journey->nonblocking = socket_nonblocking(journey->fd);
    return !journey->nonblocking;
}

/* Would the kernel have restarted a connect() that a signal interrupted? It does when all handlers
 * ask for it; which one ran is not known. */
static bool handlers_restart(void)
{
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;

        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL &&
            action.sa_handler != SIG_IGN && !(action.sa_flags & SA_RESTART))
            return false;
    }
    return true;
}

/* False: a signal came. Its handler has run; the call ends with EINTR, as it would without us. */
static bool pause_ns(uint64_t ns)
{
    struct timespec pause = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};

    while (nanosleep(&pause, &pause) != 0)
        if (errno != EINTR || !handlers_restart())
            return false;
    return true;
}

bool pick_await(struct journey *journey)
{
    uint64_t deadline = journey->now_ns + journey->service->settings.wait_ns;

    for (; journey->now_ns < deadline; journey->now_ns = clock_boot_ns()) {
        struct choice choice = service_choice(journey->service, journey->now_ns);

        if (choice.endpoint >= 0 || choice.trial >= 0)
            break;
        if (!pause_ns(POLL_MS * NS_PER_MS))
            return false;
    }
    return true;
}

int pick_other(struct journey *journey, uint32_t tried, bool desperate)
{
    struct candidate candidates[ENDPOINTS_MAX];
    struct choice_rules rules =
        service_choice_rules(journey->service, load_relaxed(&journey->service->live->turns),
                             journey->now_ns);

    service_candidates(journey->service, candidates, journey->now_ns);
    return choose_next(&rules, candidates, journey->service->count, tried, desperate,
                       journey->now_ns);
}

bool pick_is_barred(const struct journey *journey)
{
    struct candidate candidates[ENDPOINTS_MAX];

    service_candidates(journey->service, candidates, journey->now_ns);
    for (uint32_t i = 0; i < journey->service->count; i++)
        if (candidate_is_barred(&candidates[i]))
            return true;
    return false;
}

/* An endpoint that this process saw fail a moment ago is passed by, unless that leaves none. */
RARE static int pass_by(struct journey *journey, int endpoint)
{
    uint32_t set = 0;
    int other;

    for (unsigned i = 0; i < journey->service->count; i++)
        if (avoid_holds(journey->service->endpoints[i].slot, journey->now_ns))
            set |= UINT32_C(1) << i;
    other = pick_other(journey, set, false);
    return other >= 0 ? other : endpoint;
}

/* More than to go where all connections go. */
static __attribute__((noinline)) void decide(struct journey *journey, struct pick *out)
{
    const struct service_view *service = journey->service;
    struct choice choice = service_target(service, journey->now_ns);

    out->endpoint = choice.endpoint;
    if (choice.trial >= 0 && service->segment->writable &&
        breaker_trial_begin(&service->endpoint_live[choice.trial]->breaker,
                            &service->settings.breaker, journey->now_ns,
                            service->settings.connect.timeout_ns, &out->token)) {
        out->endpoint = choice.trial;
        out->trial = true;
    }
}

HOT void pick_first(struct journey *journey, struct pick *out)
{
    out->trial = false;
    out->endpoint = service_kept(journey->service, journey->now_ns);
    if (UNLIKELY(out->endpoint < 0))
        decide(journey, out);
    if (out->endpoint >= 0 && !out->trial &&
        UNLIKELY(avoid_holds(journey->service->endpoints[out->endpoint].slot, journey->now_ns)))
        out->endpoint = pass_by(journey, out->endpoint);
}

void pick_next(struct journey *journey, struct pick *out)
{
    const struct retry_rules *retry = &journey->service->settings.retry;
    bool desperate = journey->service->settings.when_all_down != ALL_DOWN_REFUSE;

    *out = (struct pick){.endpoint = -1};
    if (journey->attempts >= retry->attempts)
        return;
    out->endpoint = pick_other(journey, journey->tried, desperate);
    if (out->endpoint < 0 && retry->wait_ns && pick_may_wait(journey)) {
        uint64_t pause = backoff_ns(retry->wait_ns, retry->backoff_milli, journey->rounds++,
                                    PAUSE_MAX_S * NS_PER_S);

        if (!pause_ns(jitter_ns(pause, retry->jitter, (uint32_t)hash_mix(journey->now_ns)))) {
            journey->error = EINTR;
            return;
        }
        journey->now_ns = clock_boot_ns();
        journey->tried = journey->out_of_reach;
        if (try_is_still_ours(journey))
            out->endpoint = pick_other(journey, journey->tried, desperate);
    }
}

/* The program bounds its calls itself, and not by waiting is it to miss that. */
static bool outlasts(struct journey *journey, uint64_t wait_ns)
{
    uint64_t most_ns = socket_send_timeout(journey->fd);

    return most_ns == 0 || wait_ns < most_ns;
}

RARE bool pick_in_turn(struct journey *journey, struct pick *pick)
{
    const struct service_view *service = journey->service;
    uint32_t rate = service->settings.connect.rate;

    for (unsigned i = 0; i <= service->count && pick->endpoint >= 0 && !pick->trial; i++) {
        atomic_u64 *place = &service->endpoint_live[pick->endpoint]->next_connect_ns;
        uint64_t wait_ns = pace_reserve(place, rate, pick_may_wait(journey), journey->now_ns);

        if (wait_ns == 0 || !outlasts(journey, wait_ns))
            return true;
        if (!pause_ns(wait_ns)) {
            journey->error = EINTR;
            return false;
        }
        journey->now_ns = clock_boot_ns();
        if (!try_is_still_ours(journey)) {
            journey->error = EBADF;
            return false;
        }
        if (pick_other(journey, ~(UINT32_C(1) << pick->endpoint), false) == pick->endpoint)
            return true;
        pick_first(journey, pick);
    }
    return true;
}

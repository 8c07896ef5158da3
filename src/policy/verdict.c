#include "policy/verdict.h"

#include "base/clock.h"

#define SUCCESSION_NS (2 * NS_PER_S) /* two leases */

#include "policy/backoff.h"

/* What settings may ask for at least; less can only come from a corrupt segment. */
#define NEXT_CHECK_LEAST_NS UINT64_C(1000000)

const char *check_cause_text(enum check_cause cause)
{
    switch (cause) {
    case CHECK_FINE:
        return "check passed";
    case CHECK_REFUSED:
        return "connection refused";
    case CHECK_TIMEOUT:
        return "no answer in time";
    case CHECK_RESET:
        return "connection reset";
    case CHECK_UNREACHABLE:
        return "unreachable";
    case CHECK_CLOSED:
        return "server closed the connection";
    case CHECK_LOADING:
        return "loading its data";
    case CHECK_MASTERDOWN:
        return "replica without its master";
    case CHECK_CLUSTERDOWN:
        return "cluster is down";
    case CHECK_BUSY:
        return "busy with a script";
    case CHECK_MAX_CLIENTS:
        return "too many clients";
    case CHECK_ERROR_REPLY:
        return "error reply";
    case CHECK_WRONG_REPLY:
        return "wrong reply";
    case CHECK_NOT_REDIS:
        return "does not speak Redis";
    case CHECK_HTTP:
        return "speaks HTTP, not Redis";
    case CHECK_TLS:
        return "speaks TLS, not plain Redis";
    case CHECK_TOO_LONG:
        return "reply over 64 KiB";
    case CHECK_NOAUTH:
        return "password required, none given";
    case CHECK_WRONGPASS:
        return "wrong password";
    case CHECK_NOPERM:
        return "user lacks the permission";
    case CHECK_NO_ADDRESS:
        return "its name has no address";
    case CHECK_CAUSES:
        break;
    }
    return "unknown";
}

struct verdict verdict_unpack(uint64_t word)
{
    uint8_t health = (uint8_t)word;

    return (struct verdict){
        .epoch = (uint16_t)(word >> 48),
        .changes = (uint16_t)(word >> 32),
        .fell = (uint8_t)(word >> 24),
        .rose = (uint8_t)(word >> 16),
        .cause = (uint8_t)(word >> 8),
        .health = health <= HEALTH_UNHEALTHY ? health : HEALTH_UNKNOWN,
    };
}

uint64_t verdict_pack(struct verdict verdict)
{
    return (uint64_t)verdict.epoch << 48 | (uint64_t)verdict.changes << 32 |
           (uint64_t)verdict.fell << 24 | (uint64_t)verdict.rose << 16 |
           (uint64_t)verdict.cause << 8 | verdict.health;
}

static uint8_t one_more(uint8_t count)
{
    return count < UINT8_MAX ? count + 1 : UINT8_MAX;
}

/* A threshold over 255 would never be reached: the counts end there. */
static bool reached(uint8_t count, uint32_t threshold)
{
    return count >= (threshold < UINT8_MAX ? threshold : UINT8_MAX);
}

struct verdict verdict_after(struct verdict before, const struct health_rules *rules, bool passed,
                             enum check_cause cause)
{
    struct verdict after = before;

    after.cause = (uint8_t)cause;
    after.rose = passed ? one_more(before.rose) : 0;
    after.fell = passed ? 0 : one_more(before.fell);
    if (before.health == HEALTH_UNKNOWN)
        after.health = passed ? HEALTH_HEALTHY : HEALTH_UNHEALTHY;
    else if (passed && reached(after.rose, rules->rise))
        after.health = HEALTH_HEALTHY;
    else if (!passed && reached(after.fell, rules->fall))
        after.health = HEALTH_UNHEALTHY;
    if (after.health != before.health)
        after.changes++;
    return after;
}

int verdict_of_probes(const struct health_rules *rules, unsigned passed, unsigned failed)
{
    unsigned probes = rules->probes > 0 ? rules->probes : 1;
    unsigned needed = probes;

    switch ((enum probe_policy)rules->policy) {
    case PROBES_ALL:
        break;
    case PROBES_ANY:
        needed = 1;
        break;
    case PROBES_MAJORITY:
        needed = probes / 2 + 1;
        break;
    }
    if (passed >= needed)
        return 1;
    return failed > probes - needed ? 0 : -1;
}

uint64_t verdict_next_check_ns(const struct health_rules *rules, bool passed, uint32_t random)
{
    uint64_t ns = rules->interval_ns;

    if (!passed && rules->fast_interval_ns < ns)
        ns = rules->fast_interval_ns;
    ns = jitter_ns(ns, rules->jitter, random);
    return ns > NEXT_CHECK_LEAST_NS ? ns : NEXT_CHECK_LEAST_NS;
}

uint64_t verdict_lasts_ns(const struct health_rules *rules)
{
    uint64_t ns = 3 * rules->interval_ns + rules->timeout_ns;

    if (!rules->enabled)
        return 0;
    return ns > SUCCESSION_NS ? ns : SUCCESSION_NS;
}

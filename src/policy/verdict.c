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
    case CHECK_MISCONF:
        return "refuses writes: it cannot save to disk";
    case CHECK_READONLY:
        return "refuses writes: read only";
    case CHECK_OOM:
        return "refuses writes: out of memory";
    case CHECK_NOREPLICAS:
        return "refuses writes: too few replicas";
    case CHECK_IS_REPLICA:
        return "is a replica, a master is wanted";
    case CHECK_IS_MASTER:
        return "is a master, a replica is wanted";
    case CHECK_IS_SENTINEL:
        return "is a Sentinel";
    case CHECK_LINK_DOWN:
        return "replica whose link to its master is down";
    case CHECK_UNEXPECTED:
        return "not the expected answer";
    case CHECK_NO_KEY:
        return "the key is not there";
    case CHECK_OTHER_VALUE:
        return "the key has another value";
    case CHECK_NOT_STORED:
        return "what was written cannot be read back";
    case CHECK_NEEDS_PROGRAM:
        return "needs `redisteer monitor`, which does not run";
    case CHECK_TLS_EXPIRED:
        return "TLS: the server's certificate has expired";
    case CHECK_TLS_NOT_YET:
        return "TLS: the server's certificate is not valid yet";
    case CHECK_TLS_NAME:
        return "TLS: the server's certificate is for another name";
    case CHECK_TLS_UNKNOWN_CA:
        return "TLS: the server's certificate is of an unknown CA";
    case CHECK_TLS_REVOKED:
        return "TLS: the server's certificate is revoked";
    case CHECK_TLS_CERTIFICATE:
        return "TLS: the server's certificate is not acceptable";
    case CHECK_TLS_CLIENT_MISSING:
        return "TLS: the server wants a client certificate";
    case CHECK_TLS_CLIENT_REFUSED:
        return "TLS: the server refuses our client certificate";
    case CHECK_TLS_PLAIN:
        return "does not speak TLS";
    case CHECK_TLS_HANDSHAKE:
        return "TLS: the handshake failed";
    case CHECK_TLS_TIMEOUT:
        return "TLS: no handshake in time";
    case CHECK_TLS_VERSION:
        return "TLS: no version or cipher in common";
    case CHECK_TLS_CA_FILE:
        return "TLS: the ca file cannot be used";
    case CHECK_TLS_CERT_FILE:
        return "TLS: the cert or key file cannot be used";
    case CHECK_EXEC_UNHEALTHY:
        return "the program says: not healthy";
    case CHECK_EXEC_UNKNOWN:
        return "the program could not tell";
    case CHECK_EXEC_SIGNAL:
        return "the program was ended by a signal";
    case CHECK_EXEC_TIMEOUT:
        return "the program took too long and was ended";
    case CHECK_EXEC_START:
        return "the program cannot be started";
    case CHECK_EXEC_OUTPUT:
        return "the program said too much and was ended";
    case CHECK_HTTP_STATUS:
        return "HTTP: not the expected status";
    case CHECK_HTTP_BODY:
        return "HTTP: the expected text is not in the body";
    case CHECK_HTTP_LONG:
        return "HTTP: the body is over 64 KiB";
    case CHECK_HTTP_RESOLVE:
        return "HTTP: the host name has no address";
    case CHECK_HTTP_PROTOCOL:
        return "HTTP: not an HTTP answer";
    case CHECK_HTTP_AUTH:
        return "HTTP: user name or password are refused";
    case CHECK_HTTP_REFUSED:
        return "HTTP: connection refused";
    case CHECK_HTTP_TIMEOUT:
        return "HTTP: no answer in time";
    case CHECK_HTTP_CONNECTION:
        return "HTTP: the connection failed";
    case CHECK_LAG_JSON:
        return "lag: the answer is not what the REST API documents";
    case CHECK_LAG_NO_DATABASE:
        return "lag: the cluster has no database at this host and port";
    case CHECK_LAG_NO_QUORUM:
        return "lag: no quorum";
    case CHECK_LAG_NOT_FOUND:
        return "lag: the cluster does not know the database any more";
    case CHECK_LAG_UNAVAILABLE:
        return "lag: the database is unavailable";
    case CHECK_LAG_SHARD:
        return "lag: a shard is unreachable";
    case CHECK_LAG_PORT:
        return "lag: the database's port is not bound";
    case CHECK_LAG_SHARD_PORT:
        return "lag: a shard is unreachable and the port is not bound";
    case CHECK_LAG_ENDPOINT:
        return "lag: the endpoint is unavailable";
    case CHECK_LAG_BEHIND:
        return "lag: too far behind, or unavailable";
    case CHECK_LAG_SCHEMA:
        return "lag: the cluster calls the question malformed";
    case CHECK_NO_SUCH_MASTER:
        return "it knows no master of that name";
    case CHECK_SENTINEL_NAMES:
        return "it names servers by host names, not addresses";
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

/* The server answered, and what it said about its role is so: nothing to be confirmed. */
static bool is_about_role(uint8_t cause)
{
    return cause == CHECK_IS_REPLICA || cause == CHECK_IS_MASTER;
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
    else if (passed && (reached(after.rose, rules->rise) || is_about_role(before.cause)))
        after.health = HEALTH_HEALTHY;
    else if (!passed && (reached(after.fell, rules->fall) || is_about_role(after.cause)))
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

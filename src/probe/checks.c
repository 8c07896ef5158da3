#include "probe/checks.h"

#include "base/hash.h"

/* A connection is given up when an answer is this many times as late as allowed: a server that was
 * frozen for a moment answers on the old one, a dead path is not waited for. */
enum { PATIENCE = 3 };

static struct check *numbered(struct checks *checks, uint64_t number)
{
    return &checks->all[number % PROBES_IN_FLIGHT];
}

struct check *checks_add(struct checks *checks, uint64_t now_ns, uint64_t deadline_ns)
{
    struct check *check = numbered(checks, checks->next);

    if (checks->next - checks->oldest == PROBES_IN_FLIGHT)
        return NULL;
    *check = (struct check){
        .started_ns = now_ns,
        .deadline_ns = deadline_ns > now_ns ? deadline_ns : now_ns,
        .sent_ns = now_ns,
        .token = hash_mix(now_ns ^ (checks->next << 48)),
    };
    checks->next++;
    return check;
}

bool checks_take(struct checks *checks, struct probe_result *out)
{
    const struct check *check = numbered(checks, checks->oldest);

    if (checks->oldest == checks->next || !check->finished)
        return false;
    *out = check->result;
    checks->oldest++;
    return true;
}

struct check *checks_next(struct checks *checks, uint64_t *from)
{
    if (*from < checks->oldest)
        *from = checks->oldest;
    for (; *from < checks->next; ++*from)
        if (!numbered(checks, *from)->finished)
            return numbered(checks, *from);
    return NULL;
}

bool checks_in_flight(const struct checks *checks)
{
    return checks_deadline_ns(checks) != UINT64_MAX;
}

uint64_t checks_deadline_ns(const struct checks *checks)
{
    uint64_t earliest = UINT64_MAX;

    for (uint64_t number = checks->oldest; number < checks->next; number++) {
        const struct check *check = &checks->all[number % PROBES_IN_FLIGHT];

        if (!check->finished && check->deadline_ns < earliest)
            earliest = check->deadline_ns;
    }
    return earliest;
}

void check_finish(struct check *check, enum probe_outcome outcome, enum check_cause cause,
                  int error, uint64_t now_ns)
{
    check->finished = true;
    check->result = (struct probe_result){
        .outcome = outcome,
        .cause = cause,
        .error = error,
        .role = check->role,
        .aside = check->aside,
        .started_ns = check->started_ns,
        .rtt_ns = outcome == PROBE_PASSED && now_ns > check->sent_ns ? now_ns - check->sent_ns : 0,
    };
}

static uint64_t number_of(const struct checks *checks, const struct check *check)
{
    uint64_t slot = (uint64_t)(check - checks->all);
    uint64_t behind = (slot - checks->oldest) % PROBES_IN_FLIGHT;

    return checks->oldest + behind;
}

static bool owe(struct checks *checks, uint64_t to, unsigned answers, uint64_t patience_ns)
{
    if (checks->owed_count == ANSWERS_OWED)
        return false;
    checks->owed[(checks->owed_first + checks->owed_count) % ANSWERS_OWED] =
        (struct owed){.to = to, .answers = (uint8_t)answers, .patience_ns = patience_ns};
    checks->owed_count++;
    return true;
}

bool checks_owe(struct checks *checks, const struct check *check, unsigned answers)
{
    if (!check)
        return owe(checks, OWED_TO_AUTH, answers, UINT64_MAX); /* a check follows */
    return owe(checks, number_of(checks, check), answers,
               check->started_ns + PATIENCE * (check->deadline_ns - check->started_ns));
}

bool checks_owe_aside(struct checks *checks)
{
    return owe(checks, OWED_TO_ASIDE, 1, UINT64_MAX); /* the next check will tell */
}

bool checks_aside_is_next(const struct checks *checks)
{
    return checks->owed_count > 0 && checks->owed[checks->owed_first].to == OWED_TO_ASIDE;
}

bool checks_answered(struct checks *checks, struct answered *out)
{
    struct owed *owed = &checks->owed[checks->owed_first];
    uint64_t to = owed->to;

    if (checks->owed_count == 0)
        return false;
    *out = (struct answered){.index = owed->answered++,
                             .auth = to == OWED_TO_AUTH,
                             .aside = to == OWED_TO_ASIDE};
    out->last = owed->answered >= owed->answers;
    if (out->last) {
        checks->owed_first = (checks->owed_first + 1) % ANSWERS_OWED;
        checks->owed_count--;
    }
    if (to < OWED_TO_ASIDE && to >= checks->oldest && !numbered(checks, to)->finished)
        out->check = numbered(checks, to);
    return true;
}

bool checks_is_owed(const struct checks *checks)
{
    return checks->owed_count > 0;
}

uint64_t checks_patience_ns(const struct checks *checks)
{
    uint64_t earliest = UINT64_MAX;

    for (uint32_t i = 0; i < checks->owed_count; i++) {
        const struct owed *owed = &checks->owed[(checks->owed_first + i) % ANSWERS_OWED];

        if (owed->patience_ns < earliest)
            earliest = owed->patience_ns;
    }
    return earliest;
}

void checks_forget_owed(struct checks *checks)
{
    checks->owed_first = checks->owed_count = 0;
}

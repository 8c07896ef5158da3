#include "policy/standing.h"

enum { MS = 1000000 };

struct standing standing_unpack(uint64_t word)
{
    unsigned bar = word >> 8 & 0xff, past = word & 0xff;

    return (struct standing){
        .since_ms = word >> 16,
        .bar = bar <= BAR_GONE ? (enum bar)bar : BAR_NONE,
        .past = past <= PAST_RETURNED ? (enum past)past : PAST_UNKNOWN,
    };
}

uint64_t standing_pack(struct standing standing)
{
    return standing.since_ms << 16 | (uint64_t)standing.bar << 8 | (uint64_t)standing.past;
}

static bool is_proven(struct standing standing, uint64_t now_ns)
{
    uint64_t since_ns = standing.since_ms * MS;

    return now_ns >= since_ns && now_ns - since_ns >= STANDING_PROOF_NS;
}

static enum past past_after(struct standing before, enum seen seen, uint64_t now_ns)
{
    switch (seen) {
    case SEEN_REPLICA:
        return PAST_REPLICA;
    case SEEN_GONE: /* who was never there cannot come back */
        return before.past == PAST_UNKNOWN ? PAST_UNKNOWN : PAST_GONE;
    case SEEN_MASTER:
        break;
    }
    switch (before.past) {
    case PAST_REPLICA:
    case PAST_PROMOTED:
        return PAST_PROMOTED;
    case PAST_GONE:
        return PAST_RETURNED;
    case PAST_RETURNED:
        return is_proven(before, now_ns) ? PAST_MASTER : PAST_RETURNED;
    case PAST_UNKNOWN:
    case PAST_MASTER:
        break;
    }
    return PAST_MASTER;
}

bool standing_is_gone(enum check_cause cause)
{
    return cause == CHECK_REFUSED || cause == CHECK_TIMEOUT || cause == CHECK_RESET ||
           cause == CHECK_UNREACHABLE || cause == CHECK_CLOSED || cause == CHECK_TLS_TIMEOUT ||
           cause == CHECK_LOADING || cause == CHECK_BUSY;
}

struct standing standing_after(struct standing before, enum seen seen, uint64_t now_ns)
{
    struct standing after = before;

    after.past = past_after(before, seen, now_ns);
    if (after.past != before.past)
        after.since_ms = now_ns / MS;
    return after;
}

struct standing standing_superseded(struct standing before)
{
    if (before.past == PAST_PROMOTED)
        before.past = PAST_MASTER;
    return before;
}

bool standing_is_trusted(struct standing standing)
{
    return standing.past != PAST_REPLICA && standing.past != PAST_GONE &&
           standing.past != PAST_RETURNED;
}

struct standing standing_vouched(struct standing before, struct agreement agreement)
{
    if (before.past == PAST_RETURNED && agreement.is_this &&
        agreement.calm_ns > (before.since_ms + 1) * MS)
        before.past = PAST_MASTER;
    return before;
}

enum bar standing_bar(struct standing standing, struct agreement agreement, uint64_t now_ns)
{
    if (standing.past == PAST_RETURNED && !is_proven(standing, now_ns))
        return agreement.sentinels ? BAR_RETURNED : BAR_FAILBACK;
    if (!agreement.sentinels)
        return BAR_NONE;
    if (standing.past == PAST_GONE)
        return BAR_GONE;
    if (standing.past == PAST_REPLICA)
        return BAR_REPLICA;
    if (!agreement.known || agreement.is_this)
        return BAR_NONE;
    if (standing.past == PAST_PROMOTED && !agreement.other_well)
        return BAR_NONE;
    return BAR_OTHER_MASTER;
}

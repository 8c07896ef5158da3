/*
 * Checks are numbered from 1, and check n lies in record n % 64. Both words of a record carry the
 * low bits of n: a record is whole when they agree, whoever wrote it (a prober that was stopped
 * half way may go on among the records of its successor).
 */
#include "state/history.h"

#include "base/clock.h"

#define STARTED_MASK (UINT64_MAX >> 16)

_Static_assert(sizeof(((struct endpoint_live *)0)->checks) ==
                   CHECKS_KEPT * sizeof(struct check_record),
               "one record per check");

/* Rounded up: 0 means that there was no answer. */
static uint32_t microseconds(uint64_t ns)
{
    uint64_t us = (ns + NS_PER_US - 1) / NS_PER_US;

    return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

/* An eighth of the way to the newest, at least one microsecond: it must arrive. */
static void average(atomic_u64 *mean_us, uint64_t rtt_us)
{
    uint64_t mean = load_relaxed(mean_us);

    if (mean == 0)
        mean = rtt_us;
    else if (rtt_us > mean)
        mean += (rtt_us - mean + 7) / 8;
    else
        mean -= (mean - rtt_us + 7) / 8;
    store_relaxed(mean_us, mean);
}

/*
 * Peak EWMA, as Finagle's load balancer has it: a slower answer counts at once, a faster one by and
 * by, the more the longer the last answer is past (10 s: a half). {CLOCK_BOOTTIME ms:32, us:32}.
 */
static void remember_peak(atomic_u64 *word, uint32_t rtt_us, uint64_t now_ns)
{
    enum { HALF_LIFE_MS = 10000 };
    uint64_t before = load_relaxed(word);
    uint32_t now_ms = (uint32_t)(now_ns / NS_PER_MS), peak = (uint32_t)before;
    uint32_t past_ms = now_ms - (uint32_t)(before >> 32);

    if (rtt_us < peak)
        peak -=
            (uint32_t)((uint64_t)(peak - rtt_us) * past_ms / ((uint64_t)past_ms + HALF_LIFE_MS));
    else
        peak = rtt_us;
    store_relaxed(word, (uint64_t)now_ms << 32 | peak);
}

uint32_t history_latency_us(const struct endpoint_live *live)
{
    return (uint32_t)load_relaxed(&live->latency);
}

void history_add(struct endpoint_live *live, const struct check *check)
{
    uint64_t number = atomic_fetch_add_explicit(&live->check_count, 1, memory_order_relaxed) + 1;
    struct check_record *record = &live->checks[number % CHECKS_KEPT];
    uint32_t rtt_us = microseconds(check->rtt_ns);
    uint64_t sequence = number << 48;

    store_relaxed(&record->started, sequence | (check->started_ns / NS_PER_US & STARTED_MASK));
    store_relaxed(&record->result, sequence | (uint64_t)(uint8_t)check->cause << 40 |
                                       (uint64_t)check->passed << 32 | rtt_us);
    count_up(check->passed ? &live->checks_ok : &live->checks_failed);
    if (rtt_us)
        average(&live->rtt_us, rtt_us);
    if (rtt_us && check->passed)
        remember_peak(&live->latency, rtt_us, check->started_ns + check->rtt_ns);
}

static bool read_record(const struct endpoint_live *live, uint64_t number, struct check *out)
{
    const struct check_record *record = &live->checks[number % CHECKS_KEPT];
    uint64_t started = load_relaxed(&record->started);
    uint64_t result = load_relaxed(&record->result);

    if (started >> 48 != (number & 0xffff) || result >> 48 != (number & 0xffff))
        return false;
    *out = (struct check){
        .passed = result >> 32 & 0xff,
        .cause = (enum check_cause)(result >> 40 & 0xff),
        .started_ns = (started & STARTED_MASK) * NS_PER_US,
        .rtt_ns = (result & UINT32_MAX) * NS_PER_US,
    };
    return true;
}

unsigned checked_history(const struct endpoint_live *live, struct check out[static CHECKS_KEPT])
{
    uint64_t newest = load_relaxed(&live->check_count);
    unsigned count = 0;

    for (uint64_t i = 0; i < CHECKS_KEPT && i < newest; i++)
        if (read_record(live, newest - i, &out[count]))
            count++;
    return count;
}

static void insert_sorted(uint64_t values[], unsigned count, uint64_t value)
{
    unsigned at = count;

    for (; at > 0 && values[at - 1] > value; at--)
        values[at] = values[at - 1];
    values[at] = value;
}

uint64_t checked_percentile_us(const struct endpoint_live *live, unsigned percent)
{
    struct check checks[CHECKS_KEPT];
    uint64_t answered[CHECKS_KEPT];
    unsigned kept = checked_history(live, checks);
    unsigned count = 0;

    for (unsigned i = 0; i < kept; i++)
        if (checks[i].rtt_ns)
            insert_sorted(answered, count++, checks[i].rtt_ns / NS_PER_US);
    if (count == 0)
        return 0;
    /* Nearest rank: the least value that `percent` of them do not exceed. */
    return answered[(percent * count + 99) / 100 - 1];
}

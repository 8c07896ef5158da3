/*
 * clock: the times redisteer uses. All are nanoseconds in 64 bits. All are [hook]: through the
 * vDSO, async-signal-safe, errno untouched.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* CLOCK_BOOTTIME: one time base for all processes of the host, running through suspend. */
uint64_t clock_boot_ns(void);

/* CLOCK_REALTIME: for people only (events, logs). Never compared with anything. */
uint64_t clock_wall_ns(void);

/* As logs and events show it, UTC: "2026-01-31T12:00:00.000Z". Returns `out`. */
enum { CLOCK_TEXT = 32 };
const char *clock_format_wall(uint64_t wall_ns, char out[static CLOCK_TEXT]);

/* CLOCK_MONOTONIC: what futexes count in. */
uint64_t clock_monotonic_ns(void);

/* CLOCK_MONOTONIC_COARSE: a few ns to read, a tick (1-10 ms) of resolution; for rate limits. */
uint64_t clock_coarse_ns(void);

/* What is due at `*at_ns` is due at `candidate_ns`, if that is earlier. UINT64_MAX: never. */
static inline void clock_sooner(uint64_t *at_ns, uint64_t candidate_ns)
{
    if (candidate_ns < *at_ns)
        *at_ns = candidate_ns;
}

#endif

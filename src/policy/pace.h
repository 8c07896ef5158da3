/*
 * pace: connect.rate, a token bucket that a whole host shares in one word per endpoint (GCRA, the
 * generic cell rate algorithm of ATM Forum TM 4.0): the time when the next connection may begin. A
 * herd that lost its server queues up for the next one by reserving places in time. Pure; [hook].
 */
#ifndef POLICY_PACE_H
#define POLICY_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/shared.h"

/*
 * Reserves the next place at `rate` connections per second (>= 1) and returns how many ns from
 * `now_ns` it is, 0: at once. A tenth of a second's worth may come in one burst. Whoever cannot
 * wait (`queue` = false) takes a place when one is free and else goes without.
 */
uint64_t pace_reserve(atomic_u64 *next_ns, uint32_t rate, bool queue, uint64_t now_ns);

#endif

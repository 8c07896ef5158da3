/*
 * spread: the strategies that send each new connection elsewhere, and have no active endpoint:
 * round-robin, random, weighted and least-connections. Pure; [hook].
 *
 * `turn` numbers the service's connections over the whole host, so that threads and processes share
 * one sequence and each gets another place in it:
 *
 *     round-robin         turn modulo the number of endpoints
 *     random              the turn's hash
 *     weighted            the fractional part of turn x golden ratio (a Weyl sequence), which fills
 *                         any share evenly: after n connections each endpoint is within a few of
 *                         its part, where chance would leave it within the square root of n
 *     least-connections   the fewest connections of this host; equals by turn
 *
 * An endpoint that has just recovered gets a part that grows with `ramp`.
 */
#ifndef POLICY_SPREAD_H
#define POLICY_SPREAD_H

#include "policy/choose.h"

bool strategy_spreads(enum strategy strategy);

/* One of those in `set` (bit per index), or -1 when it is empty. Zones are the caller's matter. */
int spread_pick(enum strategy strategy, const struct candidate candidates[], unsigned count,
                uint32_t set, uint64_t turn);

#endif

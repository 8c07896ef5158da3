/*
 * gate: what failback.probe last found out about an endpoint: one word of its live state. [hook]
 *
 * {CLOCK_BOOTTIME ms:48, cause:8, holds:8}. The time stands first, so that a late writer loses.
 */
#ifndef STATE_GATE_H
#define STATE_GATE_H

#include <stdbool.h>

#include "policy/verdict.h"
#include "state/layout.h"

void gate_store(struct endpoint_live *live, bool holds, enum check_cause cause, uint64_t now_ns);

/*
 * Whether failback to the endpoint may take place: the last result is good and not older than
 * `lasts_ns`. `*cause` (NULL: not wanted) is why not; CHECK_FINE where nobody has looked yet, or
 * not for too long.
 */
bool gate_holds(const struct endpoint_live *live, uint64_t lasts_ns, uint64_t now_ns,
                enum check_cause *cause);

#endif

/*
 * memo: the services that this process's latest connections meant, as they were read from the
 * settings, so that the next connection to the same address reads and copies nothing.
 *
 * A small table, indexed by the destination. A place is read by any number of calls at once and
 * written by one while nobody reads it; nobody ever waits: who finds it taken reads the settings
 * himself. What a place holds counts while the settings are the same and no look-up has taught the
 * process a new address. A call that never ends (siglongjmp, a cancelled thread, fork) leaves its
 * place readable and never rewritten. All [hook].
 */
#ifndef PRELOAD_MEMO_H
#define PRELOAD_MEMO_H

#include "preload/attempt.h"
#include "state/decision.h"

struct memo;

/* The service behind the attempt's address, to be given back by memo_release(); NULL: not known. */
struct memo *memo_find(const struct segment *segment, const struct attempt *attempt);
const struct service_view *memo_service(const struct memo *memo);
void memo_release(struct memo *memo); /* NULL is allowed */

/* Remembers what route_address() found for its address, which nobody may change meanwhile, unless
 * the place is taken. `learned`: learned_count() from before it looked. */
void memo_keep(const struct attempt *attempt, const struct service_view *service, uint32_t learned);

#endif

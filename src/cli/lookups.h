/*
 * lookups: what publishing wants to know of names (settings/resolve.h), from answers of name
 * servers (heavy/dns.h). Only where this is built with c-ares.
 */
#ifndef CLI_LOOKUPS_H
#define CLI_LOOKUPS_H

#include "heavy/dns.h"
#include "settings/resolve.h"

/*
 * The answer as a look-up's. False: there is no memory for it. `lookup->offers` is for free() where
 * the question was one for SRV.
 */
bool lookup_take(struct lookup *lookup, const struct dns_answer *answer);

/* Why there is no answer. */
void lookup_fail(struct lookup *lookup, enum dns_cause cause);

/* Asks now, and waits. For any thread. */
void lookup_ask(struct lookup *lookup, uint64_t patience_ns);

/* True: the environment says which name servers to ask, so the C library is not. */
bool lookup_servers_given(void);

#endif

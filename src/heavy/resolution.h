/*
 * resolution: one question to the name servers (dns.h), in a thread of its own. For one thread to
 * start, ask and free.
 */
#ifndef HEAVY_RESOLUTION_H
#define HEAVY_RESOLUTION_H

#include "heavy/dns.h"

struct resolution;

/*
 * The question is copied; it is given up `patience_ns` from now. NULL: this host's own trouble (no
 * memory, thread or descriptor).
 */
struct resolution *resolution_start(const struct dns_question *question, uint64_t patience_ns);

/* False: not yet. */
bool resolution_done(const struct resolution *resolution);

/* Readable once it is done. */
int resolution_fd(const struct resolution *resolution);

/* Once it is done. */
const struct dns_answer *resolution_answer(const struct resolution *resolution);

/* Gives the question up if it is still open, and waits for that. NULL is allowed. */
void resolution_free(struct resolution *resolution);

#endif

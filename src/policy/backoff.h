/* backoff: pauses that grow and are jittered. Pure and [hook]. */
#ifndef POLICY_BACKOFF_H
#define POLICY_BACKOFF_H

#include <stdint.h>

/* first x (factor_milli / 1000)^round, at most `most_ns`; no overflow. round 0 gives `first_ns`. */
uint64_t backoff_ns(uint64_t first_ns, uint32_t factor_milli, unsigned round, uint64_t most_ns);

/* `ns` moved by up to +-`share` (hundredths of a percent), by the 32 random bits given. */
uint64_t jitter_ns(uint64_t ns, uint32_t share, uint32_t random);

#endif

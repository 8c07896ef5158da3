/*
 * avoid: endpoints that this process saw refuse it a moment ago.
 *
 * A non-blocking connect() cannot be tried again inside the call, so its failure reaches the
 * program. The program's next connection then begins with another endpoint, as a blocking one would
 * have gone on, though one failure moves nobody else. A hint per endpoint slot; relaxed. [hook]
 */
#ifndef PRELOAD_AVOID_H
#define PRELOAD_AVOID_H

#include <stdbool.h>
#include <stdint.h>

void avoid_remember(uint32_t endpoint_slot, uint64_t until_ns); /* CLOCK_BOOTTIME */
void avoid_forget(uint32_t endpoint_slot);
bool avoid_holds(uint32_t endpoint_slot, uint64_t now_ns);

#endif

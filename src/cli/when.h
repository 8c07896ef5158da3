/* when: moments and ages as people and JSON have them. Not for hooks. */
#ifndef CLI_WHEN_H
#define CLI_WHEN_H

#include <stdint.h>

enum { WHEN_TEXT = 32, AGE_TEXT = 24 };

/* RFC 3339 in UTC with milliseconds: 2026-01-01T00:00:00.000Z. Returns `out`. */
const char *when_format(uint64_t wall_ns, char out[static WHEN_TEXT]);

/*
 * "10m": that long before `now_ns`; "2026-01-01T00:00:00Z", with or without fraction, or with an
 * offset like +02:00: that moment. CLOCK_REALTIME. 0 or -EINVAL.
 */
int when_parse(const char *text, uint64_t now_ns, uint64_t *wall_ns);

/* A span in its largest unit: 320ms, 12s, 3m, 2h, 5d. Returns `out`. */
const char *age_format(uint64_t ms, char out[static AGE_TEXT]);

#endif

/*
 * duration: times and shares as people write them in the configuration ("250ms", "1.5s", "50%").
 * No locale is involved: the decimal point is '.'. Not for hooks.
 */
#ifndef BASE_DURATION_H
#define BASE_DURATION_H

#include <stddef.h>
#include <stdint.h>

enum { DURATION_TEXT = 32 };

/*
 * A decimal number and one of ms, s, m, h ("0s" too; a bare "0" is accepted, any other bare number
 * is not). 0, -EINVAL (not a duration) or -ERANGE (over 1,000 h).
 */
int duration_parse(const char *text, uint64_t *ns);

/* The shortest exact form: 1500ms, 2s, 5m, 1h. Below 1 ms: "250us", "17ns". Returns `out`. */
const char *duration_format(uint64_t ns, char out[static DURATION_TEXT]);

/* "50" or "50%", "12.5%": hundredths of a percent, 0..10000. 0, -EINVAL or -ERANGE. */
int percent_parse(const char *text, uint32_t *basis_points);

#endif

/*
 * sources: where a service's endpoints are found: each Sentinel and each name with its last
 * success, next try and last error, for `redisteer status`.
 */
#ifndef CLI_SOURCES_H
#define CLI_SOURCES_H

#include <jansson.h>
#include <stdio.h>

#include "cli/overview.h"

/* Nothing for a service that discovers none. */
void sources_text(const struct overview *overview, const struct service_row *row, FILE *out,
                  bool colours);
json_t *sources_json(const struct service_row *row); /* NULL: it discovers none */

#endif

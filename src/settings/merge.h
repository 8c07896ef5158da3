/*
 * merge: endpoints that names, SRV and Sentinels bring, put beside those of the file. A server that
 * is there already, by its address, stays what it is. What ENDPOINTS_MAX leaves no room for is left
 * out, and how many these are is returned.
 */
#ifndef SETTINGS_MERGE_H
#define SETTINGS_MERGE_H

#include "settings/resolve.h"
#include "state/discovery.h"

/* How the service's endpoints are found, as it is published. `sentinels`: their look-ups. */
void merge_describe(const struct service *service, const struct lookup *sentinels,
                    struct discover_settings *out);

/*
 * Moves the service's endpoints to `room` (ENDPOINTS_MAX), which the following need: with dns =
 * true each address of a name is then an endpoint, with all that the file says of the name.
 * `lookups`: one per endpoint.
 */
uint32_t merge_begin(struct publish_service *out, const struct service *service,
                     const struct lookup *lookups,
                     struct publish_endpoint room[static ENDPOINTS_MAX]);

/* Adds what SRV brings, and what Sentinels do; health, user and password are the service's. */
uint32_t merge_offers(struct publish_service *service, const struct lookup *srv);
uint32_t merge_found(struct publish_service *service, const struct found *found);

#endif

/*
 * merge: endpoints that Sentinels name, put beside those of the file. A server that the file has
 * already, by its address, stays the file's.
 */
#ifndef SETTINGS_MERGE_H
#define SETTINGS_MERGE_H

#include "settings/resolve.h"
#include "state/discovery.h"

/* How the service's endpoints are found, as it is published. `sentinels`: their look-ups. */
void merge_describe(const struct service *service, const struct lookup *sentinels,
                    struct discover_settings *out);

/*
 * Moves the service's endpoints to `room` (ENDPOINTS_MAX) and adds those that were found. `health`,
 * user and password are those of the service.
 */
void merge_found(struct publish_service *service, const struct found *found,
                 struct publish_endpoint room[static ENDPOINTS_MAX]);

#endif

/*
 * gather: the endpoints of a service that discovers some: of the file, of DNS, and what Sentinels
 * have said; what cannot be asked now stays as it was published last.
 */
#ifndef SETTINGS_GATHER_H
#define SETTINGS_GATHER_H

#include "settings/resolve.h"
#include "settings/settings.h"
#include "state/publish.h"
#include "state/segment.h"

/* The service's own: one per endpoint of the file, one per Sentinel, one of SRV. */
struct gathered {
    const struct lookup *endpoints, *sentinels;
    struct lookup *srv;
};

/*
 * Fills in `out->discover` and makes `room` its endpoints. `segment`: with what was published last;
 * NULL: nothing was. `say` is told of each look-up that came to nothing, and how many endpoints had
 * no room.
 */
void gather_servers(const struct service *service, const struct gathered *lookups,
                    const struct segment *segment, struct publish_service *out,
                    struct publish_endpoint room[static ENDPOINTS_MAX],
                    void (*say)(const char *line));

#endif

/*
 * gather: the endpoints of a service that discovers some: of the file, of DNS, and what Sentinels
 * have said; what cannot be asked now stays as it was published last.
 */
#ifndef SETTINGS_GATHER_H
#define SETTINGS_GATHER_H

#include "settings/resolve.h"
#include "settings/settings.h"
#include "state/discovery.h"
#include "state/publish.h"
#include "state/segment.h"

/* The service's own: one per endpoint of the file, one per Sentinel, one of SRV. */
struct gathered {
    const struct lookup *endpoints, *sentinels;
    struct lookup *srv;
};

/*
 * Fills in `out->discover`, makes `room` its endpoints but for those that Sentinels bring, and says
 * in `found` which those are as far as is known already (count 0: the Sentinels must be asked).
 * `segment`: with what was published last; NULL: nothing was. `say` is told of each look-up that
 * came to nothing. How many endpoints had no room.
 */
uint32_t gather_servers(const struct service *service, const struct gathered *lookups,
                        const struct segment *segment, struct publish_service *out,
                        struct publish_endpoint room[static ENDPOINTS_MAX], struct found *found,
                        void (*say)(const char *line));

/* Says that so many had no room, if any. */
void gather_report_left_out(const struct service *service, uint32_t count,
                            void (*say)(const char *line));

#endif

/*
 * publish: writing settings into the segment. For the program `redisteer` and tests; never in a
 * hook.
 *
 * The first publication creates the segment complete, under a temporary name, and link()s it into
 * place; who loses that race attaches to the winner. Later ones fill the bank that is not in force.
 * Only a segment that cannot be used, or has no room, is replaced: under the lock, the old one
 * marked superseded. Live state of endpoints that stay (same service, name and address) stays where
 * it is.
 */
#ifndef STATE_PUBLISH_H
#define STATE_PUBLISH_H

#include <stdint.h>
#include <sys/types.h>

#include "state/place.h"
#include "state/segment.h"

struct publish_endpoint {
    struct endpoint_settings settings; /* slot, generation and past are filled in by publishing */
    struct endpoint_label label;
    const char *username; /* for the file of secrets; NULL or "" = none */
    const char *password;
};

struct publish_service {
    struct service_settings settings; /* slot, indexes and virtual_address are filled in */
    uint32_t endpoint_count;
    struct publish_endpoint *endpoints;
    uint32_t match_count;
    struct match_settings *matches;     /* host, address, port, any_port and is_name are read */
    struct discover_settings *discover; /* NULL: none; `secret` is filled in */
    const char *username;               /* with it: for the file of secrets; NULL or "" = none */
    const char *password;
};

struct publish_check {
    struct check_settings settings; /* `secret` is filled in */
    const char *username;           /* for the file of secrets; NULL or "" = none */
    const char *password;
};

struct publication {
    struct bank front; /* stamp, path, instance, zone, programs; counts and offsets are filled in */
    uint32_t service_count;
    struct publish_service *services;
    uint32_t check_count;
    struct publish_check *checks;
    uint32_t tls_count;
    const struct tls_settings *tls; /* what endpoints and checks refer to */
    gid_t share_group;              /* (gid_t)-1: private to this user */
};

enum publish_result { PUBLISHED_NEW, PUBLISHED_CHANGE, PUBLISHED_REPLACEMENT, PUBLISHED_NOTHING };

/*
 * Publishes, waiting for other publishers at most 5 s. A segment that already holds exactly this
 * (byte for byte, times apart) is left alone: PUBLISHED_NOTHING. Writes a `config` event and
 * removes the failure marker. 0 and `*result`, or -errno with `*why` a sentence for people
 * (-ENOSPC: no room on the tmpfs; -EPERM: a segment of someone else is in the way; -ETIMEDOUT).
 */
int publish(const struct place *place, struct publication *publication, enum publish_result *result,
            const char **why);

/* Leaves the marker that keeps programs from trying again until the file changes. 0 or -errno. */
int publish_mark_failed(const struct place *place, const struct file_stamp *stamp);
/* [hook] True when a marker for exactly this state of the file is there. */
bool publish_failed_before(const struct place *place, const struct file_stamp *stamp);

#endif

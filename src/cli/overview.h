/*
 * overview: the services and endpoints of one segment, copied at one moment, for commands that show
 * them. Consistent: either all of it is of the settings in force, or overview_read() tries again.
 */
#ifndef CLI_OVERVIEW_H
#define CLI_OVERVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/choose.h"
#include "settings/settings.h"
#include "state/decision.h"
#include "state/discovery.h"
#include "state/lease.h"

struct service_row {
    struct service_view view; /* view.live is NULL when the file was read instead of a segment */
    struct endpoint_settings endpoints[ENDPOINTS_MAX];
    struct endpoint_label labels[ENDPOINTS_MAX];
    char addresses[ENDPOINTS_MAX][ADDRESS_HOST_TEXT + 8]; /* as configured, with the port */
    uint32_t match_count;
    struct match_settings matches[MATCHES_MAX];
    bool discovers; /* Sentinels are asked: */
    struct discover_settings discover;
    struct found found;
    enum service_mode mode;        /* in force */
    bool manual;                   /* the operator has switched to an endpoint */
    uint64_t manual_until_wall_ns; /* 0 = no end */
    struct candidate candidates[ENDPOINTS_MAX];
    int active;           /* index, or -1: no connection has been made yet */
    struct choice choice; /* of a new connection, now */
};

struct overview {
    struct bank front;
    uint64_t now_ns;  /* CLOCK_BOOTTIME */
    uint64_t wall_ns; /* the same moment for people */
    bool led;         /* somebody holds the lease: */
    struct lease_holder leader;
    size_t count;
    struct service_row *services;
};

/* 0, -EBADMSG (corrupt, or never twice the same) or -ENOMEM. Ends with overview_free(). */
int overview_read(const struct segment *segment, struct overview **out);

/* What the file would give if it were published: names are not resolved. 0 or -ENOMEM. */
int overview_from_settings(const struct settings *settings, struct overview **out);

void overview_free(struct overview *overview); /* NULL is allowed */

/*
 * The service of that name. NULL: there is none, which has then been said, with the nearest name.
 */
struct service_row *overview_service(const struct overview *overview, const char *name);

/* Index of the endpoint of that name, or -1: there is none, which has then been said. */
int row_endpoint(const struct service_row *row, const char *name);

/* True when each name of an endpoint or a Sentinel had an address when it was published. */
bool overview_resolved(const struct overview *overview);

/*
 * What went wrong last with an endpoint, in words; NULL: nothing. Where its health is unknown for
 * want of a monitor, that. `*at_ms` (NULL: not wanted): CLOCK_REALTIME, 0 = now.
 */
const char *row_last_error(const struct overview *overview, const struct service_row *row,
                           uint32_t index, uint64_t *at_ms);

/* True when some endpoint may get an ordinary connection. */
bool row_has_eligible(const struct service_row *row);

/*
 * The name of the endpoint that connections go to: the active one, before the first connection the
 * one that will be. NULL: there is none, or the strategy spreads connections.
 */
const char *row_active_name(const struct service_row *row);
bool row_spreads(const struct service_row *row);

/* The name of the endpoint that has live slot `slot`; NULL when it is not (or no more) there. */
const char *row_slot_name(const struct service_row *row, uint32_t slot);

const char *row_mode_name(const struct service_row *row); /* auto | manual | observe | off */

const char *mode_name(enum service_mode mode); /* auto | observe | off: as people set it */
const char *leader_kind(const struct lease_holder *leader); /* thread | process */
const char *health_name(enum health health);                /* healthy | unhealthy | unknown */
const char *admin_name(enum admin admin);                   /* ready | drain | maint */
const char *strategy_name(enum strategy strategy);          /* as in the file */

#endif

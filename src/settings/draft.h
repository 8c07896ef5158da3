/*
 * draft: a publication as far as the file alone says it. What is not in the file comes afterwards:
 * passwords, addresses, servers that are found (publication.c).
 */
#ifndef SETTINGS_DRAFT_H
#define SETTINGS_DRAFT_H

#include "settings/resolve.h"
#include "settings/secret.h"
#include "settings/settings.h"
#include "state/discovery.h"
#include "state/publish.h"

/* What publishing needs, in a few blocks of memory. */
struct draft {
    struct publication publication;
    struct publish_endpoint *endpoints;
    struct match_settings *matches;
    struct lookup *lookups; /* per endpoint, same order; per Sentinel; per service with SRV */
    struct secret *secrets; /* the same */
    struct secret *check_secrets;
    struct secret *sentinel_secrets;     /* one per service */
    struct discover_settings *discovers; /* the same */
    struct publish_endpoint *room;       /* ENDPOINTS_MAX per service that discovers some */
    struct found *found;                 /* one per service */
    uint32_t *left_out;                  /* the same: endpoints that have no room */
    struct discovery_question *questions;
    uint32_t *asked; /* the service of each question */
    uint64_t began_ns;
    struct tls_settings *tls;
    size_t endpoint_count, sentinel_count, srv_count, match_count, tls_count, question_count;
};

/* 0, or -ENOMEM; draft_free() in either case. */
int draft_make(struct draft *draft, const struct settings *settings, const struct place *place);
void draft_free(struct draft *draft);

/* The service finds endpoints that are not in the file. */
bool draft_discovers(const struct service *service);

/* How many `lookups` there are. */
size_t draft_look_ups(const struct draft *draft);

#endif

#include "preload/renew.h"

#include "base/clock.h"
#include "base/log.h"
#include "policy/verdict.h"
#include "preload/environment.h"
#include "preload/errand.h"
#include "preload/spawn.h"
#include "state/bank.h"
#include "state/discovery.h"
#include "state/events.h"
#include "state/publish.h"

#define TICK_NS          NS_PER_S /* from call to call of renew_where_due() */
#define PUBLISH_PAUSE_NS NS_PER_S /* for servers that were found: it may be in vain */

enum {
    RENEW_MS = 5000,   /* for a publication that no connection waits for */
    LOOK_AGAIN_S = 10, /* at names that did not resolve, and passwords that are refused */
};

enum spawn_end renew_publish(const struct place *place, const char *config, bool missing,
                             bool may_spawn, unsigned wait_ms)
{
    struct file_stamp stamp;
    int error = file_stamp_read(config, &stamp);

    if (error) {
        log_info("off: cannot see %s (errno %d)", config, -error);
        return SPAWN_IN_VAIN;
    }
    if (publish_failed_before(place, &stamp)) {
        log_warn("off: %s could not be published before; see `redisteer check`", config);
        return SPAWN_IN_VAIN;
    }
    if (!may_spawn) {
        log_info("not published: this call may not start a child (signal handler, vfork child or "
                 "seccomp filter)");
        return SPAWN_LATER;
    }
    return spawn_publisher(place, config, missing, wait_ms);
}

/* ---- what is published may lack something ---- */

static bool sentinels_lack_addresses(const struct bank_view *view)
{
    static struct discover_settings discover; /* large: not on a stranger's stack */

    for (uint32_t i = 0; bank_discover(view, i, &discover); i++)
        for (uint32_t j = 0; j < discover.count && j < SENTINELS_MAX; j++)
            if (discover.sentinels[j].port == 0)
                return true;
    return false;
}

static bool endpoints_lack_addresses(const struct bank_view *view)
{
    static struct endpoint_settings endpoint; /* see above */

    for (uint32_t i = 0; bank_endpoint(view, i, &endpoint); i++)
        if (endpoint.address_count == 0)
            return true;
    return false;
}

static bool services_lack_servers(const struct bank_view *view)
{
    static struct service_settings service; /* see above */

    for (uint32_t i = 0; bank_service(view, i, &service); i++)
        if (service.endpoint_count == 0)
            return true;
    return false;
}

/* When a program last had it published, however that ended. 0: not known. */
static uint64_t tried_wall_ns(const struct place *place)
{
    struct file_stamp stamp;

    return file_stamp_read(place->start, &stamp) == 0 ? stamp.mtime_ns : 0;
}

static bool is_long_ago(uint64_t wall_ns)
{
    return clock_wall_ns() - wall_ns > LOOK_AGAIN_S * NS_PER_S;
}

bool renew_lacks(const struct segment *segment, const struct place *place)
{
    static struct bank front; /* see above */
    struct bank_view view;
    bool lacks;

    if (!bank_open(segment, &view))
        return false;
    bank_front(&view, &front);
    lacks = is_long_ago(front.published_wall_ns) && is_long_ago(tried_wall_ns(place)) &&
            (endpoints_lack_addresses(&view) || sentinels_lack_addresses(&view) ||
             services_lack_servers(&view));
    return lacks && bank_valid(&view);
}

/* ---- what is published may be out of date ---- */

/* The file is not what was published. */
static bool file_has_changed(const struct segment *segment, const char *config)
{
    static struct bank front; /* 4 KiB: not on this small stack; of the prober alone */
    struct file_stamp stamp, published;
    struct bank_view view;

    if (!bank_open(segment, &view))
        return false;
    bank_front(&view, &front);
    published = bank_file_stamp(&front);
    return bank_valid(&view) && file_stamp_read(config, &stamp) == 0 &&
           !file_stamp_equal(&stamp, &published);
}

/* A password that is refused may have been changed in its file, which only a publisher reads. */
static bool password_is_refused(const struct segment *segment)
{
    static uint64_t next_look_ns; /* of the prober alone */
    uint64_t now_ns = clock_coarse_ns();

    if (now_ns < next_look_ns)
        return false;
    for (uint32_t i = 0; i < segment->endpoint_slots; i++) {
        const struct endpoint_live *live = segment_endpoint(segment, i);

        if (verdict_unpack(load_relaxed(&live->health)).cause == CHECK_WRONGPASS) {
            next_look_ns = now_ns + LOOK_AGAIN_S * NS_PER_S;
            return true;
        }
    }
    return false;
}

/* Sentinels name other servers than were published. */
static bool servers_have_changed(const struct segment *segment)
{
    static uint64_t publish_ns; /* of the prober alone */
    uint64_t now_ns = clock_coarse_ns();

    if (now_ns < publish_ns || !discovery_differs(segment))
        return false;
    publish_ns = now_ns + PUBLISH_PAUSE_NS;
    return true;
}

/*
 * Names are to be looked up again: at the last second of their time, and after an endpoint's
 * failure soon, then less and less often.
 */
static bool names_are_due(const struct segment *segment)
{
    static uint64_t looked_ns, pause_ns, next_event; /* of the prober alone */
    uint64_t now_ns = clock_coarse_ns(), refresh_ns;
    struct bank_view view;
    struct event event;

    if (!bank_open(segment, &view))
        return false;
    refresh_ns = bank_refresh_ns(&view);
    if (!bank_valid(&view) || refresh_ns == 0)
        return false;
    if (looked_ns == 0) {
        looked_ns = now_ns;
        pause_ns = refresh_ns;
    }
    while (event_next_failure(segment, &next_event, &event))
        pause_ns = PUBLISH_PAUSE_NS;
    if (now_ns - looked_ns + TICK_NS <= pause_ns)
        return false;
    looked_ns = now_ns;
    pause_ns = pause_ns < refresh_ns / 2 ? 2 * pause_ns : refresh_ns;
    return true;
}

/* ---- as an errand ---- */

static void publish_again(void)
{
    static struct place place; /* 3 KiB; of the errands' thread alone */
    static char config[PATH_TEXT];
    const char *why;

    if (environment_config(config) && environment_place(&place, config, false, &why) == 0)
        renew_publish(&place, config, false, true, RENEW_MS);
}

void renew_where_due(const struct segment *segment)
{
    static char config[PATH_TEXT]; /* of the prober alone */

    /* What is due is known once: it is asked when something can be done about it. */
    if (!errand_is_free() || !environment_config(config))
        return;
    if (file_has_changed(segment, config) || password_is_refused(segment) ||
        servers_have_changed(segment) || names_are_due(segment))
        errand_begin(publish_again);
}

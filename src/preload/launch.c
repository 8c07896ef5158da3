#include "preload/launch.h"

#include "base/clock.h"
#include "base/log.h"
#include "preload/environment.h"
#include "preload/errand.h"
#include "preload/spawn.h"
#include "state/bank.h"

#define PAUSE_NS     NS_PER_S        /* after a start that seemed to go well */
#define BAD_PAUSE_NS (30 * NS_PER_S) /* after one that failed */

enum { WAIT_MS = 500 };

static atomic_u64 next_ns; /* CLOCK_BOOTTIME; not tried before. By whoever is at it; relaxed */

bool launch_is_wanted(const struct segment *segment)
{
    struct bank_view view;
    uint32_t monitor;

    if (!bank_open(segment, &view))
        return false;
    monitor = bank_monitor(&view);
    return (monitor == MONITOR_PROCESS || (monitor == MONITOR_AUTO && bank_needs_program(&view))) &&
           bank_valid(&view);
}

/* The errand. */
static void start_monitor(void)
{
    static struct place place; /* 3 KiB; of the errands' thread alone */
    static char config[PATH_TEXT];
    const char *why;
    bool started = environment_config(config) &&
                   environment_place(&place, config, false, &why) == 0 &&
                   spawn_monitor(&place, config, WAIT_MS);

    log_info("monitor: %s", started ? "started" : "cannot be started");
    if (started)
        store_relaxed(&next_ns, clock_boot_ns() + PAUSE_NS);
}

void launch_where_needed(const struct segment *segment, uint64_t now_ns)
{
    if (now_ns < load_relaxed(&next_ns) || !errand_is_free() || !launch_is_wanted(segment))
        return;
    store_relaxed(&next_ns, now_ns + BAD_PAUSE_NS);
    if (!spawn_orphans_go_to_init()) {
        log_info("no monitor is started: its end would be this process's business");
        return;
    }
    if (!errand_begin(start_monitor))
        store_relaxed(&next_ns, now_ns + PAUSE_NS);
}

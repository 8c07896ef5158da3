#include "preload/launch.h"

#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "preload/environment.h"
#include "preload/errand.h"
#include "preload/spawn.h"
#include "state/bank.h"

#define PAUSE_NS     NS_PER_S        /* after a start that seemed to go well */
#define BAD_PAUSE_NS (30 * NS_PER_S) /* after one that failed */

enum { WAIT_MS = 500 };

/* The number that Linux gives the first pid namespace (PROC_PID_INIT_INO). */
#define FIRST_NAMESPACE "pid:[4026531836]"

static bool is_wanted(const struct segment *segment)
{
    struct bank_view view;
    uint32_t monitor;

    if (!bank_open(segment, &view))
        return false;
    monitor = bank_monitor(&view);
    return (monitor == MONITOR_PROCESS || (monitor == MONITOR_AUTO && bank_needs_program(&view))) &&
           bank_valid(&view);
}

static bool orphans_go_elsewhere(void)
{
    char namespace[32] = "";
    int reaps = 0;

    if (getpid() == 1 || prctl(PR_GET_CHILD_SUBREAPER, &reaps, 0, 0, 0) != 0 || reaps)
        return false;
    return readlink("/proc/self/ns/pid", namespace, sizeof(namespace) - 1) > 0 &&
           text_equal(namespace, FIRST_NAMESPACE);
}

static atomic_u64 next_ns; /* CLOCK_BOOTTIME; not tried before. By whoever is at it; relaxed */

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
    if (now_ns < load_relaxed(&next_ns) || !errand_is_free() || !is_wanted(segment))
        return;
    store_relaxed(&next_ns, now_ns + BAD_PAUSE_NS);
    if (!orphans_go_elsewhere()) {
        log_info("no monitor is started: its end would be this process's business");
        return;
    }
    if (!errand_begin(start_monitor))
        store_relaxed(&next_ns, now_ns + PAUSE_NS);
}

#include "preload/prober.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "health/health.h"
#include "preload/background.h"
#include "preload/launch.h"
#include "preload/renew.h"
#include "preload/shim.h"
#include "state/lease.h"

enum {
    BAN_S = 10, /* after a local failure (EMFILE, ENOMEM…) another process shall try */
};

/* +1 whenever a steered call found the host without a prober or a deputy. */
static atomic_u32 kicks;

/*
 * The prober sleeps for want of a post. Sequentially consistent on both sides: it says so and then
 * looks at `kicks` once more, who kicks raises that and then asks; one of the two sees the other.
 */
static atomic_bool idle;

void prober_kick(void)
{
    atomic_fetch_add_explicit(&kicks, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&idle, memory_order_seq_cst))
        syscall(SYS_futex, &kicks, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void sleep_until_kicked(uint32_t seen)
{
    atomic_store_explicit(&idle, true, memory_order_seq_cst);
    syscall(SYS_futex, &kicks, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    atomic_store_explicit(&idle, false, memory_order_relaxed);
}

static void stay_away(void)
{
    const struct timespec ban = {.tv_sec = BAN_S};

    nanosleep(&ban, NULL);
}

/* What the one that checks for all has to do besides. */
static void once_a_second(void *segment)
{
    launch_where_needed(segment, clock_boot_ns()); /* seldom; else it would find the thread busy */
    renew_where_due(segment);
}

/* One candidacy: probes while it holds the lease, waits while it is deputy, else gives up. */
static void stand(const struct segment *segment, const char *secrets)
{
    static const atomic_bool never;
    struct contender self;

    if (lease_enter(&self, segment, LEASE_THREAD, clock_boot_ns()) != 0)
        return;
    while (!segment_superseded(segment)) {
        int error;

        if (lease_take(&self, clock_boot_ns())) {
            log_info("prober: holds the lease");
            error = health_run_ticking(&self, secrets, &never, once_a_second,
                                       (void *)(uintptr_t)segment);
            log_info("prober: lease lost (error %d)", -error);
            if (error) {
                lease_leave(&self);
                stay_away();
                return;
            }
        } else if (lease_is_deputy(&self) || lease_deputise(&self, clock_boot_ns())) {
            lease_beat(&self, clock_boot_ns());
            lease_await(&self, LEASE_NS + LEASE_NS / 4);
        } else {
            break;
        }
    }
    lease_leave(&self);
}

void prober_run(void)
{
    if (!background_own_descriptors()) {
        /* Probes in the program's own table could end up writing into its files. */
        log_info("prober: none here, the kernel gives a thread no descriptors of its own");
        return;
    }
    for (;;) {
        uint32_t seen = atomic_load_explicit(&kicks, memory_order_relaxed);
        const struct segment *segment = shim_segment_in_force(CALLER_SOCKET);

        if (!segment)
            return;
        stand(segment, shim_secrets_path());
        sleep_until_kicked(seen);
    }
}

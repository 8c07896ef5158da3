#include "cli/prober.h"

#include <errno.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "health/health.h"
#include "state/lease.h"

enum { PAUSE_MS = 50, AWAY_MS = 10000 };

static bool stopped(const struct prober *prober)
{
    return atomic_load_explicit(&prober->stop, memory_order_relaxed);
}

static void pause_ms(const struct prober *prober, unsigned ms)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * (long)NS_PER_MS};

    for (unsigned waited = 0; waited < ms && !stopped(prober); waited += PAUSE_MS)
        nanosleep(&pause, NULL);
}

static void tell(struct prober *prober, int error, const char *why)
{
    atomic_store(&prober->why, why);
    atomic_store(&prober->error, -error);
}

/* Behind another monitor: as its deputy, who learns of its death at once, or behind that one. */
static void await_turn(const struct prober *prober, struct contender *self)
{
    if (lease_is_deputy(self) || lease_deputise(self, clock_boot_ns()))
        lease_await(self, PAUSE_MS * NS_PER_MS);
    else
        pause_ms(prober, PAUSE_MS);
}

/* Until told to stop, or the segment is no longer the one in use. */
static void contend(struct prober *prober, struct contender *self)
{
    while (!stopped(prober) && !segment_superseded(self->segment)) {
        int error;

        if (!lease_take(self, clock_boot_ns())) {
            lease_beat(self, clock_boot_ns());
            await_turn(prober, self);
            continue;
        }
        atomic_store(&prober->term, self->epoch);
        error = health_run(self, prober->place->secrets, &prober->stop);
        atomic_store(&prober->term, 0);
        if (error == 0)
            continue;
        tell(prober, error, "cannot check; trying again in 10 s");
        lease_leave(self);
        pause_ms(prober, AWAY_MS);
        return;
    }
    lease_leave(self);
}

static void work(struct prober *prober)
{
    struct segment segment = {0};
    struct contender self;
    const char *why = "";
    int error = segment_attach(&segment, prober->place, &why);

    if (!error) {
        error = lease_enter(&self, &segment, LEASE_PROCESS, clock_boot_ns());
        why = "cannot contend for the lease";
        if (!error)
            contend(prober, &self);
        segment_detach(&segment);
    }
    if (error) {
        tell(prober, error, why);
        pause_ms(prober, 1000);
    }
}

static void *run(void *argument)
{
    struct prober *prober = argument;

    while (!stopped(prober))
        work(prober);
    return NULL;
}

/* One connection per endpoint, and there may be thousands. */
static void allow_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int prober_start(struct prober *prober, const struct place *place)
{
    *prober = (struct prober){.place = place};
    allow_descriptors();
    return -pthread_create(&prober->thread, NULL, run, prober);
}

void prober_stop(struct prober *prober)
{
    atomic_store(&prober->stop, true);
    pthread_join(prober->thread, NULL);
}

bool prober_holds(const struct prober *prober)
{
    return prober_term(prober) != 0;
}

uint32_t prober_term(const struct prober *prober)
{
    return atomic_load(&prober->term);
}

int prober_error(struct prober *prober, const char **why)
{
    int error = atomic_exchange(&prober->error, 0);

    *why = atomic_load(&prober->why);
    return error;
}

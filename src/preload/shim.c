#include "preload/shim.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hints.h"
#include "base/log.h"
#include "base/text.h"
#include "policy/verdict.h"
#include "preload/background.h"
#include "preload/process.h"
#include "preload/real.h"
#include "preload/spawn.h"
#include "state/bank.h"
#include "state/discovery.h"
#include "state/events.h"
#include "state/publish.h"

#define TICK_NS          NS_PER_S /* from call to call of shim_follow_file() */
#define PUBLISH_PAUSE_NS NS_PER_S /* for servers that were found: it may be in vain */

enum {
    SEGMENTS_MAX = 8, /* the first, and those that superseded it while the process lives */
    RETRY_MS = 10 * 1000,
    SOON_MS = 100,     /* until another look costs little and may find more */
    WAIT_MS = 500,     /* for a publication */
    RENEW_MS = 5000,   /* for one that no connection waits for */
    LOOK_AGAIN_S = 10, /* at names that did not resolve, and passwords that are refused */
};

enum shim_state { NEW, STARTING, READY, OFF };

_Atomic(const struct segment *) shim_current;

/*
 * NEW -> STARTING by CAS; the winner fills in the environment and stores READY or OFF (release;
 * partner: the acquire in started()). OFF is final. Who meets STARTING passes through.
 */
static _Atomic(int) state;

static struct {
    char config[PATH_TEXT]; /* $REDISTEER_CONFIG, or "" to search */
    char xdg_config[PATH_TEXT];
    char runtime_dir[PATH_TEXT];
    char log[PATH_TEXT + 32]; /* "REDISTEER_LOG=…", or "" */
    char instance[INSTANCE_TEXT];
    char program[2][PROGRAM_TEXT]; /* base names: as called, as installed */
} environment;

/* Why an attachment came to nothing decides when it is worth another try. */
enum attempt_end { ATTACHED, FAILED_HERE, NOT_YET };

static struct segment segments[SEGMENTS_MAX];
static unsigned segment_count; /* under `attaching` */

/* The thread that is attaching, known by the address of its errno; 0 = nobody. Taken by CAS. */
static _Atomic(uintptr_t) attaching;
static atomic_u64 next_try_ns; /* CLOCK_MONOTONIC_COARSE */

/*
 * The publisher's thread has something to do. Set by the prober and cleared by that thread, each
 * with release; partner: the other's acquire. `errands` is the futex that it sleeps on.
 */
static atomic_bool renewing;
static atomic_u32 errands;

static char secrets_path[sizeof(((struct place *)0)->secrets)]; /* written under `attaching` */

static const char *base_name(const char *path)
{
    const char *base = path;

    for (const char *c = path; *c; c++)
        if (*c == '/')
            base = c + 1;
    return base;
}

/* What is set and cannot be held is as bad as a wrong path: false, and the library stays off. */
static bool keep(char *to, size_t size, const char *name)
{
    const char *value = getenv(name);

    return text_copy(to, size, value ? value : "");
}

/* A relative path is one from where the program was started, wherever it goes to later. */
static bool keep_path(char to[static PATH_TEXT], const char *name)
{
    const char *value = getenv(name);
    size_t length;

    if (!value || value[0] == '/' || value[0] == '\0')
        return keep(to, PATH_TEXT, name);
    if (!getcwd(to, PATH_TEXT))
        return false;
    length = strnlen(to, PATH_TEXT);
    return text_format(to + length, PATH_TEXT - length, "/%s", value) ==
           1 + strnlen(value, PATH_TEXT);
}

static bool read_environment(void)
{
    const char *disable = getenv("REDISTEER_DISABLE");
    const char *log = getenv("REDISTEER_LOG");
    char exe[PATH_TEXT] = "";
    ssize_t length;

    if (disable && *disable && !text_equal(disable, "0"))
        return false;
    log_open(log);
    if (log)
        text_format(environment.log, sizeof(environment.log), "REDISTEER_LOG=%s", log);
    spawn_environment(environment.log);
    if (!keep_path(environment.config, "REDISTEER_CONFIG") ||
        !keep(environment.xdg_config, sizeof(environment.xdg_config), "XDG_CONFIG_HOME") ||
        !keep(environment.runtime_dir, sizeof(environment.runtime_dir), "REDISTEER_RUNTIME_DIR") ||
        !keep(environment.instance, sizeof(environment.instance), "REDISTEER_INSTANCE")) {
        log_error("off: a path or name in the environment is too long");
        return false;
    }
    text_copy(environment.program[0], PROGRAM_TEXT, program_invocation_short_name);
    length = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (length > 0)
        exe[length] = '\0';
    text_copy(environment.program[1], PROGRAM_TEXT, base_name(exe));
    /* Our own program resolves endpoints' names: it must see the world as it is. */
    return !text_equal(environment.program[1], "redisteer");
}

/* In a forked child: whichever thread was attaching is not there any more. */
static void forget_attaching(void)
{
    atomic_store_explicit(&attaching, 0, memory_order_relaxed);
    atomic_store_explicit(&renewing, false, memory_order_relaxed);
    background_forget();
}

/* True when the hooks may act. Runs once, from the constructor or from a hook that comes before it.
 */
static bool started(void)
{
    int seen = atomic_load_explicit(&state, memory_order_acquire);

    if (seen == NEW) {
        if (!atomic_compare_exchange_strong_explicit(&state, &seen, STARTING, memory_order_relaxed,
                                                     memory_order_relaxed))
            return false;
        real_resolve();
        process_arm(forget_attaching);
        /* AT_SECURE: the environment is the caller's, the rights are not. */
        seen = !getauxval(AT_SECURE) && read_environment() ? READY : OFF;
        atomic_store_explicit(&state, seen, memory_order_release);
    }
    return seen == READY;
}

__attribute__((constructor)) static void construct(void)
{
    int saved = errno;

    started();
    errno = saved;
}

/* The configuration file this process is to use; false: there is none. */
static bool find_config(char path[static PATH_TEXT])
{
    static const char fallback[] = "/etc/redisteer/redisteer.conf";

    if (environment.config[0])
        return text_copy(path, PATH_TEXT, environment.config);
    if (environment.xdg_config[0] == '/') {
        size_t length =
            text_format(path, PATH_TEXT, "%s/redisteer/redisteer.conf", environment.xdg_config);

        if (length + 1 < PATH_TEXT && access(path, F_OK) == 0)
            return true;
    }
    text_copy(path, PATH_TEXT, fallback);
    return access(path, F_OK) == 0;
}

static bool listed(char list[][PROGRAM_TEXT], uint32_t count)
{
    for (uint32_t i = 0; i < count && i < PROGRAMS_MAX; i++)
        if (text_equal(list[i], environment.program[0]) ||
            text_equal(list[i], environment.program[1]))
            return true;
    return false;
}

/* programs { only skip } */
static bool program_is_wanted(const struct segment *segment)
{
    static struct bank front; /* 4 KiB: not on a stranger's stack; under `attaching` */
    struct bank_view view;

    for (unsigned tries = 0; tries < 3; tries++) {
        if (!bank_open(segment, &view))
            return true;
        bank_front(&view, &front);
        if (bank_valid(&view))
            return (front.only_count == 0 || listed(front.only, front.only_count)) &&
                   !listed(front.skip, front.skip_count);
    }
    return true;
}

static bool lacks_sentinels(const struct bank_view *view)
{
    static struct discover_settings discover; /* see above */
    bool lacks = false;

    for (uint32_t i = 0; !lacks && bank_discover(view, i, &discover); i++)
        for (uint32_t j = 0; j < discover.count && j < SENTINELS_MAX; j++)
            lacks = lacks || discover.sentinels[j].port == 0;
    return lacks;
}

/* An endpoint or a Sentinel has had no address since it was published, and that is a while ago. */
static bool lacks_addresses(const struct segment *segment)
{
    static struct bank front; /* see above */
    static struct endpoint_settings endpoint;
    struct bank_view view;
    bool lacks = false;

    if (!bank_open(segment, &view))
        return false;
    bank_front(&view, &front);
    for (uint32_t i = 0; !lacks && bank_endpoint(&view, i, &endpoint); i++)
        lacks = endpoint.address_count == 0;
    lacks = lacks || lacks_sentinels(&view);
    return lacks && bank_valid(&view) &&
           clock_wall_ns() - front.published_wall_ns > LOOK_AGAIN_S * NS_PER_S;
}

/* It has just been published, and whoever did it is asking the Sentinels of a service that has no
 * endpoint yet. */
static bool lacks_servers(const struct segment *segment)
{
    static struct bank front; /* see above */
    static struct service_settings service;
    struct bank_view view;
    bool lacks = false;

    if (!bank_open(segment, &view))
        return false;
    bank_front(&view, &front);
    for (uint32_t i = 0; !lacks && bank_service(&view, i, &service); i++)
        lacks = service.discover != 0 && service.endpoint_count == 0;
    return lacks && bank_valid(&view) && clock_wall_ns() - front.published_wall_ns < NS_PER_S;
}

/*
 * The segment is not there, no good, or lacks addresses. Has it published by a child, or waits for
 * whoever is at it. ATTACHED: worth another look.
 */
static enum attempt_end have_published(const struct place *place, const char *config, bool missing,
                                       bool may_spawn, unsigned wait_ms)
{
    struct file_stamp stamp;
    int error = file_stamp_read(config, &stamp);

    if (error) {
        log_info("off: cannot see %s (errno %d)", config, -error);
        return FAILED_HERE;
    }
    if (publish_failed_before(place, &stamp)) {
        log_warn("off: %s could not be published before; see `redisteer check`", config);
        return FAILED_HERE;
    }
    if (!may_spawn) {
        log_info("not published: this call may not start a child (signal handler, vfork child or "
                 "seccomp filter)");
        return NOT_YET;
    }
    switch (spawn_publisher(place, config, missing, wait_ms)) {
    case SPAWN_DONE:
        return ATTACHED;
    case SPAWN_LATER:
        return NOT_YET;
    case SPAWN_IN_VAIN:
        break;
    }
    return FAILED_HERE;
}

/* Fills in the next of `segments`. Under `attaching`. */
static enum attempt_end attach(bool may_spawn)
{
    static struct place place; /* 3 KiB: not on a stranger's stack */
    static char config[PATH_TEXT];
    struct segment *segment = &segments[segment_count];
    enum attempt_end end;
    const char *why;
    int error;

    if (segment_count == SEGMENTS_MAX || !find_config(config)) {
        log_debug("off: %s",
                  segment_count == SEGMENTS_MAX ? "superseded too often" : "no configuration file");
        return FAILED_HERE;
    }
    struct place_request request = {
        .runtime_dir = environment.runtime_dir[0] ? environment.runtime_dir : NULL,
        .instance = environment.instance[0] ? environment.instance : NULL,
        .config = config,
        .create = true,
    };

    error = place_find(&place, &request, &why);
    if (error) {
        log_warn("off: %s (errno %d)", why, -error);
        return FAILED_HERE;
    }
    error = segment_attach(segment, &place, &why);
    if (error) {
        log_info("%s: %s (errno %d)", place.segment, why, -error);
        end = have_published(&place, config, error == -ENOENT, may_spawn, WAIT_MS);
        if (end != ATTACHED)
            return end;
        error = segment_attach(segment, &place, &why);
    } else if (may_spawn && lacks_addresses(segment)) {
        have_published(&place, config, false, may_spawn, WAIT_MS);
    } else if (may_spawn && lacks_servers(segment)) {
        have_published(&place, config, true, may_spawn, WAIT_MS);
    }
    if (error) {
        log_warn("off: %s: %s (errno %d)", place.segment, why, -error);
        return FAILED_HERE;
    }
    segment_count++;
    text_copy(secrets_path, sizeof(secrets_path), place.secrets);
    if (!program_is_wanted(segment)) {
        log_info("off: programs { only skip } leave out %s", environment.program[1]);
        atomic_store_explicit(&state, OFF, memory_order_release);
        return FAILED_HERE;
    }
    log_info("attached to %s%s", place.segment, segment->writable ? "" : " (read-only)");
    return ATTACHED;
}

/* Waits for the thread that is attaching; a hook within that thread's own call goes on unsteered.
 */
static const struct segment *await_other_thread(uintptr_t self)
{
    const struct timespec pause = {0, NS_PER_MS};
    uintptr_t other = self;

    for (unsigned i = 0; i < WAIT_MS; i++) {
        other = atomic_load_explicit(&attaching, memory_order_acquire);
        if (other == 0 || other == self)
            break;
        nanosleep(&pause, NULL);
    }
    if (other != 0 && other != self) /* nobody waits twice */
        store_relaxed(&next_try_ns, clock_coarse_ns() + RETRY_MS * NS_PER_MS);
    return atomic_load_explicit(&shim_current, memory_order_acquire);
}

static bool may_try(void)
{
    return clock_coarse_ns() >= load_relaxed(&next_try_ns) && process_is_ours();
}

/*
 * Attaches, or waits for the thread that does. Signals are blocked and cancellation is off from
 * before `attaching` is taken until after it is released: neither a handler's siglongjmp nor a
 * cancelled thread may leave it taken for ever.
 */
static const struct segment *attach_undisturbed(enum shim_caller caller)
{
    static const unsigned retry_ms[] = {
        [ATTACHED] = 0, [FAILED_HERE] = RETRY_MS, [NOT_YET] = SOON_MS};
    uintptr_t self = (uintptr_t)&errno, nobody = 0;
    enum attempt_end end;
    sigset_t all, before;
    int cancellable;
    bool taken;

    sigfillset(&all);
    before = all; /* a sandbox may not tell */
    sigprocmask(SIG_BLOCK, &all, &before);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellable);
    taken = atomic_compare_exchange_strong_explicit(&attaching, &nobody, self, memory_order_acquire,
                                                    memory_order_relaxed);
    if (taken) {
        end = attach(process_may_spawn(caller == CALLER_RESOLVER, &before));
        if (end == ATTACHED)
            atomic_store_explicit(&shim_current, &segments[segment_count - 1],
                                  memory_order_release);
        else
            store_relaxed(&next_try_ns, clock_coarse_ns() + retry_ms[end] * NS_PER_MS);
        atomic_store_explicit(&attaching, 0, memory_order_release);
    }
    pthread_setcancelstate(cancellable, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return taken ? atomic_load_explicit(&shim_current, memory_order_acquire)
                 : await_other_thread(self);
}

const struct segment *shim_attach(enum shim_caller caller)
{
    int saved = errno;
    const struct segment *segment = started() && may_try() ? attach_undisturbed(caller) : NULL;

    errno = saved;
    return segment;
}

HOT const struct segment *shim_segment_in_force(enum shim_caller caller)
{
    const struct segment *segment = shim_segment(caller);
    int saved = errno;

    /* A superseded segment still steers until there is another. */
    if (segment && segment_superseded(segment) && may_try())
        segment = attach_undisturbed(caller);
    errno = saved;
    return segment;
}

const char *shim_secrets_path(void)
{
    return secrets_path;
}

/* The file is not what was published. Under `attaching`. */
static bool file_has_changed(const struct segment *segment, const char *config)
{
    static struct bank front; /* see above */
    struct file_stamp stamp, published;
    struct bank_view view;

    if (!bank_open(segment, &view))
        return false;
    bank_front(&view, &front);
    published = (struct file_stamp){front.file_mtime_ns, front.file_size, front.file_inode};
    return bank_valid(&view) && file_stamp_read(config, &stamp) == 0 &&
           !file_stamp_equal(&stamp, &published);
}

/* A password that is refused may have been changed in its file, which only a publisher reads. */
static bool password_is_refused(const struct segment *segment)
{
    static uint64_t next_look_ns; /* under `attaching` */
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
    static uint64_t publish_ns; /* under `attaching` */
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
    static uint64_t looked_ns, pause_ns, next_event; /* under `attaching` */
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

/* ---- the publisher's thread ---- */

static void publish_again(void)
{
    static struct place place; /* 3 KiB; of this thread alone */
    static char config[PATH_TEXT];
    const char *why;

    if (!find_config(config))
        return;
    struct place_request request = {
        .runtime_dir = environment.runtime_dir[0] ? environment.runtime_dir : NULL,
        .instance = environment.instance[0] ? environment.instance : NULL,
        .config = config,
    };

    if (place_find(&place, &request, &why) == 0)
        have_published(&place, config, false, true, RENEW_MS);
}

void shim_publisher_run(void)
{
    for (;;) {
        uint32_t seen = atomic_load_explicit(&errands, memory_order_acquire);

        if (atomic_load_explicit(&renewing, memory_order_acquire)) {
            publish_again();
            atomic_store_explicit(&renewing, false, memory_order_release);
        } else {
            syscall(SYS_futex, &errands, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
        }
    }
}

static void renew(void)
{
    atomic_store_explicit(&renewing, true, memory_order_release);
    atomic_fetch_add_explicit(&errands, 1, memory_order_release);
    if (background_publisher())
        syscall(SYS_futex, &errands, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    else
        atomic_store_explicit(&renewing, false,
                              memory_order_relaxed); /* a later tick tries again */
}

void shim_follow_file(void *segment)
{
    static char config[PATH_TEXT]; /* see above */
    uintptr_t self = (uintptr_t)&errno, nobody = 0;
    bool due;

    /* Acquire; partner: the release of the publisher's thread. */
    if (atomic_load_explicit(&renewing, memory_order_acquire) ||
        !atomic_compare_exchange_strong_explicit(&attaching, &nobody, self, memory_order_acquire,
                                                 memory_order_relaxed))
        return;
    due =
        find_config(config) && (file_has_changed(segment, config) || password_is_refused(segment) ||
                                servers_have_changed(segment) || names_are_due(segment));
    atomic_store_explicit(&attaching, 0, memory_order_release);
    if (due)
        renew();
}

bool shim_start_monitor(void)
{
    static struct place place; /* see above */
    static char config[PATH_TEXT];
    uintptr_t self = (uintptr_t)&errno, nobody = 0;
    bool started = false;
    const char *why;

    if (!atomic_compare_exchange_strong_explicit(&attaching, &nobody, self, memory_order_acquire,
                                                 memory_order_relaxed))
        return false;
    if (find_config(config)) {
        struct place_request request = {
            .runtime_dir = environment.runtime_dir[0] ? environment.runtime_dir : NULL,
            .instance = environment.instance[0] ? environment.instance : NULL,
            .config = config,
        };

        started = place_find(&place, &request, &why) == 0 && spawn_monitor(&place, config, WAIT_MS);
    }
    atomic_store_explicit(&attaching, 0, memory_order_release);
    return started;
}

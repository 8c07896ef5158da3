#include "preload/shim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "preload/process.h"
#include "preload/real.h"
#include "preload/spawn.h"
#include "state/bank.h"
#include "state/publish.h"

enum {
    SEGMENTS_MAX = 8, /* the first, and those that superseded it while the process lives */
    RETRY_SECONDS = 10,
    SUPERSEDED_RETRY_MS = 500,
    WAIT_MS = 500, /* for someone else's publication */
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
    char instance[INSTANCE_TEXT];
    char program[2][PROGRAM_TEXT]; /* base names: as called, as installed */
} environment;

static struct segment segments[SEGMENTS_MAX];
static unsigned segment_count; /* under `attaching` */

/* The thread that is attaching, known by the address of its errno; 0 = nobody. Taken by CAS. */
static _Atomic(uintptr_t) attaching;
static atomic_u64 next_try_ns; /* CLOCK_MONOTONIC_COARSE */

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

static bool read_environment(void)
{
    const char *disable = getenv("REDISTEER_DISABLE");
    char exe[PATH_TEXT] = "";
    ssize_t length;

    if (disable && *disable && !text_equal(disable, "0"))
        return false;
    log_open(getenv("REDISTEER_LOG"));
    if (!keep(environment.config, sizeof(environment.config), "REDISTEER_CONFIG") ||
        !keep(environment.xdg_config, sizeof(environment.xdg_config), "XDG_CONFIG_HOME") ||
        !keep(environment.runtime_dir, sizeof(environment.runtime_dir), "REDISTEER_RUNTIME_DIR") ||
        !keep(environment.instance, sizeof(environment.instance), "REDISTEER_INSTANCE")) {
        log_error("off: a REDISTEER_ variable is too long");
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

    if (environment.config[0] == '/')
        return text_copy(path, PATH_TEXT, environment.config);
    if (environment.config[0]) {
        size_t length;

        if (!getcwd(path, PATH_TEXT))
            return false;
        length = strnlen(path, PATH_TEXT);
        return text_format(path + length, PATH_TEXT - length, "/%s", environment.config) ==
               1 + strnlen(environment.config, PATH_TEXT);
    }
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

/*
 * The segment is not there, or no good. Has it published by a child, or waits for whoever is at it.
 * True: worth another look.
 */
static bool have_published(const struct place *place, const char *config, bool missing,
                           enum shim_caller caller)
{
    struct file_stamp stamp;
    int error = file_stamp_read(config, &stamp);

    if (error) {
        log_info("off: cannot see %s (errno %d)", config, -error);
        return false;
    }
    if (publish_failed_before(place, &stamp)) {
        log_warn("off: %s could not be published before; see `redisteer check`", config);
        return false;
    }
    if (!process_may_spawn(caller == CALLER_RESOLVER)) {
        log_info("not published: this call may not start a child (signal handler, vfork child or "
                 "seccomp filter)");
        return false;
    }
    return spawn_publisher(place, config, missing, WAIT_MS);
}

/* Under `attaching`. */
static const struct segment *attach(enum shim_caller caller)
{
    static struct place place; /* 3 KiB: not on a stranger's stack */
    char config[PATH_TEXT];
    const char *why = "no configuration file";
    struct segment *segment = &segments[segment_count];
    int error;

    if (segment_count == SEGMENTS_MAX || !find_config(config)) {
        log_debug("off: %s", segment_count == SEGMENTS_MAX ? "superseded too often" : why);
        return NULL;
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
        return NULL;
    }
    error = segment_attach(segment, &place, &why);
    if (error) {
        log_info("%s: %s (errno %d)", place.segment, why, -error);
        if (!have_published(&place, config, error == -ENOENT, caller))
            return NULL;
        error = segment_attach(segment, &place, &why);
    }
    if (error) {
        log_warn("off: %s: %s (errno %d)", place.segment, why, -error);
        return NULL;
    }
    segment_count++;
    if (!program_is_wanted(segment)) {
        log_info("off: programs { only skip } leave out %s", environment.program[1]);
        atomic_store_explicit(&state, OFF, memory_order_release);
        return NULL;
    }
    log_info("attached to %s%s", place.segment, segment->writable ? "" : " (read-only)");
    return segment;
}

/* Waits for the thread that is attaching; a hook within that thread's own call goes on unsteered.
 */
static const struct segment *await_other_thread(uintptr_t self)
{
    const struct timespec pause = {0, NS_PER_MS};
    uintptr_t other;

    for (unsigned i = 0; i < WAIT_MS; i++) {
        other = atomic_load_explicit(&attaching, memory_order_acquire);
        if (other == 0 || other == self)
            break;
        nanosleep(&pause, NULL);
    }
    return atomic_load_explicit(&shim_current, memory_order_acquire);
}

const struct segment *shim_attach(enum shim_caller caller)
{
    int saved = errno;
    uintptr_t self = (uintptr_t)&errno, nobody = 0;
    const struct segment *segment;

    if (!started() || clock_coarse_ns() < load_relaxed(&next_try_ns) || !process_is_ours()) {
        errno = saved;
        return NULL;
    }
    if (atomic_compare_exchange_strong_explicit(&attaching, &nobody, self, memory_order_acquire,
                                                memory_order_relaxed)) {
        segment = atomic_load_explicit(&shim_current, memory_order_relaxed);
        if (!segment)
            segment = attach(caller);
        if (!segment)
            store_relaxed(&next_try_ns, clock_coarse_ns() + RETRY_SECONDS * NS_PER_S);
        atomic_store_explicit(&shim_current, segment, memory_order_release);
        atomic_store_explicit(&attaching, 0, memory_order_release);
    } else {
        segment = await_other_thread(self);
    }
    errno = saved;
    return segment;
}

const struct segment *shim_segment_in_force(enum shim_caller caller)
{
    const struct segment *segment = shim_segment(caller), *newer = NULL;
    uintptr_t self = (uintptr_t)&errno, nobody = 0;
    int saved = errno;

    if (!segment || !segment_superseded(segment) ||
        clock_coarse_ns() < load_relaxed(&next_try_ns) || !process_is_ours())
        return segment;
    if (atomic_compare_exchange_strong_explicit(&attaching, &nobody, self, memory_order_acquire,
                                                memory_order_relaxed)) {
        newer = attach(caller);
        if (newer)
            atomic_store_explicit(&shim_current, newer, memory_order_release);
        else /* the old one still steers */
            store_relaxed(&next_try_ns, clock_coarse_ns() + SUPERSEDED_RETRY_MS * NS_PER_MS);
        atomic_store_explicit(&attaching, 0, memory_order_release);
    }
    errno = saved;
    return newer ? newer : segment;
}

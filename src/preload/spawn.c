#include "preload/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "preload/symbols.h"

enum {
    STACK_SIZE = 64 * 1024,
    TICK_MS = 1,
    TICK_MOST_MS = 32,
    TRY_AGAIN_S = 10,
    ORPHANED = 64,  /* signal to the shepherd, when the thread that waits for it is gone */
    NSIG_BYTES = 8, /* of a set of signals, to the kernel */
};

extern const char *gnu_get_libc_version(void) __attribute__((weak)); /* musl has none */

#ifndef __WCLONE
#define __WCLONE 0x80000000
#endif

/*
 * How a library starts a child so that its host sees no SIGCHLD, reaps nothing unknown, and keeps
 * its descriptors to itself: the shepherd S is cloned without an exit signal and never execs (exec
 * would give it SIGCHLD); S clones the publisher G, whose parent is S wherever orphans go, waits
 * for it and leaves; the caller reaps S by __WCLONE, which no plain wait() of the host would.
 *
 * Both share the host's memory and, because the caller sleeps in vfork's wait, its thread pointer:
 * they use system calls, their own stacks and this struct, and nothing else.
 */
struct order {
    char *const *arguments;
    char *const *variables;
    const char *program;
    unsigned char *publisher_stack;
    unsigned wait_ms;
    pid_t host;
    bool may_leave; /* what is not done in time may go on alone */
    bool left;      /* and does */
    int status;     /* of G as wait4 gives it; -1: not known */
};

/* How it ended. A bad file has left a marker that holds until the file changes. */
enum end { DONE, BAD_FILE, NO_LUCK, GOES_ON };

static const char *log_variable;

void spawn_environment(const char *variable)
{
    log_variable = variable;
}

static int publisher(void *argument)
{
    const struct order *order = argument;
    const struct sigaction defaults = {.sa_handler = SIG_DFL};
    sigset_t none;
    int fd;

    for (int number = 1; number < NSIG; number++)
        sigaction(number, &defaults, NULL);
    setsid();
    /* All of the host's first: then /dev/null has a number to get, and it is 0. */
    if (syscall(SYS_close_range, 0u, ~0u, 0u) != 0)
        for (int i = 0; i < 1024; i++)
            close(i);
    fd = open("/dev/null", O_RDWR);
    if (fd != 0 || dup2(fd, 1) != 1 || dup2(fd, 2) != 2 || chdir("/") != 0)
        _exit(127);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(order->program, order->arguments, order->variables);
    _exit(127);
}

/* For a tick. True: one of the signals, which are blocked, came. */
static bool doze(const sigset_t *signals)
{
    const struct timespec tick = {0, TICK_MS * NS_PER_MS};

    return syscall(SYS_rt_sigtimedwait, signals, NULL, &tick, NSIG_BYTES) > 0;
}

static int shepherd(void *argument)
{
    struct order *order = argument;
    const struct sigaction defaults = {.sa_handler = SIG_DFL};
    uint64_t deadline = clock_boot_ns() + order->wait_ms * NS_PER_MS;
    sigset_t orphaned;
    pid_t child;

    /* SIGCHLD ignored would have the kernel reap G without telling us. */
    sigaction(SIGCHLD, &defaults, NULL);
    /* Whatever becomes of the host: nobody is left who waits for us. Blocked, as all signals. */
    sigemptyset(&orphaned);
    sigaddset(&orphaned, ORPHANED);
    prctl(PR_SET_PDEATHSIG, ORPHANED);
    if (getppid() != order->host && getppid() != 0) /* 0: in a namespace of pids of its own */
        _exit(0);
    child = clone(publisher, order->publisher_stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | SIGCHLD,
                  order);
    if (child < 0)
        _exit(0);
    for (;;) {
        int status;
        long reaped = syscall(SYS_wait4, child, &status, WNOHANG, NULL);

        if (reaped == child) {
            order->status = status;
            _exit(0);
        }
        if (reaped < 0)
            _exit(0);
        if (clock_boot_ns() >= deadline || doze(&orphaned)) {
            if (order->may_leave) {
                order->left = true;
                _exit(0);
            }
            kill(child, SIGKILL);
            syscall(SYS_wait4, child, &status, 0, NULL);
            _exit(0);
        }
    }
}

bool spawn_orphans_go_to_init(void)
{
    enum { INITIAL_PID_NAMESPACE = 0xEFFFFFFC }; /* PROC_PID_INIT_INO */
    int subreaper = 1;

    return getpid() != 1 && prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0 && subreaper == 0 &&
           place_pid_namespace() == INITIAL_PID_NAMESPACE;
}

/* The program beside the library, in ../bin as an installation has it, or where it was configured.
 */
static bool find_program(char path[static PATH_TEXT])
{
    const char *own = symbol_own_file();
    size_t directory = 0;

    for (size_t i = 0; own && own[i]; i++)
        if (own[i] == '/')
            directory = i;
    if (own && own[0] == '/' && directory + sizeof("/../../bin/redisteer") < PATH_TEXT) {
        static const char *const places[] = {"/redisteer", "/../bin/redisteer",
                                             "/../../bin/redisteer"};

        for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
            text_copy(path, directory + 1, own);
            text_copy(path + directory, PATH_TEXT - directory, places[i]);
            if (access(path, X_OK) == 0)
                return true;
        }
    }
    text_copy(path, PATH_TEXT, REDISTEER_PROGRAM);
    return access(path, X_OK) == 0;
}

/* Before 2.25 glibc's clone() writes into the thread descriptor that CLONE_VM shares with the
 * caller. */
static bool clone_is_harmless(void)
{
    const char *version = gnu_get_libc_version ? gnu_get_libc_version() : "";
    unsigned minor = 0;

    if (!text_starts(version, "2."))
        return true;
    for (const char *c = version + 2; *c >= '0' && *c <= '9'; c++)
        minor = minor * 10 + (unsigned)(*c - '0');
    return minor >= 25;
}

static enum end run(const char *command, const struct place *place, const char *config,
                    unsigned wait_ms)
{
    const char *const variables[] = {"PATH=/usr/bin:/bin:/usr/sbin:/sbin",
                                     log_variable && log_variable[0] ? log_variable : NULL, NULL};
    char program[PATH_TEXT];
    const char *const arguments[] = {
        "redisteer",     command,         "--config",       config, "--instance",
        place->instance, "--runtime-dir", place->directory, NULL,
    };
    unsigned char *stacks;
    sigset_t all, before;
    pid_t child;

    if (!clone_is_harmless()) {
        log_warn("not published: this C library is too old (glibc 2.25)");
        return NO_LUCK;
    }
    if (!find_program(program)) {
        log_warn("not published: no redisteer program beside the library");
        return NO_LUCK;
    }
    stacks = mmap(NULL, 2 * STACK_SIZE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stacks == MAP_FAILED)
        return NO_LUCK;

    struct order order = {
        .arguments = (char *const *)(uintptr_t)arguments,
        .variables = (char *const *)(uintptr_t)variables,
        .program = program,
        .publisher_stack = stacks + STACK_SIZE,
        .wait_ms = wait_ms,
        .host = getpid(),
        .may_leave = spawn_orphans_go_to_init(),
        .status = -1,
    };

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    child = clone(shepherd, stacks + STACK_SIZE, CLONE_VM | CLONE_VFORK, &order);
    if (child > 0) {
        int status;

        while (syscall(SYS_wait4, child, &status, __WCLONE, NULL) < 0 && errno == EINTR)
            ;
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    munmap(stacks, 2 * STACK_SIZE);
    if (child < 0) {
        log_warn("not published: clone failed (errno %d)", errno);
        return NO_LUCK;
    }
    if (order.status == 0)
        return DONE;
    if (order.left) {
        log_info("not published within %u ms: its child goes on", wait_ms);
        return GOES_ON;
    }
    log_warn("publishing %s failed (wait status %d); see `redisteer check`", config, order.status);
    return WIFEXITED(order.status) && WEXITSTATUS(order.status) == 2 ? BAD_FILE : NO_LUCK;
}

/*
 * What the start file says of the last try, by its size and time: a publisher that was killed, or
 * found no room, leaves no other trace, and the whole host waits a while.
 */
static const char TRIED[] = "tried in vain\n", GOING_ON[] = "still at it\n";

/* SPAWN_DONE: nothing speaks against a try. */
static enum spawn_end last_try(const struct place *place)
{
    struct file_stamp stamp;
    uint64_t now = clock_wall_ns();

    if (file_stamp_read(place->start, &stamp) != 0 || stamp.mtime_ns > now ||
        now - stamp.mtime_ns >= TRY_AGAIN_S * NS_PER_S)
        return SPAWN_DONE;
    if (stamp.size == sizeof(GOING_ON) - 1)
        return SPAWN_LATER;
    return stamp.size == 0 ? SPAWN_DONE : SPAWN_IN_VAIN;
}

/* Also that there was one: the file's time is that of the last try. */
static void note_try(int lock, const char *what)
{
    size_t length = strlen(what);

    if (ftruncate(lock, 0) != 0 || write(lock, what, length) != (ssize_t)length ||
        futimens(lock, NULL) != 0)
        log_debug("the start file cannot be written");
}

static enum spawn_end run_noted(int lock, const struct place *place, const char *config,
                                unsigned wait_ms)
{
    enum spawn_end before = last_try(place);

    if (before != SPAWN_DONE) {
        log_info("not published: that was tried less than %d s ago", (int)TRY_AGAIN_S);
        return before;
    }
    switch (run("publish", place, config, wait_ms)) {
    case DONE:
        note_try(lock, "");
        return SPAWN_DONE;
    case GOES_ON:
        note_try(lock, GOING_ON);
        return SPAWN_LATER;
    case NO_LUCK:
        note_try(lock, TRIED);
        break;
    case BAD_FILE:
        note_try(lock, "");
        break;
    }
    return SPAWN_IN_VAIN;
}

/* Waits until the publisher's lock is free: then the segment is there, or the start file says more.
 */
static enum spawn_end await_publisher(const struct place *place, int lock, unsigned wait_ms)
{
    struct timespec tick = {0, TICK_MS * NS_PER_MS};
    uint64_t deadline = clock_boot_ns() + wait_ms * NS_PER_MS;

    while (clock_boot_ns() < deadline) {
        if (flock(lock, LOCK_SH | LOCK_NB) == 0)
            break;
        nanosleep(&tick, NULL);
        /* A thousand programs that wait must leave the publisher a processor. */
        if (tick.tv_nsec < TICK_MOST_MS * (long)NS_PER_MS)
            tick.tv_nsec *= 2;
    }
    if (access(place->segment, F_OK) == 0)
        return SPAWN_DONE;
    /* Nobody tried in vain: whoever is at it, or has just let go, may still succeed. */
    return last_try(place) == SPAWN_IN_VAIN ? SPAWN_IN_VAIN : SPAWN_LATER;
}

enum spawn_end spawn_publisher(const struct place *place, const char *config, bool missing,
                               unsigned wait_ms)
{
    enum spawn_end how;
    int lock = open(place->start, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (lock < 0) {
        log_warn("not published: cannot open %s (errno %d)", place->start, errno);
        return SPAWN_IN_VAIN;
    }
    /* LOCK_SH is what waiters take for a moment, so the one that publishes must insist a little. */
    if (flock(lock, LOCK_EX | LOCK_NB) != 0)
        how = await_publisher(place, lock, wait_ms);
    else if (missing && access(place->segment, F_OK) == 0)
        how = SPAWN_DONE;
    else
        how = run_noted(lock, place, config, wait_ms);
    /* A child forked meanwhile has the descriptor, too; the lock must not live as long as it does.
     */
    flock(lock, LOCK_UN);
    close(lock);
    return how;
}

bool spawn_monitor(const struct place *place, const char *config, unsigned wait_ms)
{
    return run("attend", place, config, wait_ms) == DONE;
}

#include "preload/background.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hints.h"
#include "base/log.h"
#include "preload/errand.h"
#include "preload/guard.h"
#include "preload/launch.h"
#include "preload/process.h"
#include "preload/prober.h"
#include "preload/real.h"
#include "state/bank.h"
#include "state/lease.h"

enum {
    STACK_SIZE = 256 * 1024, /* twice that is a quarter of what a process may give us */
    STACK_LEAST =
        96 * 1024, /* below the first frame; less is left by a host with much static TLS */
    GUARD_PAGE = 4096,
    RETRY_S = 10,
    LOOK_MS = 100, /* a tenth of the lease: a vacant post is seen soon enough */
    ERRANDS_WAIT_S = 3,
};

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif

/*
 * NONE -> RUNNING by CAS of whoever starts it, and back to NONE where that failed, and in a forked
 * child. RUNNING -> NEVER by the thread, when it ends.
 */
enum thread_state { NONE, RUNNING, NEVER };

struct thread {
    _Atomic(int) state;
    background_thread *run;
    const char *name;
};

static struct thread guard = {.run = guard_run, .name = "guard"};
static struct thread prober = {.run = prober_run, .name = "prober"};
static struct thread errands = {.run = errand_run, .name = "errands"};
static atomic_u64 next_try_ns;

/* CLOCK_MONOTONIC_COARSE when the prober first missed the errands' thread; 0: it has not. By the
 * prober, and in a forked child; relaxed. */
static atomic_u64 errands_missed_ns;

HOT_DATA atomic_u64 background_next_look_ns;

static void *enter(void *argument)
{
    struct thread *thread = argument;
    unsigned char *low;

    /* The stack's low end is where its mapping starts; see start(). */
    low = (unsigned char *)(((uintptr_t)__builtin_frame_address(0)) & ~(uintptr_t)(STACK_SIZE - 1));
    if ((unsigned char *)__builtin_frame_address(0) - low < STACK_LEAST + GUARD_PAGE) {
        log_warn("no %s: static TLS leaves it too little stack", thread->name);
    } else {
        thread->run();
    }
    /* What it lacks it would lack again. */
    atomic_store_explicit(&thread->state, NEVER, memory_order_relaxed);
    return NULL;
}

/* A stack aligned to its size, so that a thread can tell where its own begins. */
static void *map_stack(void)
{
    unsigned char *area = mmap(NULL, 2 * STACK_SIZE, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    uintptr_t start, skipped;

    if (area == MAP_FAILED)
        return NULL;
    start = ((uintptr_t)area + STACK_SIZE - 1) & ~(uintptr_t)(STACK_SIZE - 1);
    skipped = start - (uintptr_t)area;
    if (skipped)
        munmap(area, skipped);
    munmap(area + skipped + STACK_SIZE, STACK_SIZE - skipped);
    mprotect(area + skipped, GUARD_PAGE, PROT_NONE);
    return area + skipped;
}

/* With all signals blocked, as they then are in the thread. */
static int start(struct thread *thread)
{
    struct real_threads threads;
    const struct sched_param ordinary = {0};
    pthread_attr_t attributes;
    pthread_t id;
    void *stack;
    int error;

    if (!real_threads(&threads))
        return ENOSYS;
    stack = map_stack();
    if (!stack)
        return ENOMEM;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    /* A host under SCHED_FIFO would have us preempt its own threads. */
    pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attributes, SCHED_OTHER);
    pthread_attr_setschedparam(&attributes, &ordinary);
    error = threads.setstack(&attributes, stack, STACK_SIZE);
    if (!error)
        error = threads.create(&id, &attributes, enter, thread);
    pthread_attr_destroy(&attributes);
    if (error)
        munmap(stack, STACK_SIZE);
    return error;
}

static void start_once(struct thread *thread)
{
    int none = NONE, error;

    if (!atomic_compare_exchange_strong_explicit(&thread->state, &none, RUNNING,
                                                 memory_order_relaxed, memory_order_relaxed))
        return;
    error = start(thread);
    if (!error)
        return;
    log_warn("no %s thread (error %d)", thread->name, error);
    store_relaxed(&next_try_ns, clock_coarse_ns() + RETRY_S * NS_PER_S);
    atomic_store_explicit(&thread->state, NONE, memory_order_relaxed);
}

static void start_undisturbed(struct thread *thread)
{
    struct hush hush;

    process_hush(&hush);
    start_once(thread);
    process_unhush(&hush);
}

/* Or has been, and cannot be. */
static bool is_seen_to(const struct thread *thread)
{
    return atomic_load_explicit(&thread->state, memory_order_relaxed) != NONE;
}

static bool is_running(const struct thread *thread)
{
    return atomic_load_explicit(&thread->state, memory_order_relaxed) == RUNNING;
}

/* `monitor` as the settings have it, which leave less and less to programs. */
static bool monitor_is_at_most(const struct segment *segment, enum monitor most)
{
    struct bank_view view;

    return bank_open(segment, &view) && bank_monitor(&view) <= (uint32_t)most && bank_valid(&view);
}

/* A monitor that others start may be the only one that is to check (monitor = external). */
static bool may_probe(const struct segment *segment)
{
    return segment->writable && monitor_is_at_most(segment, MONITOR_PROCESS);
}

/* Where only a monitor is to check (monitor = process), a thread that holds the lease starts it. */
static bool threads_check(const struct segment *segment)
{
    return monitor_is_at_most(segment, MONITOR_THREAD);
}

/* There is, or is about to be, something for it to do. */
static bool errands_are_wanted(const struct segment *segment, bool prober_starts)
{
    return load_relaxed(&errands_missed_ns) != 0 || (prober_starts && launch_is_wanted(segment));
}

/* True when all are there, as far as they are needed. */
static bool look(const struct segment *segment, enum shim_caller caller, uint64_t now_ns)
{
    bool wanted = lease_wanted(segment, now_ns) && may_probe(segment);
    bool errands_lack =
        !is_seen_to(&errands) && errands_are_wanted(segment, wanted && !is_seen_to(&prober));
    sigset_t blocked;

    if (is_seen_to(&guard) && (!wanted || is_seen_to(&prober)) && !errands_lack) {
        if (wanted)
            prober_kick();
        return true;
    }
    if (clock_coarse_ns() < load_relaxed(&next_try_ns) || !process_is_ours() ||
        sigprocmask(SIG_BLOCK, NULL, &blocked) != 0 ||
        !process_may_spawn(caller == CALLER_RESOLVER, &blocked))
        return false;
    start_undisturbed(&guard);
    if (wanted)
        start_undisturbed(&prober);
    if (errands_lack)
        start_undisturbed(&errands);
    return true;
}

void background_look(const struct segment *segment, enum shim_caller caller, uint64_t now_ns)
{
    int saved = errno;

    /* Where this call may start no thread, the next one may. */
    if (look(segment, caller, now_ns))
        store_relaxed(&background_next_look_ns, now_ns + LOOK_MS * NS_PER_MS);
    errno = saved;
}

enum checks_by background_checks(const struct segment *segment, uint64_t now_ns)
{
    struct lease_holder holder;
    bool held = lease_holder(segment, now_ns, &holder);

    if (held && holder.class == LEASE_PROCESS)
        return BY_PROCESS;
    return (held || is_running(&prober)) && threads_check(segment) ? BY_THREAD : BY_NOBODY;
}

/*
 * Best started by a thread of the program's: pthread_create() allocates, and for a thread that
 * never did malloc() sets aside an arena of 64 MiB of address space. But the program may make no
 * more connections.
 */
bool background_errands(void)
{
    uint64_t now_ns = clock_coarse_ns(), missed_ns = load_relaxed(&errands_missed_ns);

    if (is_seen_to(&errands))
        return is_running(&errands);
    if (missed_ns == 0)
        store_relaxed(&errands_missed_ns, now_ns);
    else if (now_ns - missed_ns >= ERRANDS_WAIT_S * NS_PER_S &&
             now_ns >= load_relaxed(&next_try_ns))
        start_undisturbed(&errands);
    return is_running(&errands);
}

static void forget(struct thread *thread)
{
    int running = RUNNING;

    atomic_compare_exchange_strong_explicit(&thread->state, &running, NONE, memory_order_relaxed,
                                            memory_order_relaxed);
}

void background_forget(void)
{
    forget(&guard);
    guard_forget();
    store_relaxed(&background_next_look_ns, 0);
    forget(&prober);
    forget(&errands);
    store_relaxed(&errands_missed_ns, 0);
}

bool background_own_descriptors(void)
{
    int fd;

    if (syscall(SYS_close_range, 0u, ~0u, CLOSE_RANGE_UNSHARE) != 0)
        return false;
    /* Whatever libc would print to fd 2 in this thread must not reach a socket. */
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 1; i < 3 && fd == 0; i++)
        dup2(fd, i);
    return fd == 0;
}

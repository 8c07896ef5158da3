/*
 * The lease between real processes: who is killed, stopped, frozen, forked or exec()ed. Rules that
 * need no clock of the kernel's run on the test's own time, with a child that holds the lease and
 * sleeps.
 */
#include "state/lease.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "state/checked.h"
#include "state/contender.h"
#include "state/events.h"
#include "state_world.h"

enum { CONTENDERS = 50, KILLS = 200, EPOCHS = 4096, TEAM = 4 };

#define DEADLINE_NS (20 * NS_PER_S) /* generous: sanitizers, two processors */

/* What the processes of a test tell each other. */
struct board {
    atomic_u64 entered;
    atomic_u64 go;
    atomic_u64 stop;
    atomic_u64 taken[EPOCHS]; /* how often each epoch was taken */
    atomic_u64 epoch;         /* the last one taken, by whom and when */
    atomic_u64 holder;
    atomic_u64 taken_ns;
    atomic_u64 noticed; /* holders that found their lease gone */
    atomic_u64 refused; /* records of theirs that were refused */
};

static struct world *world;
static struct segment segment;
static struct board *board;

/* What a test before this one left registered, in the same process, lay on its stack. */
static void forget_robust_lists(void)
{
    static void *of_libc;
    static size_t size;

    if (!of_libc)
        syscall(SYS_get_robust_list, 0, &of_libc, &size);
    syscall(SYS_set_robust_list, of_libc, size);
}

static void start(void)
{
    forget_robust_lists();
    world = world_new();
    world_add_service(world, "cache", 2);
    world_publish(world);
    segment = world_attach(world);
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(board != MAP_FAILED);
}

static struct live_head *head(void)
{
    return segment_live_head(&segment);
}

static void nap(uint64_t ns)
{
    const struct timespec pause = {.tv_nsec = (long)ns};

    nanosleep(&pause, NULL);
}

#define wait_until(condition)                                                                      \
    do {                                                                                           \
        uint64_t deadline_ns = clock_boot_ns() + DEADLINE_NS;                                      \
                                                                                                   \
        while (!(condition)) {                                                                     \
            ck_assert_msg(clock_boot_ns() < deadline_ns, "in vain: %s", #condition);               \
            nap(NS_PER_MS / 5);                                                                    \
        }                                                                                          \
    } while (0)

/* A child that dies with us. */
static pid_t spawn(void (*body)(void *), void *argument)
{
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child > 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    body(argument);
    _exit(0);
}

static void end(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static struct service_view the_service(void)
{
    struct bank_view view;
    struct service_view service;

    if (!bank_open(&segment, &view) || !service_read(&view, 0, &service))
        _exit(1);
    return service;
}

/* ---- on the test's own time ---- */

static const uint64_t T0 = 1000 * NS_PER_S;

struct role {
    enum lease_class class;
    bool deputy;
};

/* Takes the lease, or the deputy's post, at T0; then sleeps for ever. */
static void hold(void *argument)
{
    static struct contender self;
    const struct role *role = argument;
    bool done = lease_enter(&self, &segment, role->class, T0) == 0 &&
                (role->deputy ? lease_deputise(&self, T0) : lease_take(&self, T0));

    store_relaxed(&board->entered, done ? 1 : 2);
    for (;;)
        pause();
}

static pid_t somebody(enum lease_class class, bool deputy)
{
    struct role role = {.class = class, .deputy = deputy};
    pid_t child;

    store_relaxed(&board->entered, 0);
    child = spawn(hold, &role);
    wait_until(load_relaxed(&board->entered));
    ck_assert_uint_eq(load_relaxed(&board->entered), 1);
    return child;
}

static struct contender entered(enum lease_class class)
{
    struct contender self;

    ck_assert_int_eq(lease_enter(&self, &segment, class, T0), 0);
    return self;
}

START_TEST(free_lease_is_taken_once_and_stamps_all_health_words)
{
    struct contender self;
    struct event event;

    start();
    self = entered(LEASE_THREAD);
    ck_assert(!lease_held(&self));
    ck_assert(lease_take(&self, T0));
    ck_assert(lease_held(&self));
    ck_assert_uint_eq(self.epoch, 1);
    ck_assert(lease_take(&self, T0));
    ck_assert_uint_eq(self.epoch, 1);
    for (uint32_t i = 0; i < segment.endpoint_slots; i++)
        ck_assert_uint_eq(
            verdict_unpack(load_relaxed(&segment_endpoint(&segment, i)->health)).epoch, 1);
    ck_assert_int_eq(event_read(&segment, event_newest(&segment), &event), 1);
    ck_assert_uint_eq(event.type, EVENT_LEADER);
    ck_assert_str_eq(event.to, "thread");
    ck_assert_str_eq(event.reason, "free");
    lease_leave(&self);
    ck_assert(!lease_held(&self));
}
END_TEST

START_TEST(living_holder_keeps_its_lease)
{
    struct contender self;
    struct lease_holder holder;
    pid_t other;

    start();
    other = somebody(LEASE_THREAD, false);
    self = entered(LEASE_THREAD);
    ck_assert(!lease_take(&self, T0 + LEASE_NS));
    ck_assert(lease_holder(&segment, T0 + LEASE_NS, &holder));
    ck_assert_int_eq((int)holder.pid, other);
    ck_assert_int_eq(holder.class, LEASE_THREAD);
    ck_assert_uint_eq(holder.epoch, 1);
    end(other);
}
END_TEST

START_TEST(silent_holder_loses_it_after_one_lease)
{
    struct contender self;
    struct lease_holder holder;
    pid_t other;

    start();
    other = somebody(LEASE_THREAD, false);
    self = entered(LEASE_THREAD);
    ck_assert(!lease_holder(&segment, T0 + LEASE_NS + 1, &holder));
    ck_assert(lease_take(&self, T0 + LEASE_NS + 1));
    ck_assert_uint_eq(self.epoch, 2);
    end(other);
}
END_TEST

START_TEST(heartbeat_from_the_future_is_none)
{
    struct contender self;
    pid_t other;

    start();
    other = somebody(LEASE_THREAD, false);
    self = entered(LEASE_THREAD);
    ck_assert(!lease_take(&self, T0 - LEASE_NS));
    ck_assert(lease_take(&self, T0 - LEASE_NS - 1));
    end(other);
}
END_TEST

START_TEST(dead_holder_loses_it_at_once)
{
    struct contender self;
    pid_t other;

    start();
    other = somebody(LEASE_THREAD, false);
    self = entered(LEASE_THREAD);
    end(other);
    ck_assert(lease_take(&self, T0));
}
END_TEST

/* The same without the kernel's report, as where set_robust_list() is forbidden. */
START_TEST(dead_pid_is_enough)
{
    struct contender self;
    pid_t other;

    start();
    other = somebody(LEASE_THREAD, false);
    self = entered(LEASE_THREAD);
    end(other);
    atomic_store(&head()->holder_thread, 0);
    ck_assert(lease_take(&self, T0));
}
END_TEST

START_TEST(pid_that_went_to_another_process_is_enough)
{
    struct contender self;
    pid_t other;

    start();
    other = somebody(LEASE_THREAD, false);
    self = entered(LEASE_THREAD);
    ck_assert_uint_ne(self.start_ticks, 0);
    count_up(&head()->contenders[0].start_ticks);
    ck_assert(lease_take(&self, T0));
    end(other);
}
END_TEST

START_TEST(pid_of_another_namespace_proves_nothing)
{
    struct contender self;
    pid_t other;

    start();
    other = somebody(LEASE_THREAD, false);
    self = entered(LEASE_THREAD);
    count_up(&head()->contenders[0].pid_namespace);
    end(other);
    atomic_store(&head()->holder_thread, 0);
    ck_assert(!lease_take(&self, T0 + LEASE_NS));
    ck_assert(lease_take(&self, T0 + LEASE_NS + 1));
}
END_TEST

START_TEST(monitor_takes_it_from_a_thread_and_not_from_a_monitor)
{
    struct contender self, late;
    pid_t other;

    start();
    other = somebody(LEASE_THREAD, false);
    self = entered(LEASE_PROCESS);
    ck_assert(lease_take(&self, T0));
    lease_leave(&self);
    end(other);

    other = somebody(LEASE_PROCESS, false);
    late = entered(LEASE_PROCESS);
    ck_assert(!lease_take(&late, T0));
    late.class = LEASE_THREAD;
    ck_assert(!lease_take(&late, T0));
    end(other);
}
END_TEST

START_TEST(own_pid_from_before_exec_is_dead)
{
    static struct contender before;
    struct contender self;

    start();
    before = entered(LEASE_THREAD);
    ck_assert(lease_take(&before, T0));
    /* What exec() leaves: the slot, our pid and our start time. */
    self = entered(LEASE_THREAD);
    ck_assert(lease_take(&self, T0));
    ck_assert(!lease_held(&before));
}
END_TEST

START_TEST(forked_child_of_the_holder_holds_nothing)
{
    static struct contender self;
    struct live_head *live;
    int status;
    pid_t child;

    start();
    live = head();
    self = entered(LEASE_THREAD);
    ck_assert(lease_take(&self, T0));
    child = fork();
    if (child == 0) {
        bool wrong = lease_held(&self);

        lease_beat(&self, T0 + 5);
        lease_leave(&self);
        wrong |= lease_take(&self, T0);
        _exit(wrong);
    }
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
    ck_assert(lease_held(&self));
    ck_assert_uint_eq(load_relaxed(&live->contenders[self.slot].heartbeat_ns), T0);
    ck_assert(!robust_died(atomic_load(&live->holder_thread)));
}
END_TEST

START_TEST(resigned_lease_is_free_and_its_epoch_goes_on)
{
    struct contender self;

    start();
    self = entered(LEASE_THREAD);
    ck_assert(lease_take(&self, T0));
    lease_leave(&self);
    ck_assert_uint_eq(load_relaxed(&head()->contenders[0].claim), 0);
    self = entered(LEASE_THREAD);
    ck_assert(lease_take(&self, T0));
    ck_assert_uint_eq(self.epoch, 2);
}
END_TEST

START_TEST(late_swap_of_the_last_holder_is_refused)
{
    struct check check = {.passed = false, .cause = CHECK_TIMEOUT};
    struct service_view service;
    struct contender self;
    pid_t other;

    start();
    service = the_service();
    other = somebody(LEASE_THREAD, false);
    ck_assert(checked_record(&service, 0, 1, &check, T0));
    self = entered(LEASE_THREAD);
    ck_assert(lease_take(&self, T0 + 2 * LEASE_NS));
    ck_assert(!checked_record(&service, 0, 1, &check, T0));
    ck_assert(checked_record(&service, 0, 2, &check, T0));
    end(other);
}
END_TEST

START_TEST(epoch_outlives_the_segment)
{
    struct contender self;
    struct segment old;

    start();
    self = entered(LEASE_THREAD);
    store_relaxed(&head()->lease, UINT64_C(0x1a000) << 32);
    ck_assert(lease_take(&self, T0));
    old = segment;
    for (int i = 0; i < 200; i++) { /* more than it has room for: another file */
        char name[16];

        snprintf(name, sizeof(name), "s%d", i);
        world_add_service(world, name, 2);
    }
    ck_assert_int_eq(world_publish(world), PUBLISHED_REPLACEMENT);
    segment = world_attach(world);
    ck_assert_uint_ne(segment.inode, old.inode);
    lease_leave(&self);
    self = entered(LEASE_THREAD);
    ck_assert(lease_take(&self, T0));
    ck_assert_uint_eq(self.epoch, 0x1a002);
    for (uint32_t i = 0; i < segment.endpoint_slots; i++)
        ck_assert_uint_eq(
            verdict_unpack(load_relaxed(&segment_endpoint(&segment, i)->health)).epoch, 0xa002);
}
END_TEST

START_TEST(one_deputy_at_a_time_and_it_must_beat)
{
    struct contender self;
    pid_t deputy;

    start();
    deputy = somebody(LEASE_THREAD, true);
    self = entered(LEASE_THREAD);
    ck_assert(!lease_deputise(&self, T0 + DEPUTY_SILENCE_NS));
    ck_assert(lease_deputise(&self, T0 + DEPUTY_SILENCE_NS + 1));
    ck_assert(lease_is_deputy(&self));
    end(deputy);
}
END_TEST

START_TEST(deputy_that_becomes_holder_leaves_its_post)
{
    struct contender self;
    pid_t other;

    start();
    self = entered(LEASE_THREAD);
    ck_assert(lease_deputise(&self, T0));
    ck_assert(lease_take(&self, T0));
    ck_assert(!lease_is_deputy(&self));
    ck_assert(!lease_deputise(&self, T0));
    other = somebody(LEASE_THREAD, true);
    end(other);
}
END_TEST

START_TEST(somebody_is_wanted_while_holder_or_deputy_is_missing)
{
    struct segment read_only;
    pid_t holder, deputy;

    start();
    read_only = segment;
    read_only.writable = false;
    ck_assert(lease_wanted(&segment, T0));
    ck_assert(!lease_wanted(&read_only, T0));
    holder = somebody(LEASE_THREAD, false);
    ck_assert(lease_wanted(&segment, T0));
    deputy = somebody(LEASE_THREAD, true);
    ck_assert(!lease_wanted(&segment, T0));
    ck_assert(lease_wanted(&segment, T0 + LEASE_NS + 1));
    end(holder);
    ck_assert(lease_wanted(&segment, T0));
    end(deputy);
}
END_TEST

START_TEST(nonsense_in_the_words_is_a_free_post)
{
    struct contender self;
    struct lease_holder holder;

    start();
    store_relaxed(&head()->lease, UINT64_MAX);
    store_relaxed(&head()->deputy, UINT64_MAX - 7);
    ck_assert(lease_wanted(&segment, T0));
    ck_assert(!lease_holder(&segment, T0, &holder));
    self = entered(LEASE_THREAD);
    ck_assert(lease_deputise(&self, T0));
    ck_assert(lease_take(&self, T0));
    ck_assert_uint_eq(self.epoch, 1);
}
END_TEST

START_TEST(read_only_process_cannot_enter)
{
    struct contender self;

    start();
    segment.writable = false;
    ck_assert_int_eq(lease_enter(&self, &segment, LEASE_THREAD, T0), -EROFS);
    ck_assert(!lease_take(&self, T0));
    ck_assert(!lease_deputise(&self, T0));
    lease_leave(&self);
}
END_TEST

static void enter_and_sleep(void *argument)
{
    static struct contender self;

    (void)argument;
    if (lease_enter(&self, &segment, LEASE_THREAD, T0) == 0)
        count_up(&board->entered);
    for (;;)
        pause();
}

START_TEST(full_table_has_room_again_when_one_dies)
{
    struct contender self;
    pid_t sleepers[CONTENDERS_MAX];

    start();
    for (int i = 0; i < CONTENDERS_MAX; i++)
        sleepers[i] = spawn(enter_and_sleep, NULL);
    wait_until(load_relaxed(&board->entered) == CONTENDERS_MAX);
    ck_assert_int_eq(lease_enter(&self, &segment, LEASE_THREAD, T0 + 1000 * LEASE_NS), -ENOSPC);
    end(sleepers[17]);
    ck_assert_int_eq(lease_enter(&self, &segment, LEASE_THREAD, T0), 0);
    ck_assert(lease_take(&self, T0));
    for (int i = 0; i < CONTENDERS_MAX; i++)
        if (i != 17)
            end(sleepers[i]);
}
END_TEST

START_TEST(slot_of_a_dead_holder_is_not_given_away)
{
    struct contender self;
    pid_t sleepers[CONTENDERS_MAX - 1];
    pid_t holder;

    start();
    holder = somebody(LEASE_THREAD, false);
    store_relaxed(&board->entered, 0);
    for (int i = 0; i < CONTENDERS_MAX - 1; i++)
        sleepers[i] = spawn(enter_and_sleep, NULL);
    wait_until(load_relaxed(&board->entered) == CONTENDERS_MAX - 1);
    end(holder);
    /* Whoever got it would look like the holder. */
    ck_assert_int_eq(lease_enter(&self, &segment, LEASE_THREAD, T0), -ENOSPC);
    for (int i = 0; i < CONTENDERS_MAX - 1; i++)
        end(sleepers[i]);
}
END_TEST

START_TEST(robust_list_of_libc_is_put_back)
{
    struct contender self;
    void *before, *during, *after;
    size_t size;

    start();
    syscall(SYS_get_robust_list, 0, &before, &size);
    self = entered(LEASE_THREAD);
    ck_assert(lease_take(&self, T0));
    syscall(SYS_get_robust_list, 0, &during, &size);
    lease_leave(&self);
    syscall(SYS_get_robust_list, 0, &after, &size);
    ck_assert_ptr_ne(before, during);
    ck_assert_ptr_eq(before, after);
}
END_TEST

/* ---- what happens while somebody takes it ---- */

/*
 * Linked with --wrap=robust_value: when a new holder has just swapped the lease, and has not yet
 * written its thread's id, others may look. `meanwhile` does it once.
 */
uint32_t __real_robust_value(const struct robust *robust);
uint32_t __wrap_robust_value(const struct robust *robust);

static void (*meanwhile)(void);

uint32_t __wrap_robust_value(const struct robust *robust)
{
    void (*action)(void) = meanwhile;

    meanwhile = NULL;
    if (action)
        action();
    return __real_robust_value(robust);
}

static void others_see_a_living_holder(void)
{
    struct lease_holder holder;

    ck_assert(lease_holder(&segment, T0, &holder));
    ck_assert_uint_eq(holder.epoch, 2);
}

START_TEST(new_holder_is_not_taken_for_its_dead_predecessor)
{
    struct contender self;
    pid_t other;

    start();
    other = somebody(LEASE_THREAD, false);
    self = entered(LEASE_THREAD);
    end(other);
    ck_assert(robust_died(atomic_load(&head()->holder_thread)));
    meanwhile = others_see_a_living_holder;
    ck_assert(lease_take(&self, T0));
    ck_assert(!meanwhile);
}
END_TEST

static void somebody_else_takes_it(void)
{
    store_relaxed(&head()->lease, UINT64_C(9) << 32 | LEASE_THREAD << 24 | 5);
    atomic_store(&head()->holder_thread, 4711);
}

START_TEST(holder_that_was_stopped_while_it_took_the_lease_overwrites_nothing)
{
    struct contender self;

    start();
    self = entered(LEASE_THREAD);
    meanwhile = somebody_else_takes_it;
    ck_assert(!lease_take(&self, T0));
    ck_assert_uint_eq(atomic_load(&head()->holder_thread), 4711);
}
END_TEST

/* ---- on real time ---- */

static volatile sig_atomic_t told_to_resign;

static void resign(int signal)
{
    (void)signal;
    told_to_resign = 1;
}

/* What a prober does, without the checks: holds the lease, or waits for it as deputy, or looks
 * again. */
static void contend(void *argument)
{
    static struct contender self;
    struct service_view service = the_service();
    struct check check = {.passed = true, .rtt_ns = NS_PER_US};

    (void)argument;
    if (lease_enter(&self, &segment, LEASE_THREAD, clock_boot_ns()) != 0)
        _exit(1);
    signal(SIGTERM, resign);
    count_up(&board->entered);
    while (!load_relaxed(&board->go))
        nap(NS_PER_MS / 2);
    while (!load_relaxed(&board->stop) && !told_to_resign) {
        uint64_t now_ns = clock_boot_ns();

        if (lease_take(&self, now_ns)) {
            uint16_t epoch = (uint16_t)self.epoch;

            count_up(&board->taken[self.epoch % EPOCHS]);
            store_relaxed(&board->holder, (uint64_t)getpid());
            store_relaxed(&board->taken_ns, clock_boot_ns());
            store_relaxed(&board->epoch, self.epoch);
            while (lease_held(&self) && !load_relaxed(&board->stop) && !told_to_resign) {
                lease_beat(&self, clock_boot_ns());
                checked_record(&service, 0, epoch, &check, clock_boot_ns());
                nap(5 * NS_PER_MS);
            }
            if (lease_held(&self))
                break;
            count_up(&board->noticed);
            if (!checked_record(&service, 0, epoch, &check, clock_boot_ns()))
                count_up(&board->refused);
        } else if (lease_deputise(&self, now_ns)) {
            lease_await(&self, LEASE_NS);
        } else {
            nap(5 * NS_PER_MS);
        }
    }
    lease_leave(&self);
}

static pid_t team[CONTENDERS];

static void gather(unsigned count)
{
    start();
    for (unsigned i = 0; i < count; i++)
        team[i] = spawn(contend, NULL);
    wait_until(load_relaxed(&board->entered) == count);
    store_relaxed(&board->go, 1);
    wait_until(load_relaxed(&board->epoch));
}

static bool has_living_deputy(void)
{
    struct post post = post_unpack(load_relaxed(&head()->deputy));

    return contender_at(&segment, post.slot) != NULL;
}

static void dismiss(unsigned count)
{
    store_relaxed(&board->stop, 1);
    for (unsigned i = 0; i < count; i++)
        waitpid(team[i], NULL, 0);
}

static void no_epoch_was_taken_twice(void)
{
    for (unsigned i = 0; i < EPOCHS; i++)
        ck_assert_uint_le(load_relaxed(&board->taken[i]), 1);
}

static unsigned index_of(pid_t pid, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (team[i] == pid)
            return i;
    ck_abort_msg("process %d is not of the team", (int)pid);
    return 0;
}

/* Milliseconds from `from_ns` until somebody else holds the lease. */
static double replaced_after(uint64_t epoch, uint64_t from_ns)
{
    wait_until(load_relaxed(&board->epoch) > epoch);
    return (double)(int64_t)(load_relaxed(&board->taken_ns) - from_ns) / NS_PER_MS;
}

START_TEST(of_fifty_contenders_one_holds_the_lease)
{
    uint64_t began_ns;

    gather(CONTENDERS);
    began_ns = clock_boot_ns();
    wait_until(clock_boot_ns() > began_ns + LEASE_NS / 2);
    ck_assert_uint_eq(load_relaxed(&board->epoch), 1);
    ck_assert_uint_eq(load_relaxed(&board->taken[1]), 1);
    ck_assert_uint_eq(load_relaxed(&board->noticed), 0);
    dismiss(CONTENDERS);
}
END_TEST

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

START_TEST(two_hundred_killed_holders_are_each_replaced_by_one)
{
    double took_ms[KILLS];

    gather(TEAM);
    for (int round = 0; round < KILLS; round++) {
        uint64_t epoch = load_relaxed(&board->epoch);
        unsigned victim = index_of((pid_t)load_relaxed(&board->holder), TEAM);
        uint64_t killed_ns;

        wait_until(has_living_deputy());
        killed_ns = clock_boot_ns();
        end(team[victim]);
        took_ms[round] = replaced_after(epoch, killed_ns);
        team[victim] = spawn(contend, NULL);
    }
    dismiss(TEAM);
    no_epoch_was_taken_twice();
    qsort(took_ms, KILLS, sizeof(took_ms[0]), compare);
    printf("killed holder replaced after %.2f ms (median), %.2f ms (99 %%), %.2f ms (most)\n",
           took_ms[KILLS / 2], took_ms[KILLS * 99 / 100], took_ms[KILLS - 1]);
    ck_assert_double_lt(took_ms[KILLS / 2], 50);
    ck_assert_double_lt(took_ms[KILLS - 1], 5000);
}
END_TEST

START_TEST(stopped_holder_is_replaced_after_a_lease_and_learns_of_it)
{
    uint64_t epoch, stopped_ns;
    double took_ms;
    pid_t holder;

    gather(TEAM);
    wait_until(has_living_deputy());
    epoch = load_relaxed(&board->epoch);
    holder = (pid_t)load_relaxed(&board->holder);
    stopped_ns = clock_boot_ns();
    kill(holder, SIGSTOP);
    took_ms = replaced_after(epoch, stopped_ns);
    printf("stopped holder replaced after %.1f ms\n", took_ms);
    ck_assert_double_gt(took_ms, 900);
    ck_assert_double_lt(took_ms, 5000);
    kill(holder, SIGCONT);
    wait_until(load_relaxed(&board->noticed) == 1);
    wait_until(load_relaxed(&board->refused) == 1);
    ck_assert_int_ne((pid_t)load_relaxed(&board->holder), holder);
    dismiss(TEAM);
    no_epoch_was_taken_twice();
}
END_TEST

static void take_and_exec(void *argument)
{
    static struct contender self;

    (void)argument;
    if (lease_enter(&self, &segment, LEASE_THREAD, clock_boot_ns()) != 0 ||
        !lease_take(&self, clock_boot_ns()))
        _exit(1);
    store_relaxed(&board->epoch, self.epoch);
    while (!load_relaxed(&board->stop)) {
        lease_beat(&self, clock_boot_ns());
        nap(5 * NS_PER_MS);
    }
    lease_beat(&self, clock_boot_ns());
    store_relaxed(&board->entered, 1);
    execl("/bin/sleep", "sleep", "1000", (char *)NULL);
}

START_TEST(deputy_hears_at_once_of_a_holder_that_calls_exec)
{
    struct contender self;
    uint64_t began_ns;
    pid_t holder;

    start();
    holder = spawn(take_and_exec, NULL);
    wait_until(load_relaxed(&board->epoch));
    ck_assert_int_eq(lease_enter(&self, &segment, LEASE_THREAD, clock_boot_ns()), 0);
    ck_assert(lease_deputise(&self, clock_boot_ns()));
    ck_assert(!lease_take(&self, clock_boot_ns()));
    store_relaxed(&board->stop, 1);
    wait_until(load_relaxed(&board->entered));
    began_ns = clock_boot_ns();
    /* Its pid lives on, and its heartbeat is fresh. */
    wait_until((lease_await(&self, LEASE_NS), lease_take(&self, began_ns)));
    end(holder);
}
END_TEST

START_TEST(deputy_hears_at_once_of_a_holder_that_resigns)
{
    uint64_t epoch;
    double took_ms;

    gather(TEAM);
    wait_until(has_living_deputy());
    epoch = load_relaxed(&board->epoch);
    kill((pid_t)load_relaxed(&board->holder), SIGTERM);
    took_ms = replaced_after(epoch, clock_boot_ns());
    ck_assert_double_lt(took_ms, 900);
    waitpid(-1, NULL, 0);
    store_relaxed(&board->stop, 1);
    while (waitpid(-1, NULL, 0) > 0)
        ;
}
END_TEST

/* ---- another pid namespace ---- */

/* In a new namespace; its child contends there. The pid in ours comes back through fork(). */
static void contend_elsewhere(void *argument)
{
    pid_t child;

    if (unshare(CLONE_NEWPID) != 0)
        _exit(2);
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        contend(argument);
        _exit(0);
    }
    store_relaxed(&board->refused, (uint64_t)child); /* not used otherwise here */
    waitpid(child, NULL, 0);
}

START_TEST(holder_in_another_pid_namespace_is_replaced_too)
{
    struct contender self;
    uint64_t began_ns;
    pid_t parent, holder;

    if (geteuid() != 0) {
        printf("skipped: another pid namespace needs root\n");
        return;
    }
    start();
    store_relaxed(&board->go, 1);
    parent = spawn(contend_elsewhere, NULL);
    wait_until(load_relaxed(&board->epoch) || waitpid(parent, NULL, WNOHANG) == parent);
    if (!load_relaxed(&board->epoch)) {
        printf("skipped: this kernel or sandbox gives no pid namespace\n");
        return;
    }
    ck_assert_uint_eq(load_relaxed(&board->holder), 1); /* what it calls itself */
    wait_until(load_relaxed(&board->refused));          /* its parent may be the slower one */
    holder = (pid_t)load_relaxed(&board->refused);

    ck_assert_int_eq(lease_enter(&self, &segment, LEASE_THREAD, clock_boot_ns()), 0);
    ck_assert(lease_deputise(&self, clock_boot_ns()));
    began_ns = clock_boot_ns();
    while (clock_boot_ns() < began_ns + 2 * LEASE_NS) { /* alive: nobody's */
        ck_assert(!lease_take(&self, clock_boot_ns()));
        lease_await(&self, LEASE_NS / 4);
    }
    kill(holder, SIGSTOP);
    began_ns = clock_boot_ns();
    wait_until((lease_await(&self, LEASE_NS), lease_take(&self, clock_boot_ns())));
    ck_assert_uint_lt(clock_boot_ns() - began_ns, 5 * LEASE_NS);
    lease_leave(&self);

    kill(holder, SIGCONT);
    wait_until(load_relaxed(&board->epoch) == 3);
    ck_assert_int_eq(lease_enter(&self, &segment, LEASE_THREAD, clock_boot_ns()), 0);
    ck_assert(lease_deputise(&self, clock_boot_ns()));
    kill(holder, SIGKILL);
    waitpid(parent, NULL, 0);
    /* At a time when its heartbeat was fresh: the kernel has reported its death. */
    ck_assert(lease_take(&self, load_relaxed(&head()->contenders[0].heartbeat_ns)));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        free_lease_is_taken_once_and_stamps_all_health_words,
        living_holder_keeps_its_lease,
        silent_holder_loses_it_after_one_lease,
        heartbeat_from_the_future_is_none,
        dead_holder_loses_it_at_once,
        dead_pid_is_enough,
        pid_that_went_to_another_process_is_enough,
        pid_of_another_namespace_proves_nothing,
        monitor_takes_it_from_a_thread_and_not_from_a_monitor,
        own_pid_from_before_exec_is_dead,
        forked_child_of_the_holder_holds_nothing,
        resigned_lease_is_free_and_its_epoch_goes_on,
        late_swap_of_the_last_holder_is_refused,
        epoch_outlives_the_segment,
        one_deputy_at_a_time_and_it_must_beat,
        deputy_that_becomes_holder_leaves_its_post,
        somebody_is_wanted_while_holder_or_deputy_is_missing,
        nonsense_in_the_words_is_a_free_post,
        read_only_process_cannot_enter,
        full_table_has_room_again_when_one_dies,
        slot_of_a_dead_holder_is_not_given_away,
        robust_list_of_libc_is_put_back,
        new_holder_is_not_taken_for_its_dead_predecessor,
        holder_that_was_stopped_while_it_took_the_lease_overwrites_nothing,
        of_fifty_contenders_one_holds_the_lease,
        two_hundred_killed_holders_are_each_replaced_by_one,
        stopped_holder_is_replaced_after_a_lease_and_learns_of_it,
        deputy_hears_at_once_of_a_holder_that_calls_exec,
        deputy_hears_at_once_of_a_holder_that_resigns,
        holder_in_another_pid_namespace_is_replaced_too,
    };

    return world_run("state_lease", tests, COUNT_OF(tests));
}

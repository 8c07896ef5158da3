/*
 * redisteer monitor: the dedicated prober of this host. Publishes the file, follows its changes,
 * takes the lease and checks the endpoints (in a thread: prober.c); logs what happens.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/context.h"
#include "cli/journal.h"
#include "cli/names.h"
#include "cli/password_files.h"
#include "cli/prober.h"
#include "cli/selectors.h"
#include "cli/users.h"
#include "heavy/heavy.h"
#include "policy/backoff.h"
#include "state/bank.h"
#include "state/discovery.h"
#include "state/events.h"
#include "state/lease.h"

/* Names that take longer have no address at first; they are looked up again with the next change.
 */
#define PATIENCE_NS (5 * NS_PER_S)

#define PAUSE_MAX_NS (30 * NS_PER_S) /* between two publications that fail */

enum {
    TURN_MS = 100,
    READY_TURNS = 100,
    LOOK_TURNS = 5,
    USERS_TURNS = 20, /* between two looks for users */
    UNUSED_LOOKS = 3, /* in vain: then it ends */
};

struct watcher {
    struct context context;
    struct settings *settings; /* the last good ones */
    bool due;                  /* to be published again, for what the world says has changed */
    uint64_t again_ns;         /* not before, as the last time failed */
    unsigned failures;         /* in a row */
    struct journal journal;
    struct segment segment;  /* for events; attached anew when another takes its place */
    struct file_stamp tried; /* the file as it was last read, well or badly */
    struct file_stamp seen;  /* a moment ago: a file that is being written is left alone */
    struct password_files passwords;
    struct selectors selectors;
    struct names names;
    unsigned turns;
    uint64_t servers_ns; /* not published again for new servers before */
    bool attends;        /* ends when nobody uses the segment any more */
    struct users users;
    unsigned unused; /* looks in a row that found nobody */
    struct prober prober;
};

/* ---- settings ---- */

/* What keeps failing is said less and less often. */
static void put_off(struct watcher *monitor)
{
    monitor->again_ns =
        clock_boot_ns() + backoff_ns(NS_PER_S, 2000, monitor->failures++, PAUSE_MAX_NS);
}

/* The settings are the watcher's from now on. */
static void take_settings(struct watcher *monitor, struct settings *settings)
{
    settings_free(monitor->settings);
    monitor->settings = settings;
    monitor->tried = settings->stamp;
    journal_set(&monitor->journal, settings);
    password_files_set(&monitor->passwords, settings);
    selectors_set(&monitor->selectors, settings);
    names_set(&monitor->names, settings);
}

static int publish_settings(struct watcher *monitor)
{
    enum publish_result result;
    int status = context_publish(&monitor->context, monitor->settings, PATIENCE_NS, &result);

    monitor->due = status != STATUS_DONE;
    if (status != STATUS_DONE) {
        put_off(monitor);
    } else {
        monitor->failures = 0;
        monitor->again_ns = 0;
    }
    return status;
}

static int begin(struct watcher *monitor, struct settings *settings)
{
    names_share(&monitor->names);
    take_settings(monitor, settings);
    monitor->seen = settings->stamp;
    if (context_published(&monitor->context, &settings->stamp))
        return STATUS_DONE;
    return publish_settings(monitor);
}

static void attach(struct watcher *monitor)
{
    const char *why;

    if (monitor->segment.live && !segment_superseded(&monitor->segment))
        return;
    if (monitor->segment.live)
        segment_detach(&monitor->segment);
    monitor->segment = (struct segment){0};
    names_lead(&monitor->names, 0); /* another one counts its terms anew */
    if (segment_attach(&monitor->segment, &monitor->context.place, &why) != 0)
        monitor->segment.live = NULL; /* the next turn tries again */
}

/* The old settings stay in force. */
static void refuse(const struct watcher *monitor, const struct complaints *complaints)
{
    struct event event = {.type = EVENT_CONFIG};

    context_complain(monitor->context.config, complaints);
    for (size_t i = 0; i < complaints->count; i++)
        if (monitor->journal.file[0] != '\0')
            journal_line(&monitor->journal, LOG_ERROR, "%s:%u: %s", monitor->context.config,
                         complaints->list[i].line, complaints->list[i].text);
    if (!monitor->segment.live)
        return;
    text_copy(event.reason, sizeof event.reason, "bad file");
    if (complaints->count > 0)
        text_format(event.detail, sizeof event.detail, "line %u: %s", complaints->list[0].line,
                    complaints->list[0].text);
    event_write(&monitor->segment, &event);
}

static void reload(struct watcher *monitor)
{
    struct complaints complaints = {0};
    struct settings *settings = NULL;

    file_stamp_read(monitor->context.config, &monitor->tried);
    monitor->seen = monitor->tried;
    if (settings_load(monitor->context.config, &settings, &complaints) != 0) {
        refuse(monitor, &complaints);
        return;
    }
    take_settings(monitor, settings);
    publish_settings(monitor);
}

/* Another publisher has read a newer file than we have: ours would undo it. */
static bool is_overtaken(const struct watcher *monitor)
{
    const struct file_stamp *ours = &monitor->settings->stamp;
    struct file_stamp in_force, now;
    struct bank front;
    struct bank_view view;

    if (!monitor->segment.live || !bank_open(&monitor->segment, &view))
        return false;
    bank_front(&view, &front);
    in_force = bank_file_stamp(&front);
    return bank_valid(&view) && !file_stamp_equal(&in_force, ours) &&
           file_stamp_read(monitor->context.config, &now) == 0 && file_stamp_equal(&now, &in_force);
}

/* Sentinels name other servers than were published. Tried now and then: it may be in vain. */
static bool servers_have_changed(struct watcher *monitor)
{
    uint64_t now_ns = clock_boot_ns();

    if (!monitor->segment.live || now_ns < monitor->servers_ns ||
        !discovery_differs(&monitor->segment))
        return false;
    monitor->servers_ns = now_ns + NS_PER_S;
    return true;
}

/* Read once it has stayed the same for a turn. A file that is missing changes nothing. */
static void watch_file(struct watcher *monitor)
{
    struct file_stamp now;
    bool settled;

    if (file_stamp_read(monitor->context.config, &now) != 0)
        return;
    settled = file_stamp_equal(&now, &monitor->seen);
    monitor->seen = now;
    if (settled && !file_stamp_equal(&now, &monitor->tried))
        reload(monitor);
}

/* What the last good settings come to now; the file may be bad, or half written. */
static void watch_world(struct watcher *monitor)
{
    if (names_turn(&monitor->names, &monitor->segment))
        monitor->due = true;
    if (servers_have_changed(monitor))
        monitor->due = true;
    if (monitor->turns++ % LOOK_TURNS == 0 && password_files_changed(&monitor->passwords))
        monitor->due = true;
    if (!monitor->due || clock_boot_ns() < monitor->again_ns)
        return;
    if (is_overtaken(monitor)) {
        put_off(monitor);
        reload(monitor);
    } else {
        publish_settings(monitor);
    }
}

/*
 * While which we hold the lease; 0: we do not. The prober that was stopped may not know yet that
 * it has lost it.
 */
static uint32_t term_of(const struct watcher *monitor)
{
    uint32_t term = prober_term(&monitor->prober);
    struct lease_holder holder;

    if (term == 0 || !monitor->segment.live ||
        !lease_holder(&monitor->segment, clock_boot_ns(), &holder))
        return 0;
    return holder.epoch == term ? term : 0;
}

/* ---- running ---- */

static void report_prober(struct watcher *monitor)
{
    const char *why;
    int error = prober_error(&monitor->prober, &why);

    if (error != 0)
        journal_line(&monitor->journal, LOG_ERROR, "%s: %s", why, strerror(error));
}

/* `ready`: a descriptor that is told by a byte once the lease is held; -1 = nobody waits. */
static void tell_ready(const struct watcher *monitor, int *ready)
{
    if (*ready < 0 || !prober_holds(&monitor->prober))
        return;
    /* The terminal goes back to its owner; what there is to say goes to the log. */
    if (write(*ready, "", 1) == 1)
        dup2(STDOUT_FILENO, STDERR_FILENO);
    close(*ready);
    *ready = -1;
}

/* Of others' processes only root can see what they have mapped. */
static bool can_see_users(const struct watcher *monitor)
{
    return geteuid() == 0 || !(monitor->segment.head->flags & SEGMENT_SHARED);
}

static bool is_led_by_another(const struct watcher *monitor)
{
    struct lease_holder holder;

    return lease_holder(&monitor->segment, clock_boot_ns(), &holder) &&
           holder.class == LEASE_PROCESS && holder.pid != (uint32_t)getpid();
}

/* One that was started for programs ends with them, and where another monitor does the work. */
static bool is_needed(struct watcher *monitor, unsigned turns)
{
    if (!monitor->attends || !monitor->segment.live || turns % USERS_TURNS != USERS_TURNS - 1)
        return true;
    if (is_led_by_another(monitor))
        return false;
    if (!can_see_users(monitor) || users_exist(&monitor->users, monitor->segment.head))
        monitor->unused = 0;
    else
        monitor->unused++;
    return monitor->unused < UNUSED_LOOKS;
}

static int run(struct watcher *monitor, int ready)
{
    const struct timespec turn = {.tv_nsec = TURN_MS * (long)NS_PER_MS};
    sigset_t signals;
    int error, signal_number, status = STATUS_DONE;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    heavy_begin();

    attach(monitor);
    if (monitor->segment.live)
        journal_follow(&monitor->journal, &monitor->segment);
    error = prober_start(&monitor->prober, &monitor->context.place);
    if (error != 0) {
        say("cannot start a thread: %s", strerror(-error));
        return STATUS_FAILED;
    }
    for (unsigned turns = 0;; turns++) {
        signal_number = sigtimedwait(&signals, NULL, &turn);
        names_lead(&monitor->names, term_of(monitor));
        if (signal_number == SIGHUP)
            reload(monitor);
        else
            watch_file(monitor);
        attach(monitor);
        if (monitor->segment.live)
            journal_follow(&monitor->journal, &monitor->segment);
        report_prober(monitor);
        selectors_turn(&monitor->selectors, &monitor->segment, prober_holds(&monitor->prober));
        watch_world(monitor);
        tell_ready(monitor, &ready);
        if (signal_number == SIGTERM || signal_number == SIGINT || !is_needed(monitor, turns))
            break;
        if (ready >= 0 && turns == READY_TURNS) {
            say("cannot take the lease: another process holds it");
            status = STATUS_FAILED;
            break;
        }
    }
    prober_stop(&monitor->prober);
    selectors_stop(&monitor->selectors);
    names_stop(&monitor->names);
    if (monitor->segment.live)
        journal_follow(&monitor->journal, &monitor->segment);
    return status;
}

/* ---- detached ---- */

static int become_detached(struct watcher *monitor, int ready)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        close(null);
    }
    /* Whoever waits for the end of a pipe of our caller's must not wait for us. */
    if (ready > STDERR_FILENO + 1)
        close_range(STDERR_FILENO + 1, (unsigned)ready - 1, 0);
    close_range((unsigned)ready + 1, ~0U, 0);
    setsid();
    if (chdir("/") != 0)
        return STATUS_FAILED;
    return run(monitor, ready);
}

static int await_child(pid_t child, int ready)
{
    char byte;
    int status;
    ssize_t got;

    do {
        got = read(ready, &byte, 1);
    } while (got < 0 && errno == EINTR);
    if (got == 1)
        return STATUS_DONE;
    if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return WEXITSTATUS(status); /* it has said why */
    say("the monitor ended before it held the lease");
    return STATUS_FAILED;
}

/* Two of them would only wait for each other. */
static bool runs_already(const struct watcher *monitor, struct lease_holder *holder)
{
    struct segment segment;
    const char *why;
    bool runs;

    if (segment_attach(&segment, &monitor->context.place, &why) != 0)
        return false;
    runs = lease_holder(&segment, clock_boot_ns(), holder) && holder->class == LEASE_PROCESS;
    segment_detach(&segment);
    return runs;
}

static int detach(struct watcher *monitor)
{
    struct lease_holder holder;
    int ends[2];
    pid_t child;

    if (runs_already(monitor, &holder)) {
        say("a monitor runs already: process %u", (unsigned)holder.pid);
        return STATUS_DONE;
    }
    if (pipe2(ends, O_CLOEXEC) != 0 || (child = fork()) < 0) {
        say("cannot start another process: %s", strerror(errno));
        return STATUS_FAILED;
    }
    if (child == 0) {
        close(ends[0]);
        return become_detached(monitor, ends[1]);
    }
    close(ends[1]);
    return await_child(child, ends[0]);
}

int command_monitor(const struct invocation *invocation)
{
    struct watcher monitor = {0};
    struct settings *settings;
    int status = context_make(invocation, &monitor.context);

    if (status == STATUS_DONE)
        status = context_load(monitor.context.config, &settings);
    if (status != STATUS_DONE)
        return status;
    status = begin(&monitor, settings);
    if (status == STATUS_DONE)
        status = invocation->given[MONITOR_DETACH] != NULL ? detach(&monitor) : run(&monitor, -1);
    settings_free(monitor.settings);
    return status;
}

/*
 * Started by the library, in a child without stdio, when the settings need what only this program
 * has. Leaves a child of its own behind and does not wait for it: the library waits for us.
 */
int command_attend(const struct invocation *invocation)
{
    struct watcher monitor = {.attends = true};
    struct lease_holder holder;
    struct settings *settings;
    int status = context_make(invocation, &monitor.context);
    pid_t child;

    if (status == STATUS_DONE)
        status = context_load(monitor.context.config, &settings);
    if (status != STATUS_DONE)
        return status;
    if (runs_already(&monitor, &holder)) {
        settings_free(settings);
        return STATUS_DONE;
    }
    child = fork();
    if (child != 0)
        return child > 0 ? STATUS_DONE : STATUS_FAILED;
    status = begin(&monitor, settings);
    setsid();
    if (status == STATUS_DONE)
        status = run(&monitor, -1);
    settings_free(monitor.settings);
    return status;
}

#include "preload/guard.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hints.h"
#include "base/log.h"
#include "base/text.h"
#include "preload/background.h"
#include "preload/borrow.h"
#include "preload/leave.h"
#include "preload/moved.h"
#include "preload/real.h"
#include "preload/shim.h"
#include "preload/socket.h"
#include "preload/track.h"
#include "state/bell.h"
#include "state/checked.h"
#include "state/events.h"

enum {
    TICK_MS = 50,        /* while sockets are busy, connecting, or about to be left */
    SECOND_LOOK_MS = 20, /* after SHUT_RD: is the socket still there? */
    SAMPLES_PER_TICK = 128,
    QUIET_TICKS = 40,   /* without traffic; then the guard sleeps until it is kicked */
    QUIET_MS = 1000,    /* a socket without a byte for so long is idle */
    UNANSWERED_MS = 50, /* a request without an answer for so long is a hint */
    FEW_PLACES = 64,
    READ_TRIES = 3,
};

/* The guard's private bell: +1 for a socket tracked while it sleeps without a limit. */
static atomic_u32 kicks;
/*
 * Sequentially consistent on both sides: the guard says that it sleeps and then looks at the table
 * once more, the hook fills the table and then asks whether it sleeps; one of the two sees the
 * other.
 */
static HOT_DATA _Atomic(bool) asleep;

/* Relaxed: it makes no promise about other words. */
static HOT_DATA _Atomic(bool) watches;

bool guard_watches(void)
{
    return atomic_load_explicit(&watches, memory_order_relaxed);
}

void guard_forget(void)
{
    atomic_store_explicit(&watches, false, memory_order_relaxed);
}

void guard_kick(void)
{
    if (!atomic_load_explicit(&asleep, memory_order_seq_cst))
        return;
    atomic_fetch_add_explicit(&kicks, 1, memory_order_relaxed);
    syscall(SYS_futex, &kicks, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

struct round {
    const struct segment *segment;
    struct leave *leave;
    struct moved moved;
    uint64_t now_ns;
    uint64_t next_ns;                 /* when an attempt's time is up; 0: none is under way */
    uint64_t due_ns;                  /* when the next socket comes of age; 0: none */
    unsigned next_sample;             /* place in the table, round robin */
    unsigned shut;                    /* sockets shut, not told yet */
    struct leave_entry left;          /* the endpoint of the last of them */
    const struct leave_entry *hinted; /* the last one, in this round */
    bool second_look;                 /* some were shut that may still be there */
    bool waiting;                     /* some are to be left later */
    bool busy;                        /* some showed traffic, or are connecting */
};

static bool info_of(int fd, struct tcp_info *info)
{
    socklen_t size = sizeof(*info);

    info->tcpi_state = 0;
    return real_getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &size) == 0;
}

/*
 * SHUT_RD first: an EOF for every reader. A tick later connect(AF_UNSPEC) for whoever does not
 * read; it looks like a reset. In SYN_SENT a shutdown ends the attempt at once, as ECONNRESET.
 */
static void shut(struct round *round, int duplicate, int fd, const struct tracked *tracked)
{
    const struct sockaddr unspecified = {.sa_family = AF_UNSPEC};

    /* The hook has gone on to another endpoint with this socket: nothing that we know of it. */
    if (!track_claim(fd, tracked))
        return;
    if (!tracked->shut) {
        shutdown(duplicate, SHUT_RD);
        round->shut++;
        round->second_look = true;
        track_release(fd, tracked);
    } else {
        real_connect(duplicate, &unspecified, sizeof(unspecified));
        track_release(fd, tracked);
        track_forget(fd, tracked->cookie);
    }
}

/* No byte either way for a while, and none on its way. */
static bool is_quiet(int duplicate, const struct tcp_info *info)
{
    int in = 0, out = 0;

    return info->tcpi_last_data_sent >= QUIET_MS && info->tcpi_last_data_recv >= QUIET_MS &&
           ioctl(duplicate, SIOCINQ, &in) == 0 && ioctl(duplicate, SIOCOUTQ, &out) == 0 &&
           in == 0 && out == 0;
}

/*
 * A request that went out after the last answer came in and has none yet; or lost segments. The
 * clock of these ages is coarse: of a client that asks anew at once both are the same, as are those
 * of one that is done. So equal ages count while they are fresh, which costs the latter one check:
 * a check that was answered when the request was suspicious already says that the server is alive
 * and the answer just takes its time (a BLPOP), or has been here for long.
 */
static bool is_suspicious(const struct round *round, const struct leave_entry *entry,
                          const struct tcp_info *info)
{
    uint32_t sent = info->tcpi_last_data_sent, received = info->tcpi_last_data_recv;
    uint32_t patience = UNANSWERED_MS + 2 * (info->tcpi_rtt / 1000);

    if (info->tcpi_retransmits > 0)
        return true;
    return sent >= patience && (sent < received || (sent == received && sent < QUIET_MS)) &&
           entry->answered_ns < round->now_ns - (sent - patience) * NS_PER_MS;
}

/* A connection that takes so long to be made, and no check was answered meanwhile. */
static bool is_overdue(const struct leave_entry *entry, const struct tracked *tracked,
                       uint64_t now_ns)
{
    uint64_t due_ns = tracked->started_ns + UNANSWERED_MS * NS_PER_MS;

    return now_ns >= due_ns && entry->answered_ns < due_ns;
}

/* Each hint asks for a check; `fall` of them, and no answer while the request waits: a verdict. */
static void hint(struct round *round, const struct leave_entry *entry)
{
    struct bank_view view;
    struct service_view service;

    if (round->hinted == entry)
        return;
    round->hinted = entry;
    if (bank_open(round->segment, &view) && service_read(&view, entry->service, &service) &&
        bank_valid(&view) && entry->endpoint < service.count &&
        service.endpoints[entry->endpoint].slot == entry->endpoint_slot)
        checked_hint(&service, entry->endpoint, round->now_ns);
}

static bool age_has_come(const struct leave_entry *entry, const struct tracked *tracked,
                         uint64_t now_ns)
{
    return entry->connect.max_age_ns && now_ns - tracked->started_ns >= entry->connect.max_age_ns;
}

/* What the hook would have set, had it been alone. Nothing that the program has set itself. */
static void equip(int duplicate, int fd, const struct tracked *tracked,
                  const struct leave_entry *entry)
{
    struct socket_options options = {.is_tcp = true};

    socket_prepare(duplicate, &entry->connect, &options);
    socket_bound(duplicate, options, entry->connect.user_timeout_ns);
    track_mark_equipped(fd, tracked);
}

/* An attempt under way. Linux bounds SYNs by TCP_USER_TIMEOUT no shorter than their first timer,
 * one second; and asking for less than that costs the hook two system calls. */
static void bound(struct round *round, int duplicate, int fd, const struct tracked *tracked,
                  const struct leave_entry *entry)
{
    uint64_t until_ns = tracked->started_ns + entry->connect.timeout_ns;

    round->busy = true;
    if (round->now_ns >= until_ns)
        shut(round, duplicate, fd, tracked);
    else if (round->next_ns == 0 || until_ns < round->next_ns)
        round->next_ns = until_ns;
}

/* What has to be done about one socket, now that it is known to be the tracked one. */
static void attend(struct round *round, int duplicate, int fd, const struct tracked *tracked,
                   const struct leave_entry *entry)
{
    struct tcp_info info;
    bool due;

    if (entry->how == LEAVE_NOW) {
        shut(round, duplicate, fd, tracked);
        round->left = *entry;
        round->left.endpoint_slot = tracked->endpoint_slot;
        return;
    }
    if (!info_of(duplicate, &info))
        return;
    if (info.tcpi_state == TCP_SYN_SENT) {
        bound(round, duplicate, fd, tracked, entry);
        if (is_overdue(entry, tracked, round->now_ns))
            hint(round, entry);
        return;
    }
    if (!tracked->equipped)
        equip(duplicate, fd, tracked, entry);
    if (info.tcpi_state != TCP_ESTABLISHED)
        return;
    if (info.tcpi_last_data_sent < QUIET_MS || info.tcpi_last_data_recv < QUIET_MS)
        round->busy = true;
    due = entry->how != LEAVE_NOT && round->now_ns >= leave_due_ns(entry, tracked);
    if ((entry->how == LEAVE_CLOSE && due) ||
        ((due || age_has_come(entry, tracked, round->now_ns)) && is_quiet(duplicate, &info)))
        shut(round, duplicate, fd, tracked);
    else if (entry->how != LEAVE_NOT || age_has_come(entry, tracked, round->now_ns))
        round->waiting = true;
    if (is_suspicious(round, entry, &info))
        hint(round, entry);
}

static void visit(struct round *round, int fd, const struct tracked *tracked,
                  const struct leave_entry *entry)
{
    int duplicate = borrow(fd);

    if (duplicate < 0) {
        if (errno == EBADF)
            track_forget(fd, tracked->cookie);
        else if (!tracked->equipped)
            round->waiting = true; /* for a free descriptor */
        return;
    }
    /* Cookie first: what is not ours is not even looked at. The duplicate lives for a microsecond.
     */
    if (socket_cookie(duplicate) == tracked->cookie)
        attend(round, duplicate, fd, tracked, entry);
    else
        track_forget(fd, tracked->cookie);
    close(duplicate);
}

/* What is tracked at `place`, and what is to be done about its endpoint. NULL: nothing. */
static const struct leave_entry *entry_at(const struct round *round, unsigned place, int *fd,
                                          struct tracked *tracked)
{
    return track_at(place, fd, tracked) && moved_translate(&round->moved, tracked)
               ? leave_find(round->leave, tracked)
               : NULL;
}

static void note_age(struct round *round, const struct tracked *tracked,
                     const struct leave_entry *entry)
{
    uint64_t due_ns = tracked->started_ns + entry->connect.max_age_ns;

    if (entry->connect.max_age_ns && due_ns > round->now_ns &&
        (round->due_ns == 0 || due_ns < round->due_ns))
        round->due_ns = due_ns;
}

static bool is_urgent(const struct tracked *tracked, const struct leave_entry *entry)
{
    return entry->how == LEAVE_NOW || tracked->connecting || !tracked->equipped;
}

/* Sockets of endpoints that must be left, attempts under way, and new ones: all. Others: a sample,
 * round robin. */
static void look_around(struct round *round)
{
    unsigned places = track_places(), samples = 0;
    const struct leave_entry *entry;
    struct tracked tracked;
    int fd;

    for (unsigned place = 0; place < places; place++) {
        entry = entry_at(round, place, &fd, &tracked);
        if (entry)
            note_age(round, &tracked, entry);
        if (entry && is_urgent(&tracked, entry))
            visit(round, fd, &tracked, entry);
    }
    for (unsigned i = 0; i < places && samples < SAMPLES_PER_TICK; i++) {
        round->next_sample = round->next_sample + 1 < places ? round->next_sample + 1 : 0;
        entry = entry_at(round, round->next_sample, &fd, &tracked);
        if (!entry || is_urgent(&tracked, entry))
            continue;
        samples++;
        visit(round, fd, &tracked, entry);
    }
}

/* Not before the second look: a host with many processes has many sockets to shut at once. */
static void tell(struct round *round)
{
    struct event event = {.type = EVENT_SHUT};
    struct service_settings service;
    struct bank_view view;

    if (round->shut == 0 || round->second_look)
        return;
    if (round->left.how == LEAVE_NOW && bank_open(round->segment, &view) &&
        bank_service(&view, round->left.service, &service) && bank_valid(&view)) {
        text_copy(event.service, sizeof(event.service), service.name);
        bank_slot_name(round->segment, round->left.endpoint_slot, event.endpoint);
    }
    log_info("guard: %u connections shut", round->shut);
    text_format(event.detail, sizeof(event.detail), "%u connections of process %u", round->shut,
                (unsigned)getpid());
    text_copy(event.reason, sizeof(event.reason), "endpoint left");
    event_write(round->segment, &event);
    round->shut = 0;
    round->left = (struct leave_entry){.how = LEAVE_NOT};
}

/* Sleeps until the host's bell or the private one rings, or the time is up. 0: no limit. */
static void sleep_until_rung(const struct segment *segment, uint32_t bell, uint32_t kick,
                             uint64_t limit_ns)
{
    struct futex_waitv words[2] = {
        {.val = bell, .uaddr = (uintptr_t)bell_word(segment), .flags = FUTEX_32},
        {.val = kick, .uaddr = (uintptr_t)&kicks, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG},
    };
    uint64_t until = limit_ns ? clock_monotonic_ns() + limit_ns : 0;
    struct timespec deadline = {.tv_sec = (time_t)(until / NS_PER_S),
                                .tv_nsec = (long)(until % NS_PER_S)};

    if (syscall(SYS_futex_waitv, words, 2, 0, limit_ns ? &deadline : NULL, CLOCK_MONOTONIC) < 0 &&
        errno == ENOSYS)
        /* Before Linux 5.16 a thread sleeps on one word: kicks are seen a tick late. */
        bell_wait(segment, bell, limit_ns ? limit_ns : TICK_MS * NS_PER_MS);
}

/* One look at everything. Returns how long to sleep, 0: until a bell rings. */
static uint64_t round_once(struct round *round, const struct segment *segment,
                           unsigned *quiet_ticks)
{
    *round = (struct round){
        .segment = segment,
        .leave = round->leave,
        .moved = round->moved,
        .now_ns = clock_boot_ns(),
        .next_sample = round->next_sample,
        .shut = round->shut,
        .left = round->left,
    };
    for (int tries = 0; tries < READ_TRIES; tries++)
        if (leave_read(round->leave, segment, round->now_ns))
            break;
    look_around(round);
    tell(round);
    *quiet_ticks = round->busy || round->waiting ? 0 : *quiet_ticks + 1;
    if (round->second_look)
        return SECOND_LOOK_MS * NS_PER_MS;
    if (round->next_ns && round->next_ns - round->now_ns < TICK_MS * NS_PER_MS)
        return round->next_ns - round->now_ns;
    if (*quiet_ticks < QUIET_TICKS || *quiet_ticks <= track_places() / SAMPLES_PER_TICK)
        return TICK_MS * NS_PER_MS;
    return round->due_ns ? round->due_ns - round->now_ns : 0;
}

static uint32_t leave_limit(const struct segment *segment)
{
    return segment->endpoint_slots + segment->service_slots;
}

void guard_run(void)
{
    struct round round = {0};
    const struct segment *before = NULL;
    unsigned quiet_ticks = 0;
    uint32_t bell = 0, kick = 0;

    borrow_begin();
    for (;;) {
        const struct segment *segment = shim_segment_in_force(CALLER_SOCKET);
        uint32_t bell_now, kick_now;
        uint64_t limit_ns;
        bool heard = false;

        /* A newer segment may have room for more endpoints; the few bytes of the old list stay. */
        if (segment && (!round.leave || round.leave->limit < leave_limit(segment)))
            round.leave = leave_new(leave_limit(segment));
        if (!segment || !round.leave) {
            guard_forget();
            return;
        }
        moved_read(&round.moved, shim_segments(), segment->number);
        if (!guard_watches()) /* no write without need to what every connect() reads */
            atomic_store_explicit(&watches, true, memory_order_relaxed);
        bell_now = bell_count(segment);
        kick_now = atomic_load_explicit(&kicks, memory_order_relaxed);
        if (segment == before && bell_now != bell) {
            /* Before the word is passed on: a few who hear it are enough to fill a vacant post. */
            background_look(segment, CALLER_RESOLVER, clock_boot_ns());
            heard = true;
        }
        /* Few sockets are done with before those who are woken could take the processor away. */
        if (heard && track_places() > FEW_PLACES)
            bell_announce(segment);
        if (kick_now != kick || bell_now != bell)
            quiet_ticks = 0;
        before = segment;
        bell = bell_now;
        kick = kick_now;
        limit_ns = round_once(&round, segment, &quiet_ticks);
        if (heard)
            bell_announce(segment);
        if (limit_ns == 0 || limit_ns > TICK_MS * NS_PER_MS) {
            atomic_store_explicit(&asleep, true, memory_order_seq_cst);
            limit_ns = round_once(&round, segment, &quiet_ticks);
        }
        sleep_until_rung(segment, bell, kick, limit_ns);
        atomic_store_explicit(&asleep, false, memory_order_relaxed);
    }
}

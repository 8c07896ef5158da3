/*
 * A slot's claim is {nonce:31, being claimed:1, pid:32}. While it is being claimed the nonce is the
 * time in ms, so that a claimer that died half way blocks the slot for one lease only; afterwards
 * it tells two claims of one process apart.
 */
#include "state/contender.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "state/files.h"
#include "state/place.h"

#define CLAIMING    (UINT64_C(1) << 32)
#define NONCE_SHIFT 33
#define NONCE_MASK  (UINT64_MAX >> NONCE_SHIFT)

/* Who waits beats at least as often as a deputy. */
#define GONE_NS (60 * LEASE_NS)

enum { STAT_TEXT = 1024, START_FIELD = 22 };

/* ---- identity ---- */

/* The number in /proc/self/stat is that of the namespace which /proc was mounted in. */
static uint32_t leading_number(const char *text)
{
    uint32_t number = 0;

    for (; *text >= '0' && *text <= '9'; text++)
        number = number * 10 + (uint32_t)(*text - '0');
    return number;
}

/* Field 22; the second is the program's name in brackets, which may hold anything. 0: not there. */
static uint64_t start_field(const char *stat)
{
    const char *at = strrchr(stat, ')');
    uint64_t ticks = 0;

    for (int field = 2; at && field < START_FIELD; field++) {
        at = strchr(at, ' ');
        if (at)
            at++;
    }
    for (; at && *at >= '0' && *at <= '9'; at++)
        ticks = ticks * 10 + (uint64_t)(*at - '0');
    return ticks;
}

static bool read_stat(const char *path, char text[static STAT_TEXT])
{
    int fd = file_open(path, O_RDONLY, 0);
    long length;

    if (fd < 0)
        return false;
    length = file_read(fd, text, STAT_TEXT - 1);
    close(fd);
    if (length <= 0)
        return false;
    text[length] = '\0';
    return true;
}

/* 0: cannot be told, also when /proc is that of another pid namespace. */
static uint64_t own_start_ticks(void)
{
    char text[STAT_TEXT];

    if (!read_stat("/proc/self/stat", text) || leading_number(text) != (uint32_t)getpid())
        return 0;
    return start_field(text);
}

static uint64_t start_ticks_of(uint32_t pid)
{
    char path[48];
    char text[STAT_TEXT];

    text_format(path, sizeof(path), "/proc/%u/stat", (unsigned)pid);
    return read_stat(path, text) ? start_field(text) : 0;
}

/* ---- slots ---- */

struct contender_slot *contender_at(const struct segment *segment, uint32_t slot)
{
    return slot < CONTENDERS_MAX ? &segment_live_head(segment)->contenders[slot] : NULL;
}

uint32_t contender_pid(const struct contender_slot *slot)
{
    return (uint32_t)load_relaxed(&slot->claim);
}

static uint64_t claim_of(uint64_t nonce, bool claiming)
{
    return (nonce & NONCE_MASK) << NONCE_SHIFT | (claiming ? CLAIMING : 0) | (uint32_t)getpid();
}

static uint64_t time_nonce(uint64_t now_ns)
{
    return now_ns / NS_PER_MS & NONCE_MASK;
}

void contender_beat(const struct contender *self, uint64_t now_ns)
{
    struct contender_slot *slot = contender_at(self->segment, self->slot);

    if (!slot || !contender_owns(self))
        return;
    /* A claimer that was stopped for long may have written over these. */
    store_relaxed(&slot->pid_namespace, self->pid_namespace);
    store_relaxed(&slot->start_ticks, self->start_ticks);
    /* Release; partner: contender_beats(). */
    atomic_store_explicit(&slot->heartbeat_ns, now_ns, memory_order_release);
}

bool contender_beats(const struct contender_slot *slot, uint64_t now_ns, uint64_t silence_ns)
{
    uint64_t beat_ns = atomic_load_explicit(&slot->heartbeat_ns, memory_order_acquire);

    /* The reader may have looked at the clock a little earlier; more is another time, or garbage.
     */
    if (beat_ns > now_ns)
        return beat_ns - now_ns <= LEASE_NS;
    return now_ns - beat_ns <= silence_ns;
}

static bool is_being_claimed(uint64_t claim, uint64_t now_ns)
{
    uint64_t age_ms = (time_nonce(now_ns) - (claim >> NONCE_SHIFT)) & NONCE_MASK;

    return claim & CLAIMING && age_ms <= LEASE_NS / NS_PER_MS;
}

bool contender_is_dead(const struct contender_slot *slot, const struct contender *self)
{
    /* Acquire; partner: take_slot(). */
    uint64_t claim = atomic_load_explicit(&slot->claim, memory_order_acquire);
    uint64_t namespace = load_relaxed(&slot->pid_namespace);
    uint64_t start_ticks = load_relaxed(&slot->start_ticks);
    uint32_t pid = (uint32_t)claim;
    uint64_t now_ticks;

    if (claim == 0)
        return true;
    if (claim & CLAIMING || namespace == 0 || namespace != self->pid_namespace)
        return false;
    if (pid == (uint32_t)getpid())
        return claim != self->claim || slot != contender_at(self->segment, self->slot);
    if (kill((pid_t)pid, 0) != 0 && errno == ESRCH)
        return true;
    /* A zombie may be a process whose main thread has ended: then its heartbeat tells. */
    if (start_ticks == 0 || self->start_ticks == 0)
        return false;
    now_ticks = start_ticks_of(pid);
    return now_ticks != 0 && now_ticks != start_ticks;
}

static bool is_pointed_to(const struct segment *segment, uint32_t slot)
{
    const struct live_head *head = segment_live_head(segment);

    return post_unpack(load_relaxed(&head->lease)).slot == slot ||
           post_unpack(load_relaxed(&head->deputy)).slot == slot;
}

static bool may_have(const struct contender *self, uint32_t index, uint64_t claim, uint64_t now_ns)
{
    const struct contender_slot *slot = contender_at(self->segment, index);

    if (is_pointed_to(self->segment, index) || is_being_claimed(claim, now_ns))
        return false;
    return claim & CLAIMING || contender_is_dead(slot, self) ||
           (load_relaxed(&slot->pid_namespace) != self->pid_namespace &&
            !contender_beats(slot, now_ns, GONE_NS));
}

static bool take_slot(struct contender *self, uint32_t index, uint64_t before, uint64_t now_ns)
{
    struct contender_slot *slot = contender_at(self->segment, index);
    uint64_t claiming = claim_of(time_nonce(now_ns), true);
    uint64_t claim = claim_of(now_ns, false);

    if (!atomic_compare_exchange_strong_explicit(&slot->claim, &before, claiming,
                                                 memory_order_acquire, memory_order_relaxed))
        return false;
    store_relaxed(&slot->pid_namespace, self->pid_namespace);
    store_relaxed(&slot->start_ticks, self->start_ticks);
    store_relaxed(&slot->heartbeat_ns, now_ns);
    /* Release: who sees the claim sees whose it is. */
    if (!atomic_compare_exchange_strong_explicit(&slot->claim, &claiming, claim,
                                                 memory_order_release, memory_order_relaxed))
        return false;
    self->slot = index;
    self->claim = claim;
    return true;
}

void contender_identify(struct contender *self)
{
    self->pid_namespace = place_pid_namespace();
    self->start_ticks = own_start_ticks();
}

static uint64_t claim_at(const struct contender *self, uint32_t index)
{
    return load_relaxed(&contender_at(self->segment, index)->claim);
}

int contender_claim(struct contender *self, uint64_t now_ns)
{
    contender_identify(self);
    self->claim = 0;
    for (uint32_t i = 0; i < CONTENDERS_MAX; i++)
        if (claim_at(self, i) == 0 && take_slot(self, i, 0, now_ns))
            return 0;
    for (uint32_t i = 0; i < CONTENDERS_MAX; i++) {
        uint64_t claim = claim_at(self, i);

        if (may_have(self, i, claim, now_ns) && take_slot(self, i, claim, now_ns))
            return 0;
    }
    return -ENOSPC;
}

bool contender_owns(const struct contender *self)
{
    const struct contender_slot *slot = contender_at(self->segment, self->slot);

    return self->claim != 0 && (uint32_t)self->claim == (uint32_t)getpid() &&
           load_relaxed(&slot->claim) == self->claim;
}

void contender_release(struct contender *self)
{
    struct contender_slot *slot = contender_at(self->segment, self->slot);
    uint64_t claim = self->claim;

    if (contender_owns(self))
        atomic_compare_exchange_strong_explicit(&slot->claim, &claim, 0, memory_order_release,
                                                memory_order_relaxed);
    self->claim = 0;
}

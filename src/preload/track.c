#include "preload/track.h"

#include <stddef.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "base/hints.h"
#include "base/shared.h"
#include "preload/real.h"

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

enum slot_state { EMPTY, WRITING, CONNECTING, SETTLED };
enum { LASTING_MS = 250 };
enum { SHUT = 0x100, EQUIPPED = 0x200, CLAIMED = 0x400 }; /* flags beside the state */
enum { SEGMENT_SHIFT = 16, SEGMENT_MASK = 0xff, ATTEMPT_SHIFT = 24, ATTEMPT_MASK = 0xffffff };
enum { RELEASE_WAIT_US = 50, RELEASE_WAITS = 100 };

struct slot {
    SHARED64 atomic_u64 cookie; /* 0: forgotten */
    SHARED64 atomic_u64 started_ns;
    SHARED64 atomic_u64 where; /* {service slot:16, endpoint slot:16, descriptor:32} */
    SHARED64 atomic_u64 state; /* {generation:16, attempt:24, segment:8, flags:8, slot_state:8} */
};

static struct slot slots[TRACKED_MAX];

/* One past the highest place ever used: what the guard has to look at. Only ever raised. */
static HOT_DATA _Atomic(unsigned) places;

static struct slot *slot_of(int fd)
{
    return &slots[(unsigned)fd % TRACKED_MAX];
}

static uint64_t where_pack(int fd, const struct tracked *what)
{
    return (uint64_t)what->service_slot << 48 | (uint64_t)what->endpoint_slot << 32 | (uint32_t)fd;
}

/* Which endpoint, and of which settings. */
static uint64_t whose_pack(const struct tracked *what)
{
    return (uint64_t)what->generation << 48 | (uint64_t)what->segment << SEGMENT_SHIFT;
}
#define WHOSE_MASK (UINT64_C(0xffff) << 48 | (uint64_t)SEGMENT_MASK << SEGMENT_SHIFT)

HOT uint64_t socket_cookie(int fd)
{
    uint64_t cookie = 0;
    socklen_t size = sizeof(cookie);

    if (UNLIKELY(real_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0 ||
                 size != sizeof(cookie)))
        return 0;
    return cookie;
}

bool track_absent(int fd)
{
    const struct slot *slot = slot_of(fd);

    return fd < 0 || (load_relaxed(&slot->state) & 0xff) < CONNECTING ||
           (uint32_t)load_relaxed(&slot->where) != (uint32_t)fd;
}

/* `state` is that of the slot before. */
static bool is_lasting(const struct slot *slot, uint64_t state, uint64_t whose, uint64_t where,
                       const struct tracked *what)
{
    uint64_t cookie = load_relaxed(&slot->cookie);

    return what->started_ns - load_relaxed(&slot->started_ns) >= LASTING_MS * NS_PER_MS &&
           (state & 0xff) == SETTLED && (state & WHOSE_MASK) == whose &&
           load_relaxed(&slot->where) == where && cookie != 0 && cookie != what->cookie;
}

static void raise_places(unsigned place)
{
    unsigned known = atomic_load_explicit(&places, memory_order_relaxed);

    while (UNLIKELY(known <= place) &&
           !atomic_compare_exchange_weak_explicit(&places, &known, place + 1, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

/* The state word of the attempt after that of `state`, as it is being written. */
static uint64_t next_attempt(uint64_t state, uint64_t flags)
{
    return flags | (((state >> ATTEMPT_SHIFT) + 1) & ATTEMPT_MASK) << ATTEMPT_SHIFT | WRITING;
}

/*
 * Takes the slot for a new attempt; the word to go on from, 0: the guard has claimed the attempt
 * before, of the same socket, and does not let go. Acquire; partner: track_release(): what the
 * guard did is done. Another writer is waited for as well, and no longer: a jump may have ended it.
 */
RARE static uint64_t take_in_turn(struct slot *slot, uint64_t cookie, uint64_t flags)
{
    const struct timespec pause = {0, RELEASE_WAIT_US * (long)NS_PER_US};
    uint64_t state = load_relaxed(&slot->state), next;

    for (int waits = 0;;) {
        bool claimed = state & CLAIMED && load_relaxed(&slot->cookie) == cookie;

        if ((claimed || (state & 0xff) == WRITING) && waits++ < RELEASE_WAITS) {
            nanosleep(&pause, NULL);
            state = load_relaxed(&slot->state);
            continue;
        }
        if (claimed)
            return 0;
        next = next_attempt(state, flags);
        if (atomic_compare_exchange_weak_explicit(&slot->state, &state, next, memory_order_acquire,
                                                  memory_order_relaxed))
            return next;
    }
}

/* The same. Nearly always nobody else is at it. */
static uint64_t take(struct slot *slot, uint64_t state, uint64_t cookie, uint64_t flags)
{
    uint64_t next = next_attempt(state, flags);

    if (LIKELY(!(state & CLAIMED) && (state & 0xff) != WRITING &&
               atomic_compare_exchange_strong_explicit(&slot->state, &state, next,
                                                       memory_order_acquire, memory_order_relaxed)))
        return next;
    return take_in_turn(slot, cookie, flags);
}

HOT bool track_begin(int fd, const struct tracked *what, bool *follows)
{
    struct slot *slot = slot_of(fd);
    uint64_t whose = whose_pack(what), where = where_pack(fd, what);
    uint64_t state = load_relaxed(&slot->state);

    if (UNLIKELY(fd < 0 || what->cookie == 0))
        return true;
    if (UNLIKELY(is_lasting(slot, state, whose, where, what)))
        *follows = true;
    raise_places((unsigned)fd % TRACKED_MAX);
    state = take(slot, state, what->cookie, whose | (what->equipped ? EQUIPPED : 0));
    if (UNLIKELY(state == 0))
        return false;
    /* Not before the word that says so: whoever reads these words looks at it again. */
    atomic_thread_fence(memory_order_release);
    store_relaxed(&slot->cookie, what->cookie);
    store_relaxed(&slot->started_ns, what->started_ns);
    store_relaxed(&slot->where, where);
    /* Release; partner: the acquire in track_find(). Fails where a later writer did not wait. */
    atomic_compare_exchange_strong_explicit(&slot->state, &state,
                                            (state & ~UINT64_C(0xff)) | CONNECTING,
                                            memory_order_release, memory_order_relaxed);
    return true;
}

static bool is_attempt(uint64_t state, uint32_t attempt)
{
    return (state >> ATTEMPT_SHIFT & ATTEMPT_MASK) == attempt;
}

/* Mostly the place is of a descriptor that was closed since. */
HOT bool track_may_know(int fd, uint64_t cookie)
{
    return fd >= 0 && cookie != 0 && load_relaxed(&slot_of(fd)->cookie) == cookie;
}

bool track_find(int fd, uint64_t cookie, struct tracked *out)
{
    const struct slot *slot = slot_of(fd);
    uint64_t where, state, state_after;

    if (!track_may_know(fd, cookie))
        return false;
    state = atomic_load_explicit(&slot->state, memory_order_acquire);
    where = load_relaxed(&slot->where);
    *out = (struct tracked){
        .cookie = load_relaxed(&slot->cookie),
        .started_ns = load_relaxed(&slot->started_ns),
        .segment = state >> SEGMENT_SHIFT & SEGMENT_MASK,
        .service_slot = where >> 48 & 0xffff,
        .endpoint_slot = where >> 32 & 0xffff,
        .generation = state >> 48 & 0xffff,
        .attempt = state >> ATTEMPT_SHIFT & ATTEMPT_MASK,
    };
    atomic_thread_fence(memory_order_acquire);
    state_after = load_relaxed(&slot->state);
    out->connecting = (state_after & 0xff) == CONNECTING;
    out->shut = (state_after & SHUT) != 0;
    out->equipped = (state_after & EQUIPPED) != 0;
    return (state & 0xff) >= CONNECTING && (state_after & 0xff) >= CONNECTING &&
           is_attempt(state_after, out->attempt) && (uint32_t)where == (uint32_t)fd &&
           out->cookie == cookie;
}

HOT bool track_settle(int fd, uint64_t cookie)
{
    struct slot *slot = slot_of(fd);
    uint64_t state = load_relaxed(&slot->state);

    /* Again when the guard has set a flag meanwhile. */
    while (fd >= 0 && load_relaxed(&slot->cookie) == cookie && (state & 0xff) == CONNECTING)
        if (atomic_compare_exchange_weak_explicit(&slot->state, &state,
                                                  (state & ~UINT64_C(0xff)) | SETTLED,
                                                  memory_order_relaxed, memory_order_relaxed))
            return true;
    return false;
}

unsigned track_places(void)
{
    return atomic_load_explicit(&places, memory_order_relaxed);
}

bool track_at(unsigned place, int *fd, struct tracked *out)
{
    const struct slot *slot = &slots[place];
    uint64_t cookie = load_relaxed(&slot->cookie);

    *fd = (int)(uint32_t)load_relaxed(&slot->where);
    return cookie != 0 && (unsigned)*fd % TRACKED_MAX == place && track_find(*fd, cookie, out);
}

/* Sets and clears flags of this attempt. False: it is over, or has one of `unless`. */
static bool change_flags(int fd, const struct tracked *what, uint64_t set, uint64_t clear,
                         uint64_t unless)
{
    struct slot *slot = slot_of(fd);
    uint64_t state = load_relaxed(&slot->state);

    while (load_relaxed(&slot->cookie) == what->cookie && is_attempt(state, what->attempt) &&
           !(state & unless))
        if (atomic_compare_exchange_weak_explicit(&slot->state, &state, (state | set) & ~clear,
                                                  memory_order_release, memory_order_relaxed))
            return true;
    return false;
}

bool track_claim(int fd, const struct tracked *what)
{
    return change_flags(fd, what, CLAIMED | SHUT, 0, CLAIMED);
}

void track_release(int fd, const struct tracked *what)
{
    change_flags(fd, what, 0, CLAIMED, 0);
}

bool track_was_shut(int fd, uint64_t cookie)
{
    struct tracked tracked;

    return track_find(fd, cookie, &tracked) && tracked.shut;
}

void track_mark_equipped(int fd, const struct tracked *what)
{
    change_flags(fd, what, EQUIPPED, 0, 0);
}

void track_forget(int fd, uint64_t cookie)
{
    if (fd >= 0 && cookie != 0)
        atomic_compare_exchange_strong_explicit(&slot_of(fd)->cookie, &cookie, 0,
                                                memory_order_relaxed, memory_order_relaxed);
}

#include "preload/track.h"

#include <stddef.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/shared.h"
#include "preload/real.h"

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

enum slot_state { EMPTY, CONNECTING, SETTLED };
enum { LASTING_MS = 250 };
enum { SHUT = 0x100, EQUIPPED = 0x200 }; /* flags beside the state */

struct slot {
    SHARED64 atomic_u64 cookie;
    SHARED64 atomic_u64 started_ns;
    SHARED64 atomic_u64 where; /* {service slot:16, endpoint slot:16, descriptor:32} */
    SHARED64 atomic_u64 state; /* {generation:16, 0:38, flags:2, enum slot_state:8} */
};

static struct slot slots[TRACKED_MAX];

/* One past the highest place ever used: what the guard has to look at. Only ever raised. */
static _Atomic(unsigned) places;

static struct slot *slot_of(int fd)
{
    return &slots[(unsigned)fd % TRACKED_MAX];
}

static uint64_t where_pack(int fd, uint32_t service_slot, uint32_t endpoint_slot)
{
    return (uint64_t)(service_slot & 0xffff) << 48 | (uint64_t)(endpoint_slot & 0xffff) << 32 |
           (uint32_t)fd;
}

uint64_t socket_cookie(int fd)
{
    uint64_t cookie = 0;
    socklen_t size = sizeof(cookie);

    if (real_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0 || size != sizeof(cookie))
        return 0;
    return cookie;
}

bool track_absent(int fd)
{
    const struct slot *slot = slot_of(fd);

    return fd < 0 || (load_relaxed(&slot->state) & 0xff) == EMPTY ||
           (uint32_t)load_relaxed(&slot->where) != (uint32_t)fd;
}

bool track_follows(int fd, const struct tracked *what)
{
    const struct slot *slot = slot_of(fd);
    uint64_t cookie = load_relaxed(&slot->cookie), state = load_relaxed(&slot->state);

    return fd >= 0 && cookie != 0 && cookie != what->cookie && (state & 0xff) == SETTLED &&
           load_relaxed(&slot->where) == where_pack(fd, what->service_slot, what->endpoint_slot) &&
           state >> 48 == (what->generation & 0xffff) &&
           what->started_ns - load_relaxed(&slot->started_ns) >= LASTING_MS * NS_PER_MS;
}

void track_begin(int fd, const struct tracked *what)
{
    struct slot *slot = slot_of(fd);

    unsigned place = (unsigned)fd % TRACKED_MAX;
    unsigned known = atomic_load_explicit(&places, memory_order_relaxed);

    if (fd < 0 || what->cookie == 0)
        return;
    while (known <= place &&
           !atomic_compare_exchange_weak_explicit(&places, &known, place + 1, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
    /* Cookie last and released: whoever acquires it sees the rest, and none sees old words under
     * it. */
    atomic_store_explicit(&slot->cookie, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    store_relaxed(&slot->started_ns, what->started_ns);
    store_relaxed(&slot->where, where_pack(fd, what->service_slot, what->endpoint_slot));
    store_relaxed(&slot->state, (uint64_t)(what->generation & 0xffff) << 48 |
                                    (what->equipped ? EQUIPPED : 0) | CONNECTING);
    atomic_store_explicit(&slot->cookie, what->cookie, memory_order_release);
}

bool track_find(int fd, uint64_t cookie, struct tracked *out)
{
    const struct slot *slot = slot_of(fd);
    uint64_t where, state;

    if (fd < 0 || cookie == 0 ||
        atomic_load_explicit(&slot->cookie, memory_order_acquire) != cookie)
        return false;
    where = load_relaxed(&slot->where);
    state = load_relaxed(&slot->state);
    *out = (struct tracked){
        .cookie = cookie,
        .started_ns = load_relaxed(&slot->started_ns),
        .service_slot = where >> 48 & 0xffff,
        .endpoint_slot = where >> 32 & 0xffff,
        .generation = state >> 48 & 0xffff,
        .connecting = (state & 0xff) == CONNECTING,
        .shut = (state & SHUT) != 0,
        .equipped = (state & EQUIPPED) != 0,
    };
    atomic_thread_fence(memory_order_acquire);
    return (uint32_t)where == (uint32_t)fd && (state & 0xff) != EMPTY &&
           load_relaxed(&slot->cookie) == cookie;
}

bool track_settle(int fd, uint64_t cookie)
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
    uint64_t cookie = atomic_load_explicit(&slot->cookie, memory_order_acquire);

    *fd = (int)(uint32_t)load_relaxed(&slot->where);
    return cookie != 0 && (unsigned)*fd % TRACKED_MAX == place && track_find(*fd, cookie, out);
}

/* True when this call has set it. */
static bool set_flag(int fd, uint64_t cookie, uint64_t flag)
{
    struct slot *slot = slot_of(fd);
    uint64_t state = load_relaxed(&slot->state);

    while (load_relaxed(&slot->cookie) == cookie && !(state & flag))
        if (atomic_compare_exchange_weak_explicit(&slot->state, &state, state | flag,
                                                  memory_order_relaxed, memory_order_relaxed))
            return true;
    return false;
}

bool track_mark_shut(int fd, uint64_t cookie)
{
    return set_flag(fd, cookie, SHUT);
}

bool track_was_shut(int fd, uint64_t cookie)
{
    struct tracked tracked;

    return track_find(fd, cookie, &tracked) && tracked.shut;
}

void track_mark_equipped(int fd, uint64_t cookie)
{
    set_flag(fd, cookie, EQUIPPED);
}

void track_forget(int fd, uint64_t cookie)
{
    if (fd >= 0 && cookie != 0)
        atomic_compare_exchange_strong_explicit(&slot_of(fd)->cookie, &cookie, 0,
                                                memory_order_relaxed, memory_order_relaxed);
}

/*
 * Nothing here is ever cleared: each word says which generation of the closed breaker it counts
 * for, and a word of another generation counts as empty. So no window outlives the process that
 * died before clearing it, and a call that is recorded late spoils no later window.
 *
 * Writing over a newer word is allowed: a thread that slept from one closed breaker into the next
 * costs the new one at most what a tenth, or the calls since it closed, have counted. It never adds
 * a failure to it.
 *
 * All accesses are relaxed. A word stands for itself, and a sum is taken of words that change
 * meanwhile in any case.
 */
#include "policy/window.h"

#include "base/hints.h"

enum { TENTHS = 10, TALLIES = 3, TROUBLE = TENTHS * TALLIES };

/*
 * Time window: three words for each tenth, at (tick % 10), the tick being the time in tenths.
 *
 *     63        32 31       24 23        0
 *     | tick      | generation | count   |
 *
 * And one in the same form, its count always 1: when the last failure or slow call was, so that a
 * window without any is known without a sum.
 */
enum tally { TALLY_CALLS, TALLY_FAILURES, TALLY_SLOW };
enum { COUNT_BITS = 24, TICK_SHIFT = 32 };
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

_Static_assert(COUNT_BITS + 8 == TICK_SHIFT, "the generation fills the gap");
_Static_assert(TENTHS *TALLIES + 1 <= BREAKER_WINDOW_WORDS, "a time window fits");

/*
 * Count window: a bit per call in each of two bitmaps, a ring. `calls` says how it is used.
 *
 *     63      56 55       48 47     32 31     16 15    0
 *     | 0       | generation | size   | held   | next  |
 *
 * A `size` other than the rules' (they were reloaded) makes it empty, too.
 */
enum { BITMAP_WORDS = BREAKER_WINDOW_CALLS / 64 };

_Static_assert(2 * BITMAP_WORDS <= BREAKER_WINDOW_WORDS, "a count window fits");
_Static_assert(BREAKER_WINDOW_CALLS <= UINT16_MAX, "a position has 16 bits");

struct ring {
    uint16_t next; /* position of the next call */
    uint16_t held; /* calls in the window */
};

static uint64_t tick_of(const struct breaker_rules *rules, uint64_t now_ns)
{
    uint64_t tenth_ns = rules->window_ns / TENTHS;

    return now_ns / (tenth_ns ? tenth_ns : 1);
}

static void tally_up(atomic_u64 *word, uint64_t tick, uint8_t generation)
{
    uint64_t stamp = (uint64_t)(uint32_t)tick << TICK_SHIFT | (uint64_t)generation << COUNT_BITS;
    uint64_t seen = load_relaxed(word);
    uint64_t next;

    do {
        uint64_t count = (seen & ~COUNT_MASK) == stamp ? seen & COUNT_MASK : 0;

        next = stamp | (count < COUNT_MASK ? count + 1 : count);
    } while (!atomic_compare_exchange_weak_explicit(word, &seen, next, memory_order_relaxed,
                                                    memory_order_relaxed));
}

/* Is the word of this generation, and of one of the last ten ticks? */
static bool is_current(uint64_t word, uint64_t tick, uint8_t generation)
{
    return (uint32_t)tick - (uint32_t)(word >> TICK_SHIFT) < TENTHS &&
           (uint8_t)(word >> COUNT_BITS) == generation;
}

/*
 * Before the tallies, so that of two calls that are recorded at once the later sees the other's
 * trouble. Where a processor shows the two in another order, or window_add_calm() has just looked,
 * the next call sees it.
 */
static void note_trouble(atomic_u64 *word, uint64_t tick, uint8_t generation)
{
    uint64_t now = (uint64_t)(uint32_t)tick << TICK_SHIFT | (uint64_t)generation << COUNT_BITS | 1;
    uint64_t seen = load_relaxed(word);

    while (seen != now &&
           !atomic_compare_exchange_weak_explicit(word, &seen, now, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

/* True: there is trouble. */
static bool add_to_tenths(struct breaker *breaker, uint64_t tick, uint8_t generation, bool failed,
                          bool slow)
{
    atomic_u64 *tallies = &breaker->window[tick % TENTHS * TALLIES];

    /* A count window that comes back after a reload must not find its bits among these words. */
    if (load_relaxed(&breaker->calls) != 0)
        store_relaxed(&breaker->calls, 0);
    if (failed || slow)
        note_trouble(&breaker->window[TROUBLE], tick, generation);
    tally_up(&tallies[TALLY_CALLS], tick, generation);
    if (failed)
        tally_up(&tallies[TALLY_FAILURES], tick, generation);
    if (slow)
        tally_up(&tallies[TALLY_SLOW], tick, generation);
    return is_current(load_relaxed(&breaker->window[TROUBLE]), tick, generation);
}

static uint32_t sum_of_tenths(const struct breaker *breaker, uint64_t tick, uint8_t generation,
                              enum tally tally)
{
    const atomic_u64 *word = &breaker->window[tally];
    uint32_t sum = 0;

    for (unsigned i = 0; i < TENTHS; i++, word += TALLIES) {
        uint64_t value = load_relaxed(word);

        if (is_current(value, tick, generation))
            sum += value & COUNT_MASK;
    }
    return sum;
}

/* Bounded, because rules and words lie in shared memory and index the bitmaps. */
static uint16_t ring_size(const struct breaker_rules *rules)
{
    if (rules->window_calls < 1)
        return 1;
    return rules->window_calls > BREAKER_WINDOW_CALLS ? BREAKER_WINDOW_CALLS
                                                      : (uint16_t)rules->window_calls;
}

static uint64_t ring_pack(struct ring ring, uint16_t size, uint8_t generation)
{
    return (uint64_t)generation << 48 | (uint64_t)size << 32 | (uint64_t)ring.held << 16 |
           ring.next;
}

static struct ring ring_unpack(uint64_t word, uint16_t size, uint8_t generation)
{
    struct ring ring = {.next = (uint16_t)word, .held = (uint16_t)(word >> 16)};

    if ((uint16_t)(word >> 32) != size || (uint8_t)(word >> 48) != generation ||
        ring.next >= size || ring.held > size)
        return (struct ring){0};
    return ring;
}

static void set_bit(atomic_u64 *bitmap, unsigned position, bool value)
{
    uint64_t bit = UINT64_C(1) << (position % 64);

    if (value)
        atomic_fetch_or_explicit(&bitmap[position / 64], bit, memory_order_relaxed);
    else
        atomic_fetch_and_explicit(&bitmap[position / 64], ~bit, memory_order_relaxed);
}

static void add_to_ring(struct breaker *breaker, uint16_t size, uint8_t generation, bool failed,
                        bool slow)
{
    uint64_t seen = load_relaxed(&breaker->calls);
    struct ring ring;
    uint16_t position;

    /* Whoever moves `next` on owns the position it stood at. */
    do {
        ring = ring_unpack(seen, size, generation);
        position = ring.next;
        ring.next = (uint16_t)((ring.next + 1) % size);
        if (ring.held < size)
            ring.held++;
    } while (!atomic_compare_exchange_weak_explicit(&breaker->calls, &seen,
                                                    ring_pack(ring, size, generation),
                                                    memory_order_relaxed, memory_order_relaxed));
    set_bit(breaker->window, position, failed);
    set_bit(breaker->window + BITMAP_WORDS, position, slow);
}

static uint32_t count_bits(const atomic_u64 *bitmap, unsigned bits)
{
    uint32_t count = 0;

    for (unsigned i = 0; i * 64 < bits; i++) {
        uint64_t word = load_relaxed(&bitmap[i]);
        unsigned used = bits - i * 64;

        if (used < 64)
            word &= (UINT64_C(1) << used) - 1;
        count += (uint32_t)__builtin_popcountll(word);
    }
    return count;
}

bool window_add(struct breaker *breaker, const struct breaker_rules *rules, uint8_t generation,
                bool failed, bool slow, uint64_t now_ns)
{
    if (rules->window_ns)
        return add_to_tenths(breaker, tick_of(rules, now_ns), generation, failed, slow);
    add_to_ring(breaker, ring_size(rules), generation, failed, slow);
    return true;
}

HOT bool window_add_calm(struct breaker *breaker, const struct breaker_rules *rules,
                         uint8_t generation, uint64_t now_ns)
{
    uint64_t tick = tick_of(rules, now_ns);

    if (UNLIKELY(rules->window_ns == 0 || load_relaxed(&breaker->calls) != 0 ||
                 is_current(load_relaxed(&breaker->window[TROUBLE]), tick, generation)))
        return false;
    tally_up(&breaker->window[tick % TENTHS * TALLIES + TALLY_CALLS], tick, generation);
    return true;
}

struct window_counts window_sum(const struct breaker *breaker, const struct breaker_rules *rules,
                                uint8_t generation, uint64_t now_ns)
{
    if (rules->window_ns) {
        uint64_t tick = tick_of(rules, now_ns);

        return (struct window_counts){
            .calls = sum_of_tenths(breaker, tick, generation, TALLY_CALLS),
            .failures = sum_of_tenths(breaker, tick, generation, TALLY_FAILURES),
            .slow = sum_of_tenths(breaker, tick, generation, TALLY_SLOW),
        };
    }

    uint32_t held = ring_unpack(load_relaxed(&breaker->calls), ring_size(rules), generation).held;

    return (struct window_counts){
        .calls = held,
        .failures = count_bits(breaker->window, held),
        .slow = count_bits(breaker->window + BITMAP_WORDS, held),
    };
}

#include "policy/breaker.h"

#include "base/clock.h"
#include "base/hints.h"
#include "policy/backoff.h"
#include "policy/window.h"

/*
 * The state word. All zero is a closed breaker without a past, as a new segment has it.
 *
 *     63          24 23       16 15   10 9        2 1   0
 *     | until_ms    | generation | trips | successes | kind |
 *
 * One word, so that a transition is one compare-and-swap: its winner reports it, a loser looks
 * again. The order is relaxed: nothing is read on the strength of this word but words that carry
 * its generation themselves.
 */
enum {
    KIND_BITS = 2,
    SUCCESSES_BITS = 8,
    TRIPS_BITS = 6,
    GENERATION_BITS = 8,
    UNTIL_BITS = 40, /* in ms: 34 years of uptime */

    SUCCESSES_SHIFT = KIND_BITS,
    TRIPS_SHIFT = SUCCESSES_SHIFT + SUCCESSES_BITS,
    GENERATION_SHIFT = TRIPS_SHIFT + TRIPS_BITS,
    UNTIL_SHIFT = GENERATION_SHIFT + GENERATION_BITS,

    SUCCESSES_MOST = (1 << SUCCESSES_BITS) - 1,
    TRIPS_MOST = (1 << TRIPS_BITS) - 1,
};

_Static_assert(UNTIL_SHIFT + UNTIL_BITS == 64, "the fields fill the word");
_Static_assert(BREAKER_HALF_OPEN < 1 << KIND_BITS, "a kind fits");

enum { OPEN_JITTER = 1000 };          /* +-10 % */
#define HOLD_MOST_NS (600 * NS_PER_S) /* no connect.timeout is that long */

struct state {
    enum breaker_state kind;
    unsigned successes; /* half-open: so far */
    unsigned trips;     /* how often it opened since it was last closed */
    uint8_t generation; /* counts the times it closed: windows and streaks of others are void */
    uint64_t until_ms;  /* open: until then, rounded up */
};

static struct state state_unpack(uint64_t word)
{
    return (struct state){
        .kind = (enum breaker_state)(word & ((1 << KIND_BITS) - 1)),
        .successes = word >> SUCCESSES_SHIFT & SUCCESSES_MOST,
        .trips = word >> TRIPS_SHIFT & TRIPS_MOST,
        .generation = (uint8_t)(word >> GENERATION_SHIFT),
        .until_ms = word >> UNTIL_SHIFT,
    };
}

static uint64_t state_pack(struct state state)
{
    return (uint64_t)state.kind | (uint64_t)state.successes << SUCCESSES_SHIFT |
           (uint64_t)state.trips << TRIPS_SHIFT | (uint64_t)state.generation << GENERATION_SHIFT |
           state.until_ms << UNTIL_SHIFT;
}

static uint64_t state_until_ns(struct state state)
{
    return state.until_ms * NS_PER_MS;
}

/*
 * A process whose clock is not the host's (a library that shifts it, say) may write any deadline.
 * One that lies further ahead than the rules could have put it counts as passed.
 */
static bool is_ahead(uint64_t deadline_ns, uint64_t most_ns, uint64_t now_ns)
{
    return now_ns < deadline_ns && deadline_ns - now_ns <= most_ns;
}

static enum breaker_state state_at(struct state state, const struct breaker_rules *rules,
                                   uint64_t now_ns)
{
    uint64_t most_ns;

    switch (state.kind) {
    case BREAKER_OPEN:
        /* open_max, its jitter, and the whole millisecond that `until` is rounded to */
        most_ns = jitter_ns(rules->open_max_ns, OPEN_JITTER, UINT32_MAX) + NS_PER_MS;
        return is_ahead(state_until_ns(state), most_ns, now_ns) ? BREAKER_OPEN : BREAKER_HALF_OPEN;
    case BREAKER_HALF_OPEN:
        return BREAKER_HALF_OPEN;
    case BREAKER_CLOSED:
    case BREAKER_DISABLED: /* never written */
        break;
    }
    return BREAKER_CLOSED;
}

/* Relaxed on both paths, see the state word. */
static bool state_swap(struct breaker *breaker, uint64_t seen, struct state next)
{
    return atomic_compare_exchange_strong_explicit(&breaker->state, &seen, state_pack(next),
                                                   memory_order_relaxed, memory_order_relaxed);
}

static struct state state_closed(struct state state)
{
    return (struct state){.kind = BREAKER_CLOSED, .generation = (uint8_t)(state.generation + 1)};
}

static struct state state_opened(struct state state, const struct breaker_rules *rules,
                                 uint64_t now_ns, uint32_t random)
{
    uint64_t open_ns =
        backoff_ns(rules->open_ns, rules->open_backoff_milli, state.trips, rules->open_max_ns);

    open_ns = jitter_ns(open_ns, OPEN_JITTER, random);
    return (struct state){
        .kind = BREAKER_OPEN,
        .trips = state.trips < TRIPS_MOST ? state.trips + 1 : state.trips,
        .generation = state.generation,
        .until_ms = (now_ns + open_ns + NS_PER_MS - 1) / NS_PER_MS,
    };
}

static struct state state_succeeded(struct state state, const struct breaker_rules *rules)
{
    unsigned successes = state.kind == BREAKER_HALF_OPEN ? state.successes + 1 : 1;

    if (successes >= rules->half_open_successes || successes >= SUCCESSES_MOST)
        return state_closed(state);
    return (struct state){
        .kind = BREAKER_HALF_OPEN,
        .successes = successes,
        .trips = state.trips,
        .generation = state.generation,
    };
}

/*
 * The streak word: consecutive outcomes of one kind in one closed time. Relaxed: it stands for
 * itself.
 *
 *     63    48 47       40 39      32 31     0
 *     | 0     | generation | outcome | count |
 */
_Static_assert(OUTCOME_LOCAL <= UINT8_MAX, "an outcome fits");

/* Returns how many outcomes of this kind have now come in a row; 0 when this kind makes no streak.
 */
static uint32_t streak_record(struct breaker *breaker, uint8_t generation, enum outcome outcome)
{
    uint64_t kind = (uint64_t)generation << 40 | (uint64_t)outcome << 32;
    uint64_t seen = load_relaxed(&breaker->streak);
    uint32_t count;

    if (outcome != OUTCOME_REFUSED && outcome != OUTCOME_TIMEOUT) {
        /* No write to a line that all processes read without need. */
        if (seen != 0)
            store_relaxed(&breaker->streak, 0);
        return 0;
    }
    do {
        count = (seen & ~(uint64_t)UINT32_MAX) == kind ? (uint32_t)seen : 0;
        if (count < UINT32_MAX)
            count++;
    } while (!atomic_compare_exchange_weak_explicit(&breaker->streak, &seen, kind | count,
                                                    memory_order_relaxed, memory_order_relaxed));
    return count;
}

/* A share in hundredths of a percent; 0 never trips. */
static bool rate_reached(uint32_t part, uint32_t calls, uint32_t rate)
{
    return rate > 0 && (uint64_t)part * 10000 >= (uint64_t)rate * calls;
}

/* Records a call of the closed breaker; says why it has to open, or CAUSE_NONE. */
static enum breaker_cause record_closed(struct breaker *breaker, const struct breaker_rules *rules,
                                        uint8_t generation, enum outcome outcome, bool failed,
                                        bool slow, uint64_t now_ns)
{
    struct window_counts counts;
    bool trouble = window_add(breaker, rules, generation, failed, slow, now_ns);
    uint32_t streak = 0;

    if (failed || outcome == OUTCOME_OK)
        streak = streak_record(breaker, generation, outcome);
    if (outcome == OUTCOME_REFUSED && rules->refused > 0 && streak >= rules->refused)
        return CAUSE_REFUSED;
    if (outcome == OUTCOME_TIMEOUT && rules->timeouts > 0 && streak >= rules->timeouts)
        return CAUSE_TIMEOUTS;
    /* No rate is reached by none. */
    if (!trouble)
        return CAUSE_NONE;

    counts = window_sum(breaker, rules, generation, now_ns);
    if (counts.calls == 0 || counts.calls < rules->min_calls)
        return CAUSE_NONE;
    if (rate_reached(counts.failures, counts.calls, rules->failure_rate))
        return CAUSE_FAILURE_RATE;
    if (rate_reached(counts.slow, counts.calls, rules->slow_rate))
        return CAUSE_SLOW_RATE;
    return CAUSE_NONE;
}

static struct breaker_event opened_event(enum breaker_change change, enum breaker_cause cause,
                                         struct state next, uint64_t now_ns)
{
    return (struct breaker_event){change, cause, state_until_ns(next) - now_ns};
}

static bool is_slow(const struct breaker_rules *rules, uint64_t took_ns)
{
    return rules->slow_call_ns > 0 && took_ns >= rules->slow_call_ns;
}

HOT bool breaker_record_calm(struct breaker *breaker, const struct breaker_rules *rules,
                             uint64_t took_ns, uint64_t now_ns)
{
    struct state state = state_unpack(load_relaxed(&breaker->state));

    return LIKELY(rules->enabled && state.kind == BREAKER_CLOSED && !is_slow(rules, took_ns) &&
                  load_relaxed(&breaker->streak) == 0) &&
           window_add_calm(breaker, rules, state.generation, now_ns);
}

struct breaker_event breaker_record(struct breaker *breaker, const struct breaker_rules *rules,
                                    enum outcome outcome, uint64_t took_ns, uint64_t now_ns,
                                    uint32_t random)
{
    const struct breaker_event unchanged = {BREAKER_UNCHANGED, CAUSE_NONE, 0};
    bool slow = is_slow(rules, took_ns);
    bool ok = outcome == OUTCOME_OK;
    bool failed;

    if (!rules->enabled || outcome >= OUTCOME_LOCAL)
        return unchanged;
    failed = !ok && (rules->count & OUTCOME_BIT(outcome));

    for (;;) {
        uint64_t seen = load_relaxed(&breaker->state);
        struct state state = state_unpack(seen);
        enum breaker_state kind = state_at(state, rules, now_ns);
        struct breaker_event event = unchanged;
        struct state next;

        if (kind == BREAKER_CLOSED) {
            enum breaker_cause cause =
                record_closed(breaker, rules, state.generation, outcome, failed, slow, now_ns);

            if (cause == CAUSE_NONE)
                return unchanged;
            next = state_opened(state, rules, now_ns, random);
            /* The call is in the window now: who loses must not record it again. */
            return state_swap(breaker, seen, next)
                       ? opened_event(BREAKER_OPENED, cause, next, now_ns)
                       : unchanged;
        }
        if (ok) {
            next = state_succeeded(state, rules);
            if (next.kind == BREAKER_CLOSED)
                event.change = BREAKER_RECOVERED;
        } else if (failed && kind == BREAKER_HALF_OPEN) {
            next = state_opened(state, rules, now_ns, random);
            event = opened_event(BREAKER_REOPENED, CAUSE_TRIAL, next, now_ns);
        } else {
            return unchanged;
        }
        if (state_swap(breaker, seen, next))
            return event;
    }
}

HOT enum breaker_state breaker_state(const struct breaker *breaker,
                                     const struct breaker_rules *rules, uint64_t now_ns)
{
    struct state state = state_unpack(load_relaxed(&breaker->state));

    if (UNLIKELY(!rules->enabled))
        return BREAKER_DISABLED;
    return LIKELY(state.kind == BREAKER_CLOSED) ? BREAKER_CLOSED : state_at(state, rules, now_ns);
}

uint64_t breaker_remaining_ns(const struct breaker *breaker, const struct breaker_rules *rules,
                              uint64_t now_ns)
{
    struct state state = state_unpack(load_relaxed(&breaker->state));

    if (!rules->enabled || state_at(state, rules, now_ns) != BREAKER_OPEN)
        return 0;
    return state_until_ns(state) - now_ns;
}

/*
 * A token is its index in the low 3 bits, and the low 29 bits of the deadline it was taken with:
 * who comes back after its time must not give back what another has taken since.
 */
enum { TOKEN_INDEX_BITS = 3 };
_Static_assert(BREAKER_TOKENS == 1 << TOKEN_INDEX_BITS, "an index is in bounds by its width");

static unsigned token_name(unsigned index, uint64_t deadline_ns)
{
    return (unsigned)((uint32_t)deadline_ns << TOKEN_INDEX_BITS | index);
}

bool breaker_trial_begin(struct breaker *breaker, const struct breaker_rules *rules,
                         uint64_t now_ns, uint64_t hold_ns, unsigned *token)
{
    uint64_t deadline_ns = now_ns + hold_ns;

    if (breaker_state(breaker, rules, now_ns) != BREAKER_HALF_OPEN)
        return false;
    for (unsigned i = 0; i < BREAKER_TOKENS && i < rules->half_open_calls; i++) {
        uint64_t seen = load_relaxed(&breaker->tokens[i]);

        /* Relaxed: a token guards no data, only how many hold one. */
        if (!is_ahead(seen, HOLD_MOST_NS, now_ns) &&
            atomic_compare_exchange_strong_explicit(&breaker->tokens[i], &seen, deadline_ns,
                                                    memory_order_relaxed, memory_order_relaxed)) {
            *token = token_name(i, deadline_ns);
            return true;
        }
    }
    return false;
}

void breaker_trial_end(struct breaker *breaker, unsigned token)
{
    unsigned index = token % BREAKER_TOKENS;
    uint64_t seen = load_relaxed(&breaker->tokens[index]);

    /* Relaxed, as above. Where the swap fails, the token is another's already. */
    if (token_name(index, seen) == token)
        atomic_compare_exchange_strong_explicit(&breaker->tokens[index], &seen, 0,
                                                memory_order_relaxed, memory_order_relaxed);
}

void breaker_reset(struct breaker *breaker)
{
    uint64_t seen;

    do {
        seen = load_relaxed(&breaker->state);
    } while (!state_swap(breaker, seen, state_closed(state_unpack(seen))));
    for (unsigned i = 0; i < BREAKER_TOKENS; i++)
        store_relaxed(&breaker->tokens[i], 0);
}

const char *breaker_state_name(enum breaker_state state)
{
    switch (state) {
    case BREAKER_CLOSED:
        return "closed";
    case BREAKER_OPEN:
        return "open";
    case BREAKER_HALF_OPEN:
        return "half-open";
    case BREAKER_DISABLED:
        break;
    }
    return "disabled";
}

const char *breaker_cause_name(enum breaker_cause cause)
{
    switch (cause) {
    case CAUSE_REFUSED:
        return "consecutive refusals";
    case CAUSE_TIMEOUTS:
        return "consecutive timeouts";
    case CAUSE_FAILURE_RATE:
        return "failure rate";
    case CAUSE_SLOW_RATE:
        return "slow calls";
    case CAUSE_TRIAL:
        return "failed trial";
    case CAUSE_NONE:
        break;
    }
    return "none";
}

/*
 * window: counts of recent calls, by time or by number, in lock-free shared words.
 * Used by the breaker alone. [hook], pure.
 *
 * `generation` numbers the breaker's closed times: a window holds the calls of its own generation
 * only, so that each closed time starts with an empty one.
 */
#ifndef POLICY_WINDOW_H
#define POLICY_WINDOW_H

#include "policy/breaker.h"

struct window_counts {
    uint32_t calls;
    uint32_t failures;
    uint32_t slow;
};

/*
 * Adds one call at `now`. False: the window holds neither a failure nor a slow call, whatever else.
 * True: window_sum() knows more.
 */
bool window_add(struct breaker *breaker, const struct breaker_rules *rules, uint8_t generation,
                bool failed, bool slow, uint64_t now_ns);

/*
 * Adds a call that was neither failed nor slow to a time window that holds no failed or slow one.
 * False: it holds some, or the window counts calls, or did: nothing was added, and window_add() is
 * to do it.
 */
bool window_add_calm(struct breaker *breaker, const struct breaker_rules *rules, uint8_t generation,
                     uint64_t now_ns);

/* What the window holds at `now`. Concurrent adds may or may not be seen. */
struct window_counts window_sum(const struct breaker *breaker, const struct breaker_rules *rules,
                                uint8_t generation, uint64_t now_ns);

#endif

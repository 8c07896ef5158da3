/*
 * robust: has the kernel report the death of this thread in a word of the segment.
 *
 * The thread's robust list (set_robust_list(2)) gets one private node that points at the word. When
 * the thread ends, in whatever way (exit, exec, kill -9), and the word holds its id, Linux replaces
 * the id by ROBUST_OWNER_DIED and wakes one sleeper. Not when it is stopped. Nothing is called, so
 * it also works across namespaces. The list that libc keeps for its robust mutexes is put aside
 * meanwhile: the calling thread must not hold one. [hook]; errno is changed.
 */
#ifndef STATE_ROBUST_H
#define STATE_ROBUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shared.h"

/* As in <linux/futex.h>, which not every libc finds: bits of the word, what the kernel walks. */
#define ROBUST_SOMEBODY_WAITS UINT32_C(0x80000000)
#define ROBUST_OWNER_DIED     UINT32_C(0x40000000)

struct robust_node {
    struct robust_node *next;
};

struct robust_head {
    struct robust_node list;
    long word_offset; /* from a node to its word */
    struct robust_node *pending;
};

/* Must stay where it is, and live as long as the thread or until robust_end(). */
struct robust {
    struct robust_head head;
    struct robust_node node;
    void *before; /* libc's list */
    size_t before_size;
    uint32_t thread; /* 0: not begun, or the kernel refused */
};

/* For the calling thread. Without effect when it has begun, or where a filter refuses it. */
void robust_begin(struct robust *robust, atomic_u32 *word);
void robust_end(struct robust *robust);

/* What the word must hold for a death to be reported: the thread's id, and that somebody waits. */
uint32_t robust_value(const struct robust *robust);

static inline bool robust_died(uint32_t value)
{
    return value & ROBUST_OWNER_DIED;
}

#endif

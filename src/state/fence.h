/*
 * fence: memory fences with their reasons' names. GCC's thread sanitizer does not model fences and
 * says so as a warning; all data they order is atomic anyway, so there is no race for it to miss.
 */
#ifndef STATE_FENCE_H
#define STATE_FENCE_H

#include <stdatomic.h>

#ifdef __SANITIZE_THREAD__
#pragma GCC diagnostic ignored "-Wtsan"
#endif

/* Between copying shared words and asking whether they were whole (partner: fence_before_writing).
 */
static inline void fence_after_copying(void)
{
    atomic_thread_fence(memory_order_acquire);
}

/* Between the word that says "not valid any more" and the first word that is overwritten. */
static inline void fence_before_writing(void)
{
    atomic_thread_fence(memory_order_release);
}

/* Between giving evidence and reading what others decided: of two processes one sees the other. */
static inline void fence_evidence(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

#endif

/*
 * hints: for the compiler and the processor: which functions and data nearly every steered
 * connect() uses, and which hardly any does.
 *
 * The kernel's part of a connection leaves little of ours in the processor's caches, so what costs
 * is how many pages and lines the way leads through. HOT functions are linked side by side; a
 * branch to a RARE one is laid out off the way, and its frame is not part of the caller's.
 */
#ifndef BASE_HINTS_H
#define BASE_HINTS_H

#define LIKELY(x)   __builtin_expect_with_probability(!!(x), 1, 1.0)
#define UNLIKELY(x) __builtin_expect_with_probability(!!(x), 0, 1.0)

#define HOT  __attribute__((hot))
#define RARE __attribute__((cold, noinline))

/* Variables, zero at first, that every connect() reads and hardly any writes. Side by side, so that
 * they take few lines (where the library is linked as a whole: GCC). */
#define HOT_DATA __attribute__((section(".bss.hot")))

#endif

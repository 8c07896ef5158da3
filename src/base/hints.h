/*
 * hints: which functions nearly every steered connect() runs, and which hardly any does.
 *
 * The kernel's part of a connection leaves little of ours in the processor's caches, so what costs
 * is how many pages and lines the way leads through. HOT functions are linked side by side; a
 * branch to a RARE one is laid out off the way, and its frame is not part of the caller's.
 */
#ifndef BASE_HINTS_H
#define BASE_HINTS_H

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define HOT  __attribute__((hot))
#define RARE __attribute__((cold, noinline))

#endif

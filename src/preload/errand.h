/*
 * errand: what takes a child and somebody who waits for it. The prober must not: meanwhile nothing
 * would be checked. So a thread does it, one errand at a time.
 */
#ifndef PRELOAD_ERRAND_H
#define PRELOAD_ERRAND_H

#include <stdbool.h>

typedef void errand_function(void);

/* No errand is under way. */
bool errand_is_free(void);

/*
 * For the prober: has the thread (background.h) run `errand`. False: another one is under way, or
 * there is no thread, or not yet; a later call may do better.
 */
bool errand_begin(errand_function *errand);

/* The thread. Returns only where the kernel gives it no descriptors of its own. */
void errand_run(void);

/* In a forked child: the thread stayed behind. */
void errand_forget(void);

#endif

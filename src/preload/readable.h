/*
 * readable: may this memory be read without a fault?
 *
 * connect() with a wild pointer is EFAULT, and EBADF comes before it: a hook that reads the address
 * first would crash a program that the kernel would only have told off. Pages once found readable
 * are remembered, so the common case (a socket address on the stack or from getaddrinfo) costs a
 * few loads; a page that was unmapped since is the one case left to chance.
 */
#ifndef PRELOAD_READABLE_H
#define PRELOAD_READABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { READABLE_PAGE_SHIFT = 12, READABLE_PAGES = 64 };

/* Page numbers found readable; 0 = empty. Each word stands for itself: relaxed. */
extern _Atomic(uintptr_t) readable_pages[READABLE_PAGES];

/* Asks the kernel. */
bool readable_ask(uintptr_t first, uintptr_t last);

static inline bool readable_known(uintptr_t address)
{
    uintptr_t page = address >> READABLE_PAGE_SHIFT;

    /* Page 0 is what an empty place looks like. */
    return page != 0 && atomic_load_explicit(&readable_pages[page % READABLE_PAGES],
                                             memory_order_relaxed) == page;
}

/* [hook] errno untouched. `size` is 4..4096 bytes. */
static inline bool readable(const void *memory, size_t size)
{
    uintptr_t first = (uintptr_t)memory, last = first + size - 1;

    return (readable_known(first) && readable_known(last)) || readable_ask(first, last);
}

#endif

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

#include "base/hints.h"

enum { READABLE_PAGE_SHIFT = 12, READABLE_PAGES = 64 };

/* Pages found readable, as READABLE_WORD(page); 0 = empty. Each word stands for itself: relaxed. */
#define READABLE_WORD(page) (~(uintptr_t)(page)) /* never 0 */
extern _Atomic(uintptr_t) readable_pages[READABLE_PAGES];

/* Asks the kernel. */
bool readable_ask(const void *memory, size_t size);

static inline bool readable_page(uintptr_t page)
{
    return atomic_load_explicit(&readable_pages[page % READABLE_PAGES], memory_order_relaxed) ==
           READABLE_WORD(page);
}

/* [hook] Known to be, with a few loads. False: readable() asks. `size` is 4..4096 bytes. */
static inline bool readable_known(const void *memory, size_t size)
{
    uintptr_t first = (uintptr_t)memory >> READABLE_PAGE_SHIFT;
    uintptr_t last = ((uintptr_t)memory + size - 1) >> READABLE_PAGE_SHIFT;

    return readable_page(first) && (LIKELY(first == last) || readable_page(last));
}

/* [hook] errno untouched. `size` is 4..4096 bytes. */
static inline bool readable(const void *memory, size_t size)
{
    return readable_known(memory, size) || readable_ask(memory, size);
}

#endif

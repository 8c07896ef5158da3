#include "preload/readable.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Atomic(uintptr_t) readable_pages[READABLE_PAGES];

/*
 * FUTEX_WAIT reads the word before it looks at anything else, and returns at once because the word
 * is not ~0 (a socket address begins with its family) or, if it were, because the time is up.
 */
static bool kernel_can_read(uintptr_t address)
{
    static const struct timespec no_time = {0, 0};
    int saved = errno;
    bool fault = syscall(SYS_futex, address & ~(uintptr_t)3, FUTEX_WAIT_PRIVATE, ~0u, &no_time,
                         NULL, 0) < 0 &&
                 errno == EFAULT;

    errno = saved;
    return !fault;
}

static bool ask_page(uintptr_t address)
{
    uintptr_t page = address >> READABLE_PAGE_SHIFT;

    if (readable_page(page))
        return true;
    if (!kernel_can_read(address))
        return false;
    atomic_store_explicit(&readable_pages[page % READABLE_PAGES], READABLE_WORD(page),
                          memory_order_relaxed);
    return true;
}

RARE bool readable_ask(const void *memory, size_t size)
{
    uintptr_t first = (uintptr_t)memory, last = first + size - 1;

    return last >= first && ask_page(first) && ask_page(last);
}

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

static bool page_readable(uintptr_t address)
{
    uintptr_t page = address >> READABLE_PAGE_SHIFT;

    if (readable_known(address))
        return true;
    if (!kernel_can_read(address))
        return false;
    atomic_store_explicit(&readable_pages[page % READABLE_PAGES], page, memory_order_relaxed);
    return true;
}

bool readable_ask(uintptr_t first, uintptr_t last)
{
    return last >= first && page_readable(first) && page_readable(last);
}

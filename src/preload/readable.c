#include "preload/readable.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PAGE_SHIFT = 12, REMEMBERED = 64 };

/* Page numbers; 0 = empty. Each word stands for itself: relaxed. */
static _Atomic(uintptr_t) pages[REMEMBERED];

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
    uintptr_t page = address >> PAGE_SHIFT;
    _Atomic(uintptr_t) *slot = &pages[page % REMEMBERED];

    if (atomic_load_explicit(slot, memory_order_relaxed) == page)
        return true;
    if (!kernel_can_read(address))
        return false;
    atomic_store_explicit(slot, page, memory_order_relaxed);
    return true;
}

bool readable(const void *memory, size_t size)
{
    uintptr_t first = (uintptr_t)memory, last = first + size - 1;

    if (last < first || !page_readable(first))
        return false;
    return first >> PAGE_SHIFT == last >> PAGE_SHIFT || page_readable(last);
}

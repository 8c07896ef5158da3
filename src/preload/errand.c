#include "preload/errand.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/shared.h"
#include "preload/background.h"

/*
 * What the thread has to do; NULL: nothing. By CAS of whoever begins it, and back to NULL by the
 * thread, both with release; partner: the other's acquire.
 */
static errand_function *_Atomic current;

static atomic_u32 begun; /* the futex that the thread sleeps on */

bool errand_is_free(void)
{
    return atomic_load_explicit(&current, memory_order_acquire) == NULL;
}

void errand_run(void)
{
    if (!background_own_descriptors())
        return;
    for (;;) {
        uint32_t seen = atomic_load_explicit(&begun, memory_order_acquire);
        errand_function *errand = atomic_load_explicit(&current, memory_order_acquire);

        if (errand) {
            errand();
            atomic_store_explicit(&current, NULL, memory_order_release);
        } else {
            syscall(SYS_futex, &begun, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
        }
    }
}

void errand_forget(void)
{
    atomic_store_explicit(&current, NULL, memory_order_relaxed);
}

bool errand_begin(errand_function *errand)
{
    errand_function *none = NULL;

    if (!background_errands() ||
        !atomic_compare_exchange_strong_explicit(&current, &none, errand, memory_order_acq_rel,
                                                 memory_order_acquire))
        return false;
    atomic_fetch_add_explicit(&begun, 1, memory_order_release);
    syscall(SYS_futex, &begun, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    return true;
}

#include "state/robust.h"

#include <sys/syscall.h>
#include <unistd.h>

void robust_begin(struct robust *robust, atomic_u32 *word)
{
    uint32_t thread = (uint32_t)syscall(SYS_gettid);

    /* Of another thread: this process was forked. */
    if (robust->thread == thread)
        return;
    robust->thread = 0;
    if (syscall(SYS_get_robust_list, 0, &robust->before, &robust->before_size) != 0) {
        robust->before = NULL;
        robust->before_size = sizeof(robust->head);
    }
    robust->node.next = &robust->head.list;
    robust->head.list.next = &robust->node;
    robust->head.word_offset = (long)((uintptr_t)word - (uintptr_t)&robust->node);
    robust->head.pending = NULL;
    if (syscall(SYS_set_robust_list, &robust->head, sizeof(robust->head)) == 0)
        robust->thread = thread;
}

void robust_end(struct robust *robust)
{
    if (!robust->thread)
        return;
    syscall(SYS_set_robust_list, robust->before, robust->before_size);
    robust->thread = 0;
}

uint32_t robust_value(const struct robust *robust)
{
    return robust->thread | ROBUST_SOMEBODY_WAITS;
}

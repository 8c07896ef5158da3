/*
 * shim: the library as it stands in this process: its environment, and the segment it is attached
 * to.
 *
 * Nothing happens until the first intercepted call needs the settings; then the segment is
 * attached, or, where there is none yet, published by a child. Until that has worked the hooks pass
 * everything through; a failure is not tried again for 10 s.
 */
#ifndef PRELOAD_SHIM_H
#define PRELOAD_SHIM_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/hints.h"
#include "state/segment.h"

enum shim_caller {
    CALLER_SOCKET,   /* may be a signal handler */
    CALLER_RESOLVER, /* never one */
};

extern _Atomic(const struct segment *) shim_current;

/* The slow way to a segment: initialises, attaches, has it published. NULL: pass through. [hook] */
const struct segment *shim_attach(enum shim_caller caller);

/*
 * [hook] The segment that this process is attached to, NULL: pass through. Acquire; partner: the
 * release in shim_attach(), so whoever sees the pointer sees the struct.
 */
static inline const struct segment *shim_segment(enum shim_caller caller)
{
    const struct segment *segment = atomic_load_explicit(&shim_current, memory_order_acquire);

    return segment ? segment : shim_attach(caller);
}

/* The slow way to a newer one, where `segment` was superseded. [hook] */
const struct segment *shim_move_on(const struct segment *segment, enum shim_caller caller);

/* [hook] The same, and moves on to the newer segment when this one was superseded. */
static inline const struct segment *shim_segment_in_force(enum shim_caller caller)
{
    const struct segment *segment = shim_segment(caller);

    return segment && UNLIKELY(segment_superseded(segment)) ? shim_move_on(segment, caller)
                                                            : segment;
}

/*
 * [hook] The segments that this process has been attached to, each at the place of its number: the
 * slots that one speaks of are no other's.
 */
const struct segment *shim_segments(void);

/* [hook] Where the prober finds user names and passwords; "" before attaching. */
const char *shim_secrets_path(void);

#endif

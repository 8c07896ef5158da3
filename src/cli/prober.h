/*
 * prober: the thread of `redisteer monitor` that takes the lease, or waits for it behind another
 * monitor, and checks the endpoints. The rest of the monitor may be slow; this never is.
 */
#ifndef CLI_PROBER_H
#define CLI_PROBER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "state/place.h"

struct prober {
    const struct place *place;
    atomic_bool stop;
    _Atomic(uint32_t) term;    /* the epoch of the lease; 0 = it does not hold it */
    atomic_int error;          /* an errno to be told; 0 = none. Taken by prober_error() */
    _Atomic(const char *) why; /* what goes with it */
    pthread_t thread;
};

/* 0 or -errno. `place` must stay. */
int prober_start(struct prober *prober, const struct place *place);

/* It has given up the lease when this returns; within about 100 ms. */
void prober_stop(struct prober *prober);

bool prober_holds(const struct prober *prober);

/* The epoch of the lease that it holds, as far as it knows; 0: it does not. */
uint32_t prober_term(const struct prober *prober);

/* What went wrong since the last call: its errno and `*why`; 0 = nothing. */
int prober_error(struct prober *prober, const char **why);

#endif

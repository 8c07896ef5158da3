/*
 * health: the loop that checks every endpoint of the host, for whoever holds the lease: a thread in
 * a steered program, or `redisteer monitor`.
 *
 * It owns the schedule (start to start, jittered), the probes and the verdicts, follows changes of
 * the settings, beats the lease, and returns when the lease is lost or `stop` is set. One poll(); a
 * slow endpoint never delays another's check. Waiting answers are read before deadlines are judged;
 * when the loop overslept by more than a quarter of a timeout, all checks in flight are void.
 */
#ifndef HEALTH_HEALTH_H
#define HEALTH_HEALTH_H

#include <stdatomic.h>
#include <stdbool.h>

#include "state/lease.h"

/*
 * 0: told to stop, the lease was lost, or a newer segment has taken this one's place; -errno: this
 * process cannot probe (EMFILE, ENOMEM…) and should stay away from the lease for 10 s. `stop` is
 * looked at every 50 ms at least.
 */
int health_run(struct contender *self, const char *secrets_path, const atomic_bool *stop);

/* The same; calls `tick` about once a second. It must not take long: nothing is checked meanwhile.
 */
int health_run_ticking(struct contender *self, const char *secrets_path, const atomic_bool *stop,
                       void (*tick)(void *context), void *context);

#endif

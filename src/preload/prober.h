/*
 * prober: the thread that holds the lease, or waits for it as deputy, in a process that steers.
 */
#ifndef PRELOAD_PROBER_H
#define PRELOAD_PROBER_H

/* The thread. */
void prober_run(void);

/* [hook] The host wants a prober or a deputy: the thread, asleep, looks again. */
void prober_kick(void);

#endif

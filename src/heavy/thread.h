/* thread: starts one that signals leave alone: they are the main thread's. */
#ifndef HEAVY_THREAD_H
#define HEAVY_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* 0 or a positive errno. The thread is to be joined or detached. */
int thread_start(pthread_t *thread, size_t stack_size, void *(*run)(void *argument),
                 void *argument);

#endif

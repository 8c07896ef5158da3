/*
 * guard: shuts this process's sockets, so that any client wakes up and connects anew.
 *
 * It sleeps on the segment's bell and on a private one. Woken by the first, it wakes two more
 * guards and looks which endpoints must be left; by the second, there are new sockets to watch.
 *
 * SHUT_RD looks like the server's close to every client tried, and raises no SIGPIPE; a tick later,
 * a socket that is still there (a blocked writer) is disconnected. A socket is only touched through
 * a duplicate whose cookie is the tracked one, in a table of descriptors of the guard's own, so
 * that a number used again is never touched and the program's table never changes.
 */
#ifndef PRELOAD_GUARD_H
#define PRELOAD_GUARD_H

#include <stdbool.h>

/* The thread. */
void guard_run(void);

/*
 * [hook] One load. True: this process has a guard, which from now on ends the attempt of a tracked
 * socket when its connect.timeout is over, and gives it keepalive and user timeout within a tick or
 * two: eight system calls that a connection does not wait for, and a short-lived one never makes.
 */
bool guard_watches(void);
/* In a forked child: the thread stayed behind. */
void guard_forget(void);

/* [hook] A socket was tracked: watch it. One load when the guard is awake. */
void guard_kick(void);

#endif

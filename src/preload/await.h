/*
 * await: what a program of a moment needs to know before it connects.
 *
 * A service whose endpoints must be masters, or replicas, has few that are right, and which they
 * are changes. Where nobody on the host has checked for a while, what is known of that is old. The
 * first look-up or connect() has its own process check, and waits for what comes of it.
 */
#ifndef PRELOAD_AWAIT_H
#define PRELOAD_AWAIT_H

#include "base/hints.h"
#include "preload/journey.h"

/* See below. */
RARE bool await_checks(struct journey *journey);
RARE void await_checks_for(const struct service_view *service, uint64_t now_ns);

/*
 * [hook] On a blocking socket, when the health of such a service's active endpoint is not known, or
 * that of any where connections are spread: waits for the first checks, but no longer than half of
 * the socket's SO_SNDTIMEO, and in the whole process not later than 300 ms after the first such
 * wait in 10 s began. No wait where nobody checks. A signal ends it. Keeps errno. False: the
 * descriptor is not this socket any more.
 */
static inline bool await_verdicts(struct journey *journey)
{
    if (UNLIKELY(journey->service->settings.health.role != ROLE_ANY))
        return await_checks(journey);
    return true;
}

/*
 * The same before a look-up is answered, which may take its time: for programs whose sockets do not
 * block. Keeps errno.
 */
static inline void await_verdicts_on(const struct service_view *service, uint64_t now_ns)
{
    if (UNLIKELY(service->settings.health.role != ROLE_ANY))
        await_checks_for(service, now_ns);
}

#endif

/*
 * web: one GET by libcurl, bounded in time and size, for http.c and lag.c.
 *
 * No redirects, no proxy, HTTP and HTTPS only, TLS 1.2 or newer and verified unless told otherwise.
 */
#ifndef HEAVY_WEB_H
#define HEAVY_WEB_H

#include "heavy/job.h"

struct web_answer {
    enum check_cause cause; /* CHECK_FINE: there is an answer; else why not */
    long status;
    char *body; /* free() it; ends with NUL. NULL where there is no answer */
    size_t length;
    bool cut; /* it is longer than asked for */
};

/* `most`: bytes of the body that are wanted. `accept`: a media type, or NULL. */
struct web_answer web_get(struct job *job, const char *url, const char *accept, size_t most);

/* Ours is the fault of a cause that says nothing about the other side. */
enum probe_outcome web_outcome(enum check_cause cause);

#endif

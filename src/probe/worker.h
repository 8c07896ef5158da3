/*
 * worker: checks that are no question to Redis, and are made beside the loop: requests over HTTP,
 * other programs. Only the program `redisteer` has workers; it puts their functions here before it
 * probes, and the library never does.
 *
 * The loop polls a descriptor and takes a result; nothing here blocks it.
 */
#ifndef PROBE_WORKER_H
#define PROBE_WORKER_H

#include "probe/probe.h"

struct worker; /* one target's: what it remembers from check to check */
struct job;    /* one check */

struct job_result {
    enum probe_outcome outcome;
    enum check_cause cause;
};

struct worker_driver {
    bool (*can)(enum probe_kind kind);
    struct worker *(*open)(const struct probe_target *target); /* NULL: out of memory */
    void (*close)(struct worker *worker);
    /* NULL: this host's own trouble (no thread, no descriptor). */
    struct job *(*start)(struct worker *worker, uint64_t deadline_ns);
    void (*drop)(struct job *job);    /* finished or not: what it does is ended */
    int (*fd)(const struct job *job); /* readable once it has finished */
    bool (*result)(const struct job *job, struct job_result *out); /* false: not yet */
};

/* NULL: there are none here. */
extern const struct worker_driver *probe_workers;

#endif

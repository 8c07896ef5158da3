/*
 * job: one check that may take its time, in a thread of its own. For http.c, lag.c and exec.c.
 *
 * The loop drops a job whose time is up; its thread then finds `cancel` readable and ends by
 * itself. Jobs of one worker run one after the other: they share what it remembers.
 */
#ifndef HEAVY_JOB_H
#define HEAVY_JOB_H

#include <pthread.h>
#include <stdatomic.h>

#include "probe/worker.h"

struct worker {
    atomic_uint users; /* the probe, and each job */
    pthread_mutex_t busy;
    struct probe_target target;
    void *curl;   /* CURL, with its open connection; NULL: none yet */
    uint64_t uid; /* lag: of the database; 0 = not known */
};

struct job {
    atomic_uint users; /* the loop and the thread */
    struct worker *worker;
    uint64_t deadline_ns; /* CLOCK_BOOTTIME */
    int done_fd;          /* eventfd */
    int cancel_fd;        /* eventfd */
    atomic_bool cancelled;
    atomic_bool done; /* release: with it comes `result` */
    struct job_result result;
};

extern const struct worker_driver job_driver;

/* Time left, in ms, 0 when there is none. */
int job_left_ms(const struct job *job);

/* What the thread does, by kind. Each fills in job->result. */
void exec_run(struct job *job);
void http_run(struct job *job);
void lag_run(struct job *job);

static inline void job_decide(struct job *job, enum probe_outcome outcome, enum check_cause cause)
{
    job->result = (struct job_result){.outcome = outcome, .cause = cause};
}

#endif

#include "heavy/job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#if REDISTEER_HTTP
#include <curl/curl.h>
#endif

#include "base/clock.h"
#include "heavy/thread.h"

enum { STACK_SIZE = 512 * 1024 };

static bool can(enum probe_kind kind)
{
    return kind == PROBE_EXEC || (REDISTEER_HTTP && (kind == PROBE_HTTP || kind == PROBE_LAG));
}

/* ---- workers ---- */

static struct worker *open_worker(const struct probe_target *target)
{
    struct worker *worker = calloc(1, sizeof(*worker));

    if (!worker)
        return NULL;
    worker->target = *target;
    worker->users = 1;
    pthread_mutex_init(&worker->busy, NULL);
    return worker;
}

static void leave_worker(struct worker *worker)
{
    if (atomic_fetch_sub(&worker->users, 1) != 1)
        return;
#if REDISTEER_HTTP
    curl_easy_cleanup(worker->curl);
#endif
    pthread_mutex_destroy(&worker->busy);
    explicit_bzero(&worker->target, sizeof(worker->target));
    free(worker);
}

/* ---- jobs ---- */

static void leave_job(struct job *job)
{
    if (atomic_fetch_sub(&job->users, 1) != 1)
        return;
    leave_worker(job->worker);
    if (job->done_fd >= 0)
        close(job->done_fd);
    if (job->cancel_fd >= 0)
        close(job->cancel_fd);
    free(job);
}

static void signal_fd(int fd)
{
    const uint64_t one = 1;

    if (write(fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
        return; /* only when it says so already */
}

static void work(struct job *job)
{
    switch (job->worker->target.kind) {
    case PROBE_EXEC:
        exec_run(job);
        return;
#if REDISTEER_HTTP
    case PROBE_HTTP:
        http_run(job);
        return;
    case PROBE_LAG:
        lag_run(job);
        return;
#else
    case PROBE_HTTP:
    case PROBE_LAG:
#endif
    case PROBE_TCP:
    case PROBE_PING:
    case PROBE_ECHO:
    case PROBE_ROLE:
    case PROBE_COMMAND:
    case PROBE_KEY:
    case PROBE_WRITE:
    case PROBE_KINDS:
        break;
    }
    job_decide(job, PROBE_VOID, CHECK_NEEDS_PROGRAM);
}

static void *run(void *argument)
{
    struct job *job = argument;

    pthread_mutex_lock(&job->worker->busy);
    if (!atomic_load(&job->cancelled))
        work(job);
    pthread_mutex_unlock(&job->worker->busy);
    atomic_store_explicit(&job->done, true, memory_order_release);
    signal_fd(job->done_fd);
    leave_job(job);
    return NULL;
}

static int start_thread(struct job *job)
{
    pthread_t thread;
    int error = thread_start(&thread, STACK_SIZE, run, job);

    if (error == 0)
        pthread_detach(thread);
    return error;
}

static struct job *start(struct worker *worker, uint64_t deadline_ns)
{
    struct job *job = calloc(1, sizeof(*job));

    if (!job)
        return NULL;
    atomic_fetch_add(&worker->users, 1);
    job->users = 2;
    job->worker = worker;
    job->deadline_ns = deadline_ns;
    job->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    job->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (job->done_fd >= 0 && job->cancel_fd >= 0 && start_thread(job) == 0)
        return job;
    job->users = 1;
    leave_job(job);
    return NULL;
}

static void drop(struct job *job)
{
    atomic_store(&job->cancelled, true);
    signal_fd(job->cancel_fd);
    leave_job(job);
}

static int fd_of(const struct job *job)
{
    return job->done_fd;
}

static bool result_of(const struct job *job, struct job_result *out)
{
    if (!atomic_load_explicit(&job->done, memory_order_acquire))
        return false;
    *out = job->result;
    return true;
}

int job_left_ms(const struct job *job)
{
    uint64_t now_ns = clock_boot_ns();

    return now_ns < job->deadline_ns ? (int)((job->deadline_ns - now_ns) / NS_PER_MS) + 1 : 0;
}

const struct worker_driver job_driver = {
    .can = can,
    .open = open_worker,
    .close = leave_worker,
    .start = start,
    .drop = drop,
    .fd = fd_of,
    .result = result_of,
};

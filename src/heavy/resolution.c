#include "heavy/resolution.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "heavy/thread.h"

enum { STACK_SIZE = 256 * 1024 };

struct resolution {
    pthread_t thread;
    atomic_bool done; /* release: with it comes the answer */
    int done_fd, cancel_fd;
    uint64_t deadline_ns;
    struct dns_question question;
    struct dns_answer answer;
};

static bool tell(int fd)
{
    const uint64_t one = 1;

    return write(fd, &one, sizeof(one)) == (ssize_t)sizeof(one);
}

static void *run(void *argument)
{
    struct resolution *resolution = argument;

    dns_ask(&resolution->question, resolution->deadline_ns, resolution->cancel_fd,
            &resolution->answer);
    atomic_store_explicit(&resolution->done, true, memory_order_release);
    tell(resolution->done_fd);
    return NULL;
}

/* Without its thread. */
static void discard(struct resolution *resolution)
{
    if (resolution->done_fd >= 0)
        close(resolution->done_fd);
    if (resolution->cancel_fd >= 0)
        close(resolution->cancel_fd);
    free(resolution);
}

struct resolution *resolution_start(const struct dns_question *question, uint64_t patience_ns)
{
    struct resolution *resolution = calloc(1, sizeof(*resolution));

    if (!resolution)
        return NULL;
    resolution->question = *question;
    resolution->deadline_ns = clock_boot_ns() + patience_ns;
    resolution->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    resolution->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (resolution->done_fd >= 0 && resolution->cancel_fd >= 0 &&
        thread_start(&resolution->thread, STACK_SIZE, run, resolution) == 0)
        return resolution;
    discard(resolution);
    return NULL;
}

bool resolution_done(const struct resolution *resolution)
{
    return atomic_load_explicit(&resolution->done, memory_order_acquire);
}

int resolution_fd(const struct resolution *resolution)
{
    return resolution->done_fd;
}

const struct dns_answer *resolution_answer(const struct resolution *resolution)
{
    return &resolution->answer;
}

void resolution_free(struct resolution *resolution)
{
    if (!resolution)
        return;
    tell(resolution->cancel_fd);
    pthread_join(resolution->thread, NULL);
    discard(resolution);
}

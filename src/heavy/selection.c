#include "heavy/selection.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "heavy/child.h"
#include "heavy/thread.h"
#include "state/layout.h"

enum { STACK_SIZE = 128 * 1024 };

struct selection {
    pthread_t thread;
    atomic_bool done; /* release: with it comes what the thread has found */
    uint64_t patience_ns;
    struct child child;
    enum child_end end;
    const char **variables;
    const char *words[CHECK_WORDS_MAX + 1];
    char text[CHECK_TEXT]; /* of the words */
    char output[CHILD_OUTPUT_MAX];
};

/* A file without a name: it can be read at leisure, or not at all. -1: there is none. */
static int file_with(const char *text)
{
    size_t length = strlen(text);
    int fd = memfd_create("selector", MFD_CLOEXEC);

    if (fd < 0)
        return -1;
    if (write(fd, text, length) == (ssize_t)length && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool copy_words(struct selection *selection, const char *const words[])
{
    size_t at = 0;

    for (size_t i = 0; words[i]; i++) {
        size_t size = strlen(words[i]) + 1;

        if (i == CHECK_WORDS_MAX || size > sizeof(selection->text) - at)
            return false;
        selection->words[i] = memcpy(selection->text + at, words[i], size);
        at += size;
    }
    return words[0] != NULL;
}

static void *run(void *argument)
{
    struct selection *selection = argument;

    selection->end = child_run(&selection->child);
    atomic_store_explicit(&selection->done, true, memory_order_release);
    return NULL;
}

/* Without its thread. */
static void discard(struct selection *selection)
{
    if (selection->child.input >= 0)
        close(selection->child.input);
    if (selection->child.cancel_fd >= 0)
        close(selection->child.cancel_fd);
    free(selection->variables);
    free(selection);
}

struct selection *selection_start(const char *const words[], const char *told, uint64_t patience_ns)
{
    struct selection *selection = calloc(1, sizeof(*selection));

    if (!selection)
        return NULL;
    selection->patience_ns = patience_ns;
    selection->variables = child_variables(NULL, 0);
    selection->child = (struct child){
        .words = selection->words,
        .variables = selection->variables,
        .input = file_with(told),
        .cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .deadline_ns = clock_boot_ns() + patience_ns,
        .output = selection->output,
    };
    if (copy_words(selection, words) && selection->variables && selection->child.input >= 0 &&
        selection->child.cancel_fd >= 0 &&
        thread_start(&selection->thread, STACK_SIZE, run, selection) == 0)
        return selection;
    discard(selection);
    return NULL;
}

bool selection_done(const struct selection *selection)
{
    return atomic_load_explicit(&selection->done, memory_order_acquire);
}

const char *selection_result(const struct selection *selection, size_t *length,
                             char why[static SELECTION_WHY])
{
    const struct child *child = &selection->child;

    switch (selection->end) {
    case CHILD_ENDED:
        if (WIFEXITED(child->status) && WEXITSTATUS(child->status) == 0) {
            *length = child->length;
            return child->output;
        }
        if (WIFEXITED(child->status))
            text_format(why, SELECTION_WHY, "it ended with exit status %d",
                        WEXITSTATUS(child->status));
        else
            text_format(why, SELECTION_WHY, "it was ended by signal %d", WTERMSIG(child->status));
        break;
    case CHILD_UNSTARTED:
        text_format(why, SELECTION_WHY, "it cannot be started: %s",
                    child->error ? strerror(child->error) : "unknown");
        break;
    case CHILD_LATE:
        text_format(why, SELECTION_WHY, "it has not ended within %u s",
                    (unsigned)(selection->patience_ns / NS_PER_S));
        break;
    case CHILD_TALKATIVE:
        text_format(why, SELECTION_WHY, "it said more than %d bytes", CHILD_OUTPUT_MAX);
        break;
    }
    return NULL;
}

void selection_free(struct selection *selection)
{
    const uint64_t one = 1;

    if (!selection)
        return;
    if (write(selection->child.cancel_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
        selection->patience_ns = 0; /* cannot be; then its time ends it */
    pthread_join(selection->thread, NULL);
    discard(selection);
}

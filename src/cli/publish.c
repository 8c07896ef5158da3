/*
 * redisteer publish: started by the library, in a child without stdio, when a program finds nothing
 * published. A bad file leaves the marker that keeps other programs from trying the same again.
 * That program waits half a second at most: names that take longer are published without an
 * address, and looked up again by a later program.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/context.h"

#define PATIENCE_NS (300 * NS_PER_MS)

/* Nobody reads our stderr: what goes there is for the log of the program that wants to know. */
static void complain_to_log(void)
{
    const char *log = getenv("REDISTEER_LOG"); /* "level:/path" or "/path" */
    const char *path = log ? strchr(log, '/') : NULL;
    int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;

    if (fd < 0)
        return;
    dup2(fd, STDERR_FILENO);
    close(fd);
}

int command_publish(const struct invocation *invocation)
{
    struct context context;
    struct settings *settings = NULL;
    struct file_stamp
        stamp; /* taken before reading: a file that changes meanwhile is tried again */
    enum publish_result result;
    bool there;
    int status;

    complain_to_log();
    status = context_make(invocation, &context);
    if (status != STATUS_DONE)
        return status;
    there = file_stamp_read(context.config, &stamp) == 0;
    status = context_load(context.config, &settings);
    if (status == STATUS_DONE)
        status = context_publish(&context, settings, PATIENCE_NS, &result);
    if (status == STATUS_USAGE && there)
        publish_mark_failed(&context.place, &stamp);
    settings_free(settings);
    return status;
}

/*
 * redisteer publish: started by the library, in a child without stdio, when a program finds nothing
 * published. A bad file leaves the marker that keeps other programs from trying the same again.
 * That program waits half a second at most, and where nobody else could take us over has us killed
 * then: names that take longer are published without an address, and looked up again by a later
 * program; Sentinels that have not answered by then are asked by whoever checks.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/context.h"
#include "state/events.h"

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

/* Whoever looks at the running settings should know that the file has moved on without them. */
static void tell_bad_file(const struct place *place, const struct complaints *complaints)
{
    struct event event = {.type = EVENT_CONFIG};
    struct segment segment;
    const char *why;

    if (complaints->count == 0 || segment_attach(&segment, place, &why) != 0)
        return;
    text_copy(event.reason, sizeof event.reason, "bad file");
    text_format(event.detail, sizeof event.detail, "line %u: %s", complaints->list[0].line,
                complaints->list[0].text);
    event_write(&segment, &event);
    segment_detach(&segment);
}

int command_publish(const struct invocation *invocation)
{
    struct context context;
    struct settings *settings = NULL;
    struct complaints complaints = {0};
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
    if (settings_load(context.config, &settings, &complaints) != 0)
        status = STATUS_USAGE;
    context_complain(context.config, &complaints);
    if (status == STATUS_DONE)
        status = context_publish(&context, settings, PATIENCE_NS, &result);
    if (status == STATUS_USAGE && there) {
        publish_mark_failed(&context.place, &stamp);
        tell_bad_file(&context.place, &complaints);
    }
    settings_free(settings);
    return status;
}

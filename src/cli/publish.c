/*
 * redisteer publish: started by the library, in a child without stdio, when a program finds nothing
 * published. A bad file leaves the marker that keeps other programs from trying the same again. That
 * program waits half a second at most: names that take longer are published without an address, and
 * looked up again by a later program.
 */
#include "base/clock.h"
#include "cli/context.h"

#define PATIENCE_NS (300 * NS_PER_MS)

int command_publish(const struct invocation *invocation)
{
    struct context context;
    struct settings *settings = NULL;
    struct file_stamp
        stamp; /* taken before reading: a file that changes meanwhile is tried again */
    enum publish_result result;
    bool there;
    int status = context_make(invocation, &context);

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

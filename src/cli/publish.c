/*
 * redisteer publish: started by the library, in a child without stdio, when a program finds nothing
 * published. A failure leaves the marker that keeps other programs from trying the same again.
 */
#include "cli/context.h"

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
        status = context_publish(&context, settings, &result);
    if (status != STATUS_DONE && there)
        publish_mark_failed(&context.place, &stamp);
    settings_free(settings);
    return status;
}

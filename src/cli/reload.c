/* redisteer reload: publishes the file now. */
#include <stdio.h>

#include "cli/context.h"

static const char *in_words(enum publish_result result)
{
    switch (result) {
    case PUBLISHED_NEW:
        return "published";
    case PUBLISHED_CHANGE:
        return "published the changes";
    case PUBLISHED_REPLACEMENT:
        return "published anew; what had been published could not be used";
    case PUBLISHED_NOTHING:
        break;
    }
    return "nothing has changed";
}

int command_reload(const struct invocation *invocation)
{
    struct context context;
    struct settings *settings;
    enum publish_result result;
    int status = context_make(invocation, &context);

    if (status == STATUS_DONE)
        status = context_load(context.config, &settings);
    if (status != STATUS_DONE)
        return status;
    status = context_publish(&context, settings, 0, &result);
    if (status == STATUS_DONE)
        printf("%s: %s\n", context.config, in_words(result));
    settings_free(settings);
    return status;
}

#include "cli/context.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/names.h"
#include "health/follow.h"

/* An empty variable means what an unset one does. */
static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

int context_config(const struct invocation *invocation, char config[static PATH_TEXT])
{
    int error = settings_find(invocation->config, config);

    if (error == 0)
        return STATUS_DONE;
    say("cannot tell which configuration file to use: %s", strerror(-error));
    return STATUS_USAGE;
}

static int locate(const struct invocation *invocation, bool create, struct context *context,
                  const char **why)
{
    const char *instance = invocation->instance;
    struct place_request request = {
        .runtime_dir = environment("REDISTEER_RUNTIME_DIR"),
        .instance = instance != NULL ? instance : environment("REDISTEER_INSTANCE"),
        .config = context->config,
        .create = create,
    };

    if ((invocation->command->function == command_publish ||
         invocation->command->function == command_attend) &&
        invocation->given[PUBLISH_RUNTIME_DIR] != NULL)
        request.runtime_dir = invocation->given[PUBLISH_RUNTIME_DIR];
    return place_find(&context->place, &request, why);
}

static int not_published(const struct context *context)
{
    say("not published yet: '%s'; `redisteer run` and `redisteer reload` publish it",
        context->config);
    return STATUS_FAILED;
}

static int find(const struct invocation *invocation, bool create, struct context *context)
{
    const char *why = "";
    int error, status = context_config(invocation, context->config);

    if (status != STATUS_DONE)
        return status;
    error = locate(invocation, create, context, &why);
    if (error == 0)
        return STATUS_DONE;
    if (error == -ENOENT && !create)
        return not_published(context);
    say("%s", why);
    return error == -EINVAL ? STATUS_USAGE : STATUS_FAILED;
}

int context_find(const struct invocation *invocation, struct context *context)
{
    return find(invocation, false, context);
}

int context_make(const struct invocation *invocation, struct context *context)
{
    return find(invocation, true, context);
}

int context_attach(const struct context *context, struct segment *segment)
{
    const char *why = "";
    int error = segment_attach(segment, &context->place, &why);

    if (error == 0)
        return STATUS_DONE;
    if (error == -ENOENT)
        return not_published(context);
    say("%s: '%s'", why, context->place.segment);
    return STATUS_FAILED;
}

int context_open(const struct context *context, struct published *published)
{
    int error, status = context_attach(context, &published->segment);

    if (status != STATUS_DONE)
        return status;
    error = overview_read(&published->segment, &published->overview);
    if (error == 0)
        return STATUS_DONE;
    segment_detach(&published->segment);
    say("cannot read what is published: %s: '%s'", strerror(-error), context->place.segment);
    return STATUS_FAILED;
}

void context_close(struct published *published)
{
    overview_free(published->overview);
    segment_detach(&published->segment);
}

void context_complain(const char *config, const struct complaints *complaints)
{
    for (size_t i = 0; i < complaints->count; i++) {
        if (complaints->list[i].line > 0)
            fprintf(stderr, "%s:%u: %s\n", config, complaints->list[i].line,
                    complaints->list[i].text);
        else
            fprintf(stderr, "%s: %s\n", config, complaints->list[i].text);
    }
}

int context_load(const char *config, struct settings **settings)
{
    struct complaints complaints = {0};
    int error = settings_load(config, settings, &complaints);

    context_complain(config, &complaints);
    if (error == 0)
        return STATUS_DONE;
    if (complaints.count == 0)
        say("%s: '%s'", strerror(-error), config);
    return STATUS_USAGE;
}

static void say_line(const char *line)
{
    say("%s", line);
}

int context_publish(const struct context *context, const struct settings *settings,
                    uint64_t patience_ns, enum publish_result *result)
{
    const struct publish_ways ways = {
        .patience_ns = patience_ns,
        .ask = follow_once,
        .say = say_line,
    };

    names_begin();
    /* settings_publish() says in words what went wrong. */
    return settings_publish(settings, &context->place, &ways, result) ? STATUS_FAILED : STATUS_DONE;
}

bool context_is_there(const struct invocation *invocation, struct context *context)
{
    const char *why;

    return context_config(invocation, context->config) == STATUS_DONE &&
           locate(invocation, false, context, &why) == 0 &&
           access(context->place.segment, F_OK) == 0;
}

bool context_published(const struct context *context, const struct file_stamp *stamp)
{
    struct segment segment;
    struct overview *overview;
    const char *why;
    bool same;

    if (segment_attach(&segment, &context->place, &why) != 0)
        return false;
    same = overview_read(&segment, &overview) == 0;
    if (same) {
        const struct bank *front = &overview->front;
        struct file_stamp published = bank_file_stamp(front);

        same = text_equal(front->path, context->config) && file_stamp_equal(&published, stamp) &&
               overview_resolved(overview);
        overview_free(overview);
    }
    segment_detach(&segment);
    return same;
}

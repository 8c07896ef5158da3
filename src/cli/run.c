/* redisteer run: checks the file, publishes it, becomes the program with the library loaded. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/context.h"
#include "cli/library.h"
#include "cli/program.h"

/* Names that take longer have no address at first; a program must not wait for a dead name server.
 */
#define PATIENCE_NS (5 * NS_PER_S)

enum { CANNOT_START = 126, NOT_FOUND = 127 }; /* as env(1) */

/* Steering is possible afterwards: the file is good and published, the library is there. */
static int prepare(const struct invocation *invocation, struct context *context,
                   char library[static PATH_TEXT])
{
    struct settings *settings;
    enum publish_result result;
    int status = context_config(invocation, context->config);

    if (status == STATUS_DONE)
        status = context_load(context->config, &settings);
    if (status != STATUS_DONE)
        return status;
    status = context_make(invocation, context);
    if (status == STATUS_DONE && !context_published(context, &settings->stamp))
        status = context_publish(context, settings, PATIENCE_NS, &result);
    settings_free(settings);
    if (status != STATUS_DONE)
        return status;
    if (!library_find(library, PATH_TEXT)) {
        say("cannot find libredisteer.so");
        return STATUS_FAILED;
    }
    if (strpbrk(library, " :") != NULL) {
        say("a path with a blank or colon cannot be preloaded: '%s'", library);
        return STATUS_FAILED;
    }
    return STATUS_DONE;
}

static int set_environment(const struct invocation *invocation, const struct context *context,
                           const char *library)
{
    char *preload = library_preload(library, getenv("LD_PRELOAD"));
    bool set = preload != NULL && setenv("LD_PRELOAD", preload, 1) == 0 &&
               setenv("REDISTEER_CONFIG", context->config, 1) == 0 &&
               (invocation->instance == NULL ||
                setenv("REDISTEER_INSTANCE", invocation->instance, 1) == 0);

    free(preload);
    if (set)
        return STATUS_DONE;
    say("out of memory");
    return STATUS_FAILED;
}

int command_run(const struct invocation *invocation)
{
    const char *program = invocation->operands[0], *why_not;
    char library[PATH_TEXT];
    struct context context;
    int status = prepare(invocation, &context, library);

    if (status == STATUS_DONE)
        status = set_environment(invocation, &context, library);
    if (status != STATUS_DONE && invocation->given[RUN_FAIL_OPEN] == NULL)
        return status;
    if (status != STATUS_DONE)
        say("starting without steering: '%s'", program);
    why_not = status == STATUS_DONE ? program_not_steerable(program) : NULL;
    if (why_not != NULL)
        say("will not be steered: '%s': %s", program, why_not);
    execvp(program, invocation->operands);
    status = errno == ENOENT ? NOT_FOUND : CANNOT_START;
    say("cannot start: '%s': %s", program, strerror(errno));
    return status;
}

/* redisteer check: what the file means, or everything that is wrong with it. */
#include <stdio.h>

#include "cli/context.h"
#include "cli/understood.h"

static void put_summary(const struct settings *settings)
{
    printf("# %s: good\n", settings->path);
    for (size_t i = 0; i < settings->service_count; i++) {
        const struct service *service = &settings->services[i];
        const char *comma = "";

        printf("# service %s: ", service->name);
        for (size_t m = 0; m < service->match_count; m++, comma = ", ")
            printf("%s%s", comma, service->matches[m].at.host);
        printf(" -> ");
        comma = "";
        for (size_t e = 0; e < service->endpoint_count; e++, comma = ", ")
            printf("%s%s", comma, service->endpoints[e].name);
        putchar('\n');
    }
    putchar('\n');
}

int command_check(const struct invocation *invocation)
{
    struct invocation file = *invocation;
    struct context context;
    struct settings *settings;
    int status;

    if (invocation->count > 0)
        file.config = invocation->operands[0];
    status = context_config(&file, context.config);
    if (status == STATUS_DONE)
        status = context_load(context.config, &settings);
    if (status != STATUS_DONE)
        return status;
    put_summary(settings);
    understood_print(settings, stdout);
    fflush(stdout);
    if (context_is_there(&file, &context) && !context_published(&context, &settings->stamp))
        complain("running programs use an older version of this file; `redisteer reload` publishes "
                 "it");
    settings_free(settings);
    return STATUS_DONE;
}

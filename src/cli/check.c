/* redisteer check: what the file means, or everything that is wrong with it. */
#include <stdio.h>
#include <string.h>

#include "cli/context.h"

static void put_host_port(const struct host_port *at)
{
    printf(strchr(at->host, ':') != NULL ? "[%s]" : "%s", at->host);
    if (at->any_port)
        printf(":*");
    else
        printf(":%u", at->port);
}

static void put_summary(const struct settings *settings)
{
    printf("# %s: good\n", settings->path);
    for (size_t i = 0; i < settings->service_count; i++) {
        const struct service *service = &settings->services[i];
        const char *comma = "";

        printf("# service %s: ", service->name);
        for (size_t m = 0; m < service->match_count; m++, comma = ", ") {
            fputs(comma, stdout);
            put_host_port(&service->matches[m].at);
        }
        comma = " -> ";
        for (size_t e = 0; e < service->endpoint_count; e++, comma = ", ") {
            printf("%s%s ", comma, service->endpoints[e].name);
            put_host_port(&service->endpoints[e].at);
        }
        if (service->discover.sentinel_count > 0)
            printf("%smaster %s of %zu Sentinel%s", comma, service->discover.master_name,
                   service->discover.sentinel_count,
                   service->discover.sentinel_count == 1 ? "" : "s");
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
    settings_print(settings, stdout);
    fflush(stdout);
    if (context_is_there(&file, &context) && !context_published(&context, &settings->stamp))
        say("running programs use an older version of this file; `redisteer reload` publishes "
            "it");
    settings_free(settings);
    return STATUS_DONE;
}

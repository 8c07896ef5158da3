/* redisteer status: what everybody on this host knows about the services. */
#include "cli/status.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/context.h"
#include "cli/screen.h"
#include "cli/table.h"

enum { REFRESH_MS = 1000 };

bool status_config_changed(const struct overview *overview)
{
    struct file_stamp now, published = bank_file_stamp(&overview->front);

    return file_stamp_read(overview->front.path, &now) != 0 || !file_stamp_equal(&now, &published);
}

uint64_t status_connections(const struct endpoint_settings *endpoint,
                            const struct connections *connections)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < endpoint->address_count && i < ADDRESSES_MAX; i++)
        sum += connections_to(connections, &endpoint->addresses[i]);
    return sum;
}

/* Says which services have no eligible endpoint. */
static int judge(const struct overview *overview)
{
    int status = STATUS_DONE;

    for (size_t i = 0; i < overview->count; i++) {
        if (row_has_eligible(&overview->services[i]))
            continue;
        say("no endpoint is eligible: '%s'", overview->services[i].view.settings.name);
        status = STATUS_FAILED;
    }
    return status;
}

static int show(const struct invocation *invocation, const struct context *context, FILE *out,
                bool colours)
{
    struct published published;
    struct connections connections;
    bool history = invocation->given[STATUS_HISTORY] != NULL;
    int error, status = context_open(context, &published);

    if (status != STATUS_DONE)
        return status;
    error = connections_read(&connections);
    if (error != 0)
        say("cannot count connections: %s", strerror(-error));
    if (invocation->given[STATUS_JSON] == NULL)
        status_text(published.overview, &connections, history, out, colours);
    else if (status_json(published.overview, &connections, history, out) != 0)
        status = STATUS_FAILED;
    if (status == STATUS_DONE && invocation->given[STATUS_CHECK] != NULL)
        status = judge(published.overview);
    connections_free(&connections);
    context_close(&published);
    return status;
}

static int watch(const struct invocation *invocation, const struct context *context)
{
    bool colours = colours_wanted(stdout), begun = false, go_on = true;
    int status = STATUS_DONE;

    while (go_on && status == STATUS_DONE) {
        char *text = NULL;
        size_t size;
        FILE *picture = open_memstream(&text, &size);

        if (picture == NULL) {
            status = STATUS_FAILED;
            break;
        }
        status = show(invocation, context, picture, colours);
        if (fclose(picture) == 0 && status == STATUS_DONE) {
            if (!begun)
                screen_begin();
            begun = true;
            go_on = screen_show(text) && !screen_wait(REFRESH_MS);
        }
        free(text);
    }
    screen_end();
    /* What was said before went away with the screen. */
    if (begun && status != STATUS_DONE)
        say("what is published can no longer be read");
    return status;
}

int command_status(const struct invocation *invocation)
{
    struct context context;
    int status;

    if (invocation->given[STATUS_WATCH] != NULL && invocation->given[STATUS_CHECK] != NULL) {
        say("--watch and --check exclude each other");
        return STATUS_USAGE;
    }
    status = context_find(invocation, &context);
    if (status != STATUS_DONE)
        return status;
    return invocation->given[STATUS_WATCH] != NULL
               ? watch(invocation, &context)
               : show(invocation, &context, stdout, colours_wanted(stdout));
}

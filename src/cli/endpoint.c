/* redisteer endpoint: where a new connection goes now, as "address:port" for scripts. */
#include <stdio.h>
#include <string.h>

#include "cli/context.h"

static bool print_endpoint(const struct service_row *row, int index)
{
    char text[ADDRESS_TEXT];

    if (index < 0 || row->endpoints[index].address_count == 0)
        return false;
    puts(address_format(&row->endpoints[index].addresses[0], text));
    return true;
}

static int print_choice(const struct overview *overview, const struct service_row *row)
{
    const struct service_settings *settings = &row->view.settings;
    const struct choice_rules rules = {.strategy = settings->strategy,
                                       .failback = settings->failover.failback,
                                       .challenger = -1};
    int index = row->choice.endpoint;

    if (index >= 0) {
        if (print_endpoint(row, index))
            return STATUS_DONE;
        say("the endpoint has no address: '%s' (%s)", row->labels[index].name,
            row->addresses[index]);
        return STATUS_FAILED;
    }
    switch ((enum when_all_down)settings->when_all_down) {
    case ALL_DOWN_REFUSE:
        say("no endpoint of '%s' is eligible: connections are refused", settings->name);
        break;
    case ALL_DOWN_WAIT:
        say("no endpoint of '%s' is eligible: connections wait for one", settings->name);
        break;
    case ALL_DOWN_TRY:
        say("no endpoint of '%s' is eligible: connections try them all, this one first",
            settings->name);
        print_endpoint(row, choose_next(&rules, row->candidates, row->view.count, 0, true,
                                        overview->now_ns));
        break;
    }
    return STATUS_FAILED;
}

int command_endpoint(const struct invocation *invocation)
{
    struct context context;
    struct published published;
    struct service_row *row;
    int status = context_find(invocation, &context);

    if (status == STATUS_DONE)
        status = context_open(&context, &published);
    if (status != STATUS_DONE)
        return status;
    row = overview_service(published.overview, invocation->operands[0]);
    status = row == NULL ? STATUS_USAGE : print_choice(published.overview, row);
    context_close(&published);
    return status;
}

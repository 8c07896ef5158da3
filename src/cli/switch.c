/*
 * redisteer switch | auto: the operator chooses an endpoint, or leaves the choice to redisteer
 * again. Kept in the segment, not in the file; running programs follow with their next connection.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/text.h"
#include "cli/context.h"
#include "cli/trial.h"
#include "cli/when.h"
#include "state/checked.h"
#include "state/events.h"
#include "state/live.h"

struct wish {
    int index;       /* of the endpoint */
    uint64_t for_ns; /* 0 = until the operator says otherwise */
    bool force;
};

static void write_event(const struct published *published, const struct service_row *row,
                        const char *endpoint, const char *to)
{
    struct event event = {.type = EVENT_ADMIN};

    text_copy(event.service, sizeof event.service, row->view.settings.name);
    text_copy(event.endpoint, sizeof event.endpoint, endpoint);
    text_copy(event.from, sizeof event.from, row_mode_name(row));
    text_copy(event.to, sizeof event.to, to);
    text_copy(event.reason, sizeof event.reason, "manual");
    text_format(event.detail, sizeof event.detail, "by user %u", (unsigned)getuid());
    event_write(&published->segment, &event);
}

static bool may_change(const struct published *published, const struct service_row *row)
{
    if (!published->segment.writable) {
        say("not allowed to change the state of '%s'", row->view.settings.name);
        return false;
    }
    if (row->mode != MODE_STEER) {
        say("'%s' is not steered (mode %s); `redisteer on %s` steers it again",
            row->view.settings.name, mode_name(row->mode), row->view.settings.name);
        return false;
    }
    return true;
}

/* ---- switch ---- */

static bool answers(const struct context *context, const struct service_row *row, uint32_t index)
{
    struct probe_result result;

    if (row->candidates[index].admin != ADMIN_READY) {
        say("'%s' is %s; --force switches to it all the same", row->labels[index].name,
            admin_name(row->candidates[index].admin));
        return false;
    }
    result = trial(row, index, context->place.secrets);
    if (result.outcome == PROBE_PASSED)
        return true;
    say("'%s' (%s) failed a check: %s; --force switches to it all the same",
        row->labels[index].name, row->addresses[index],
        result.outcome == PROBE_VOID ? strerror(result.error) : check_cause_text(result.cause));
    return false;
}

static void hold(const struct service_row *row, const struct wish *wish)
{
    const struct endpoint_settings *endpoint = &row->endpoints[wish->index];
    struct endpoint_live *live = row->view.endpoint_live[wish->index];
    uint64_t now_ns = clock_boot_ns();

    breaker_reset(&live->breaker);
    store_relaxed(&live->grace_until_ns, 0);
    service_hold(row->view.live, (struct held){endpoint->slot, endpoint->generation},
                 wish->for_ns == 0 ? 0 : (now_ns + wish->for_ns) / NS_PER_MS);
    /* A verdict of yesterday is looked at again now. */
    checked_hint(&row->view, (uint32_t)wish->index, now_ns);
}

static void report(const struct service_row *row, const struct wish *wish, struct choice choice)
{
    const char *name = row->labels[wish->index].name;
    char when[WHEN_TEXT];

    if (choice.endpoint == wish->index)
        printf("%s: %s\n", row->view.settings.name, name);
    else
        printf("%s: %s takes over as soon as it is well; until then %s\n", row->view.settings.name,
               name,
               choice.endpoint >= 0 ? row->labels[choice.endpoint].name : "nothing is eligible");
    if (wish->for_ns == 0)
        printf("kept until `redisteer auto %s`\n", row->view.settings.name);
    else
        printf("kept until %s\n", when_format(clock_wall_ns() + wish->for_ns, when));
}

static int switch_to(const struct context *context, const struct published *published,
                     const struct service_row *row, const struct wish *wish)
{
    if (!may_change(published, row))
        return STATUS_FAILED;
    if (!wish->force && !answers(context, row, (uint32_t)wish->index))
        return STATUS_FAILED;
    hold(row, wish);
    write_event(published, row, row->labels[wish->index].name, "manual");
    report(row, wish, service_decide(&row->view, clock_boot_ns()));
    return STATUS_DONE;
}

int command_switch(const struct invocation *invocation)
{
    const char *duration = invocation->given[SWITCH_FOR];
    struct wish wish = {.force = invocation->given[SWITCH_FORCE] != NULL};
    struct context context;
    struct published published;
    struct service_row *row;
    int status;

    if (duration != NULL && (duration_parse(duration, &wish.for_ns) != 0 || wish.for_ns == 0)) {
        say("not a duration, such as 10m: '%s'", duration);
        return STATUS_USAGE;
    }
    status = context_find(invocation, &context);
    if (status == STATUS_DONE)
        status = context_open(&context, &published);
    if (status != STATUS_DONE)
        return status;
    row = overview_service(published.overview, invocation->operands[0]);
    wish.index = row == NULL ? -1 : row_endpoint(row, invocation->operands[1]);
    status = wish.index < 0 ? STATUS_USAGE : switch_to(&context, &published, row, &wish);
    context_close(&published);
    return status;
}

/* ---- auto ---- */

static int let_go(const struct published *published, const struct service_row *row)
{
    struct choice choice;

    if (!may_change(published, row))
        return STATUS_FAILED;
    if (!row->manual) {
        printf("%s: already auto\n", row->view.settings.name);
        return STATUS_DONE;
    }
    /* Alone with its meaning: no other word depends on it. */
    store_relaxed(&row->view.live->mode, runtime_mode_pack(RUNTIME_NONE, 0));
    write_event(published, row, "", "auto");
    choice = service_decide(&row->view, clock_boot_ns());
    printf("%s: auto, %s\n", row->view.settings.name,
           choice.endpoint >= 0 ? row->labels[choice.endpoint].name : "nothing is eligible");
    return STATUS_DONE;
}

int command_auto(const struct invocation *invocation)
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
    status = row == NULL ? STATUS_USAGE : let_go(&published, row);
    context_close(&published);
    return status;
}

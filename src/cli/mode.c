/*
 * redisteer off | observe | on: the operator's word on one service. Running programs read it at
 * their next connect(). It is kept in the segment, not in the file.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/context.h"
#include "settings/words.h"
#include "state/events.h"
#include "state/live.h"

static enum service_mode wanted(const char *word)
{
    if (text_equal(word, "off"))
        return MODE_OFF;
    return text_equal(word, "observe") ? MODE_OBSERVE : MODE_STEER;
}

/* What the file says already needs no word at run time; so a later change of the file counts. */
static enum runtime_mode runtime_mode(enum service_mode mode, enum service_mode configured)
{
    if (mode == configured)
        return RUNTIME_NONE;
    switch (mode) {
    case MODE_OFF:
        return RUNTIME_OFF;
    case MODE_OBSERVE:
        return RUNTIME_OBSERVE;
    case MODE_STEER:
        break;
    }
    return RUNTIME_AUTO;
}

static void write_event(const struct published *published, const struct service_row *row,
                        enum service_mode mode)
{
    struct event event = {.type = EVENT_ADMIN};

    text_copy(event.service, sizeof event.service, row->view.settings.name);
    text_copy(event.from, sizeof event.from, row_mode_name(row));
    text_copy(event.to, sizeof event.to, mode_name(mode));
    text_copy(event.reason, sizeof event.reason, "manual");
    text_format(event.detail, sizeof event.detail, "by user %u", (unsigned)getuid());
    event_write(&published->segment, &event);
}

static int set(const struct published *published, const struct service_row *row,
               enum service_mode mode)
{
    static const char *const meaning[] = {
        [MODE_STEER] = "connections are steered",
        [MODE_OBSERVE] = "decides and counts, changes no connection",
        [MODE_OFF] = "connections go where the program says",
    };
    const struct service_settings *settings = &row->view.settings;
    bool changed = mode != row->mode || row->manual;

    if (!published->segment.writable) {
        say("not allowed to change the state of '%s'", settings->name);
        return STATUS_FAILED;
    }
    /* Alone with its meaning: no other word depends on it. */
    store_relaxed(&row->view.live->mode, runtime_mode_pack(runtime_mode(mode, settings->mode), 0));
    if (changed)
        write_event(published, row, mode);
    printf("%s: %s%s (%s)\n", settings->name, changed ? "" : "already ", mode_name(mode),
           meaning[mode]);
    if (mode != (enum service_mode)settings->mode && settings->mode < mode_words.count)
        printf("kept until you say otherwise; the file, unchanged, says mode = %s\n",
               mode_words.word[settings->mode]);
    return STATUS_DONE;
}

int command_mode(const struct invocation *invocation)
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
    status = row == NULL ? STATUS_USAGE : set(&published, row, wanted(invocation->command->name));
    context_close(&published);
    return status;
}

/* redisteer events: the ring of events, from the oldest that is still there. */
#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "cli/context.h"
#include "cli/event_text.h"
#include "cli/screen.h"
#include "cli/when.h"
#include "state/events.h"

enum {
    POLL_MS = 50,
    UNWRITTEN_MS = 500, /* a writer that takes longer between number and record has died */
};

struct reader {
    uint64_t next;     /* sequence number */
    uint64_t since_ns; /* CLOCK_REALTIME */
    bool json;
    unsigned unwritten_ms; /* for how long `next` has been taken and not written */
};

static void print_text(const struct event *event)
{
    char when[WHEN_TEXT];

    printf("%s ", when_format(event->wall_ns, when));
    event_text(event, stdout);
    putchar('\n');
}

static json_t *text_or_null(const char *text)
{
    return text[0] == '\0' ? json_null() : json_string(text);
}

/* The fields are frozen: scripts read them. */
static void print_json(const struct event *event)
{
    char when[WHEN_TEXT];
    json_t *object =
        json_pack("{s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "seq",
                  (json_int_t)event->sequence, "time", when_format(event->wall_ns, when), "type",
                  event_type_name(event->type), "service", text_or_null(event->service), "endpoint",
                  text_or_null(event->endpoint), "from", text_or_null(event->from), "to",
                  text_or_null(event->to), "reason", text_or_null(event->reason), "detail",
                  text_or_null(event->detail));

    json_dumpf(object, stdout, JSON_COMPACT);
    json_decref(object);
    putchar('\n');
}

static void lose(struct reader *reader, uint64_t until)
{
    say("lost: events %llu to %llu were overwritten before they could be read",
        (unsigned long long)reader->next, (unsigned long long)until - 1);
    reader->next = until;
}

/* Prints what is there. False: nobody reads any more. */
static bool print_new(struct reader *reader, const struct segment *segment)
{
    uint64_t newest = event_newest(segment);
    struct event event;

    if (newest >= EVENT_SLOTS && reader->next <= newest - EVENT_SLOTS)
        lose(reader, newest - EVENT_SLOTS + 1);
    for (; reader->next <= newest; reader->next++) {
        int found = event_read(segment, reader->next, &event);

        if (found == 0 && reader->unwritten_ms < UNWRITTEN_MS)
            return output_flush();
        reader->unwritten_ms = 0;
        if (found != 1)
            say("lost: event %llu", (unsigned long long)reader->next);
        else if (event.wall_ns >= reader->since_ns && reader->json)
            print_json(&event);
        else if (event.wall_ns >= reader->since_ns)
            print_text(&event);
        /* Each line at once: whoever follows acts on it. */
        if (!output_flush())
            return false;
    }
    return true;
}

/* The ring begins anew in a segment that took another's place, unless its events were carried over.
 */
static int attach_again(struct reader *reader, const struct context *context,
                        struct segment *segment)
{
    segment_detach(segment);
    if (context_attach(context, segment) != STATUS_DONE)
        return STATUS_FAILED;
    if (event_newest(segment) + 1 < reader->next)
        reader->next = 1;
    return STATUS_DONE;
}

static int read_events(struct reader *reader, const struct context *context,
                       struct segment *segment, bool follow)
{
    while (print_new(reader, segment)) {
        if (reader->next > event_newest(segment) && !follow)
            break;
        if (screen_wait(POLL_MS))
            break;
        if (reader->next <= event_newest(segment))
            reader->unwritten_ms += POLL_MS;
        if (segment_superseded(segment) && attach_again(reader, context, segment) != STATUS_DONE)
            return STATUS_FAILED;
    }
    return STATUS_DONE;
}

int command_events(const struct invocation *invocation)
{
    const char *since = invocation->given[EVENTS_SINCE];
    struct reader reader = {.json = invocation->given[EVENTS_JSON] != NULL};
    struct context context;
    struct segment segment;
    uint64_t newest;
    int status;

    if (since != NULL && when_parse(since, clock_wall_ns(), &reader.since_ns) != 0) {
        say("neither a duration (10m) nor a time (2026-01-01T00:00:00Z): '%s'", since);
        return STATUS_USAGE;
    }
    status = context_find(invocation, &context);
    if (status == STATUS_DONE)
        status = context_attach(&context, &segment);
    if (status != STATUS_DONE)
        return status;
    interrupts_catch();
    newest = event_newest(&segment);
    reader.next = newest > EVENT_SLOTS ? newest - EVENT_SLOTS + 1 : 1;
    status = read_events(&reader, &context, &segment, invocation->given[EVENTS_FOLLOW] != NULL);
    if (status == STATUS_DONE)
        segment_detach(&segment);
    return status;
}

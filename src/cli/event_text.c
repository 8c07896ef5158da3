#include "cli/event_text.h"

#include "base/text.h"

static const char *or_dash(const char *text)
{
    return text[0] != '\0' ? text : "-";
}

void event_text(const struct event *event, FILE *out)
{
    /* "cache/east", but not where "-> east" follows. */
    bool endpoint = event->endpoint[0] != '\0' && !text_equal(event->endpoint, event->to);

    fprintf(out, "%s%s%s %s", or_dash(event->service), endpoint ? "/" : "",
            endpoint ? event->endpoint : "", event_type_name(event->type));
    if (event->from[0] != '\0' || event->to[0] != '\0')
        fprintf(out, " %s -> %s", or_dash(event->from), or_dash(event->to));
    if (event->reason[0] != '\0' && event->detail[0] != '\0')
        fprintf(out, " (%s: %s)", event->reason, event->detail);
    else if (event->reason[0] != '\0' || event->detail[0] != '\0')
        fprintf(out, " (%s%s)", event->reason, event->detail);
}

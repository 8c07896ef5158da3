/* event_text: an event as one line for people, without its time. */
#ifndef CLI_EVENT_TEXT_H
#define CLI_EVENT_TEXT_H

#include <stdio.h>

#include "state/events.h"

/* "cache/east health healthy -> unhealthy (reason: detail)", no newline. */
void event_text(const struct event *event, FILE *out);

#endif

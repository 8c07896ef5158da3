/*
 * journal: the log of `redisteer monitor`: what happens on this host, from the ring of events, and
 * what the monitor itself has to say. To `log.file`, else to stderr, from `log.level` on.
 */
#ifndef CLI_JOURNAL_H
#define CLI_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "settings/settings.h"
#include "state/segment.h"

struct journal {
    enum log_level level;
    char file[PATH_TEXT]; /* "" = stderr */
    uint64_t next;        /* sequence number of the event to be written next; 0 = find out */
    bool waited;          /* for that one, already */
};

/* As the settings have it. The file is opened for each line: it may be moved away at any time. */
void journal_set(struct journal *journal, const struct settings *settings);

void journal_line(const struct journal *journal, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes the events that are new. Begins with the first one after the first call. */
void journal_follow(struct journal *journal, const struct segment *segment);

#endif

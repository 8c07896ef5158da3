#include "cli/journal.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/event_text.h"
#include "settings/words.h"
#include "state/events.h"

void journal_set(struct journal *journal, const struct settings *settings)
{
    journal->level = settings->log_level;
    text_copy(journal->file, sizeof journal->file, settings->log_file);
}

/* One write per line, so that lines of several monitors do not mix. */
static void put(const struct journal *journal, const char *text, size_t size)
{
    int fd = STDERR_FILENO;

    if (journal->file[0] != '\0')
        fd = open(journal->file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    if (fd < 0 || write(fd, text, size) < 0)
        return; /* nobody is left to be told */
    if (fd != STDERR_FILENO)
        close(fd);
}

static FILE *begin(const struct journal *journal, enum log_level level, char **text, size_t *size)
{
    char when[CLOCK_TEXT];
    FILE *line = NULL;

    if (level <= journal->level)
        line = open_memstream(text, size);
    if (line != NULL)
        fprintf(line, "%s redisteer[%ld] %s: ", clock_format_wall(clock_wall_ns(), when),
                (long)getpid(), log_level_words.word[level]);
    return line;
}

static void end(const struct journal *journal, FILE *line, char **text, const size_t *size)
{
    fputc('\n', line);
    if (fclose(line) == 0)
        put(journal, *text, *size);
    free(*text);
}

void journal_line(const struct journal *journal, enum log_level level, const char *format, ...)
{
    char *text = NULL;
    size_t size = 0;
    FILE *line = begin(journal, level, &text, &size);
    va_list arguments;

    if (line == NULL)
        return;
    va_start(arguments, format);
    vfprintf(line, format, arguments);
    va_end(arguments);
    end(journal, line, &text, &size);
}

/* Warnings are what an operator may have to look into. */
static enum log_level level_of(const struct event *event)
{
    switch ((enum event_type)event->type) {
    case EVENT_FAILOVER:
    case EVENT_LOST:
    case EVENT_CHECK:
        return LOG_WARN;
    case EVENT_HEALTH:
        return text_equal(event->to, "unhealthy") ? LOG_WARN : LOG_INFO;
    case EVENT_BREAKER:
        return text_equal(event->to, "open") ? LOG_WARN : LOG_INFO;
    case EVENT_CONFIG:
        return text_equal(event->reason, "bad file") ? LOG_ERROR : LOG_INFO;
    case EVENT_CONNECT:
    case EVENT_SHUT:
        return LOG_DEBUG;
    case EVENT_FAILBACK:
    case EVENT_SWITCH:
    case EVENT_LEADER:
    case EVENT_ADMIN:
    case EVENT_DISCOVERY:
        break;
    }
    return LOG_INFO;
}

static void write_event(const struct journal *journal, const struct event *event)
{
    char *text = NULL;
    size_t size = 0;
    FILE *line = begin(journal, level_of(event), &text, &size);

    if (line == NULL)
        return;
    event_text(event, line);
    end(journal, line, &text, &size);
}

void journal_follow(struct journal *journal, const struct segment *segment)
{
    uint64_t newest = event_newest(segment);
    struct event event;

    if (journal->next == 0 || journal->next > newest + 1)
        journal->next = newest + 1;
    if (newest - journal->next + 1 > EVENT_SLOTS)
        journal->next = newest - EVENT_SLOTS + 1;
    for (; journal->next <= newest; journal->next++) {
        int found = event_read(segment, journal->next, &event);

        if (found == 0 && !journal->waited) {
            journal->waited = true; /* its writer is at it, unless it has died */
            return;
        }
        journal->waited = false;
        if (found == 1)
            write_event(journal, &event);
    }
}

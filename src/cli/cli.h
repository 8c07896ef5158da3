/*
 * cli: what every command of the program `redisteer` shares.
 *
 * One command is one file and one row of the table in commands.c; the row drives dispatch, --help
 * and the suggestions for a mistyped word. Options are parsed in main.c, so a command finds
 * everything in its struct invocation.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

/* What the program exits with; scripts rely on it. */
enum status {
    STATUS_DONE = 0,
    STATUS_FAILED = 1, /* it failed at run time */
    STATUS_USAGE = 2,  /* wrong usage, or a bad configuration */
};

enum { OPTIONS_MAX = 8, OPERANDS_ANY = -1 };

struct command_option {
    const char *name;  /* without the dashes; NULL ends the list */
    const char *value; /* what --help calls its value; NULL: it takes none */
    const char *summary;
};

struct invocation;

struct command {
    const char *name;
    const char *arguments; /* as --help shows them */
    const char *summary;
    int (*function)(const struct invocation *invocation); /* returns an enum status */
    const struct command_option *options;                 /* NULL: none of its own */
    int least, most; /* operands; OPERANDS_ANY: the first ends the options (run) */
    bool hidden;     /* not in --help: for other parts of redisteer */
};

struct invocation {
    const struct command *command;
    const char *config;             /* --config; NULL when not given */
    const char *instance;           /* --instance; NULL when not given */
    const char *given[OPTIONS_MAX]; /* by index in command->options: the value, "" for a flag
                                       without one; NULL when not given */
    int count;                      /* operands */
    char **operands;                /* ends with NULL */
};

/* Prints "redisteer: …" and a newline to stderr. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The table, hidden commands included; ends with a row without name. */
extern const struct command commands[];
const struct command *command_find(const char *name); /* NULL: no such command */
const char *command_nearest(const char *name);        /* NULL: nothing is like it */

void help_program(void);
void help_command(const struct command *command);

int command_run(const struct invocation *invocation);
int command_check(const struct invocation *invocation);
int command_status(const struct invocation *invocation);
int command_monitor(const struct invocation *invocation);
int command_events(const struct invocation *invocation);
int command_explain(const struct invocation *invocation);
int command_endpoint(const struct invocation *invocation);
int command_mode(const struct invocation *invocation); /* off, observe, on */
int command_switch(const struct invocation *invocation);
int command_auto(const struct invocation *invocation);
int command_reload(const struct invocation *invocation);
int command_publish(const struct invocation *invocation);
int command_attend(const struct invocation *invocation);

/* Indexes of struct invocation.given, in the order of the lists in commands.c. */
enum { RUN_FAIL_OPEN };
enum { STATUS_JSON, STATUS_WATCH, STATUS_CHECK, STATUS_HISTORY };
enum { MONITOR_DETACH };
enum { SWITCH_FOR, SWITCH_FORCE };
enum { EVENTS_FOLLOW, EVENTS_JSON, EVENTS_SINCE };
enum { PUBLISH_RUNTIME_DIR };

#endif

/*
 * child: another program, run to its end: bounded in time and output, killed as a group, in an
 * environment of its own. For threads that may wait; the caller's descriptors stay out of it.
 */
#ifndef HEAVY_CHILD_H
#define HEAVY_CHILD_H

#include <stddef.h>
#include <stdint.h>

enum { CHILD_OUTPUT_MAX = 64 * 1024 };

enum child_end {
    CHILD_ENDED,     /* by itself: `status` as waitpid() has it */
    CHILD_UNSTARTED, /* `error`: an errno, 0 = not known */
    CHILD_LATE,      /* its time was up, or it was told to end */
    CHILD_TALKATIVE, /* it has written more than CHILD_OUTPUT_MAX */
};

struct child {
    const char *const *words;     /* program and arguments, then NULL; looked for in PATH */
    const char *const *variables; /* the environment, then NULL: child_variables() */
    int input;                    /* what it reads; -1: nothing */
    int cancel_fd;                /* readable: it must end */
    uint64_t deadline_ns;         /* CLOCK_BOOTTIME */
    /* Of CHILD_OUTPUT_MAX bytes, for what it writes to its standard output; standard error is then
     * forgotten. NULL: both are counted and forgotten. */
    char *output;
    /* filled in: */
    size_t length; /* of the output */
    int status, error;
};

/*
 * Runs it with / as its directory, and returns once it and its group are gone. With every return
 * the whole group has been sent SIGKILL.
 */
enum child_end child_run(struct child *child);

/*
 * `own`, then what this process inherited, without LD_PRELOAD and REDISTEER_*; then NULL. The texts
 * are not copied. NULL: out of memory; else for free().
 */
const char **child_variables(const char *const own[], size_t count);

#endif

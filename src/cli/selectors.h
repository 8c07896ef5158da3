/*
 * selectors: the programs of strategy = command, each of which ranks one service's endpoints. Run
 * by `redisteer monitor` while it holds the lease: at the start, and when something has changed
 * that they are told, at most once a second. What one says goes into the segment; of one that
 * fails an event tells, and the ranks stay as they were. For one thread, which never waits for a
 * program, except to end it.
 */
#ifndef CLI_SELECTORS_H
#define CLI_SELECTORS_H

#include "settings/settings.h"
#include "state/segment.h"

struct selector;

struct selectors {
    size_t count;
    struct selector *list;
};

/* As the settings have them. What runs and is no longer wanted so is ended. */
void selectors_set(struct selectors *selectors, const struct settings *settings);

/*
 * Takes what has ended and starts what is due; to be called several times a second. `leads`: this
 * process holds the lease. A segment that is not attached is allowed.
 */
void selectors_turn(struct selectors *selectors, const struct segment *segment, bool leads);

/* Ends those that run, and forgets all. */
void selectors_stop(struct selectors *selectors);

#endif

/*
 * spawn: has the configuration published by a child that the host program never notices.
 */
#ifndef PRELOAD_SPAWN_H
#define PRELOAD_SPAWN_H

#include <stdbool.h>

#include "state/place.h"

enum spawn_end {
    SPAWN_DONE,    /* a usable segment may be there now */
    SPAWN_LATER,   /* the child goes on with it: a starved host takes longer than we wait */
    SPAWN_IN_VAIN, /* not to be tried again for a while */
};

/*
 * Runs `redisteer publish` for `config`, or waits for another process that does, `wait_ms` at most.
 * `missing`: there was no segment, so one that is there by now will do; else it was no good. Only
 * where process_may_spawn() said yes. Changes errno.
 */
enum spawn_end spawn_publisher(const struct place *place, const char *config, bool missing,
                               unsigned wait_ms);

/*
 * Runs `redisteer attend`, which leaves a `redisteer monitor` behind that ends with the programs
 * that use the segment. True: it is on its way. Only from a thread of ours, and only where that
 * child's end is somebody's who expects such things: see launch.h. Changes errno.
 */
bool spawn_monitor(const struct place *place, const char *config, unsigned wait_ms);

/*
 * Who adopts an orphan reaps it, and must not wonder what it is. That is init, except where the
 * host itself is: as a subreaper, or as the first process of a container, or beside such a one.
 */
bool spawn_orphans_go_to_init(void);

/*
 * For the constructor: what the child's environment holds beside PATH, "REDISTEER_LOG=…" or "".
 * Kept, not copied.
 */
void spawn_environment(const char *log_variable);

#endif

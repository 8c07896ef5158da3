/*
 * users: whether any process still uses a segment. A program has it mapped as long as it lives, and
 * nothing else says so: it holds no descriptor and no lock.
 */
#ifndef CLI_USERS_H
#define CLI_USERS_H

#include <stdbool.h>
#include <sys/types.h>

struct users {
    pid_t last; /* who used it when we looked last: looked at first */
};

/*
 * A process that runs another program than ours and has mapped what we have mapped at `mapping`
 * (whose file may be gone), among those that we can see and look into. Reads the maps of one
 * process when that still uses it, else of all. True also when nothing can be found out: no /proc.
 */
bool users_exist(struct users *users, const void *mapping);

#endif

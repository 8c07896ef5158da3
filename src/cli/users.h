/*
 * users: whether any process still uses a segment. A program has it mapped as long as it lives, and
 * nothing else says so: it holds no descriptor and no lock.
 */
#ifndef CLI_USERS_H
#define CLI_USERS_H

#include <stdbool.h>
#include <sys/types.h>

enum { USERS_PATTERN = 64 };

struct users {
    pid_t last;                  /* who used it when we looked last: looked at first */
    char pattern[USERS_PATTERN]; /* how it is seen in their maps; "" = not looked yet */
};

/*
 * A process that runs another program than ours and has the file at `path` mapped, among those that
 * we can see and look into. Reads the maps of one process when that still uses it, else of all.
 * The file may be removed after the first look. True also when nothing can be found out: no /proc,
 * or no such file at the first look.
 */
bool users_exist(struct users *users, const char *path);

#endif

/*
 * environment: what this process was started with that is ours to heed: its variables, and which
 * program it is. Read once; constant from then on, so any thread may ask.
 */
#ifndef PRELOAD_ENVIRONMENT_H
#define PRELOAD_ENVIRONMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "state/layout.h"
#include "state/place.h"

/* For the constructor; opens the log. False: the library is to stay off. */
bool environment_read(void);

/* The configuration file this process is to use; false: there is none. Changes errno. */
bool environment_config(char path[static PATH_TEXT]);

/* Where that file's segment is. As place_find(). */
int environment_place(struct place *place, const char *config, bool create, const char **why);

/* This program is in the list, by the name it was called or installed by. */
bool environment_lists(char list[][PROGRAM_TEXT], uint32_t count);

/* The name it is installed by. */
const char *environment_program(void);

#endif

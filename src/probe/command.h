/*
 * command: writes requests as Redis reads them: an array of bulk strings. Pure.
 */
#ifndef PROBE_COMMAND_H
#define PROBE_COMMAND_H

#include <stddef.h>

enum {
    /* "*3", "$4" AUTH and twice "$255" with 255 bytes, each with its line ends */
    COMMAND_MAX = 640
};

/* Returns the length written to `to`, without a NUL; 0: COMMAND_MAX is too short for it. */
size_t command_write(char to[static COMMAND_MAX], unsigned count, const char *const words[]);

#endif

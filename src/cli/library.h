/* library: where libredisteer.so lies. */
#ifndef CLI_LIBRARY_H
#define CLI_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Beside the program (a build directory), in lib directories relative to it, at the installed path.
 * Writes its absolute path. False: it is in none of them, or the path does not fit.
 */
bool library_find(char *out, size_t size);

/*
 * The value of LD_PRELOAD that loads `library` first and keeps what is in `before` (NULL: nothing).
 * To be freed; NULL: no memory.
 */
char *library_preload(const char *library, const char *before);

#endif

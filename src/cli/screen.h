/*
 * screen: a terminal that is redrawn in place until the user interrupts. Without a terminal the
 * pictures are printed one after the other.
 */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

/* Takes over the screen, SIGINT, SIGTERM and SIGHUP. */
void screen_begin(void);

/* Shows `text`, cut to the window. False: nobody reads any more. */
bool screen_show(const char *text);

/* Waits; true as soon as the user has interrupted. */
bool screen_wait(unsigned ms);

/* Gives the screen back as it was. */
void screen_end(void);

/*
 * The signals alone, for commands that only run until interrupted: they then end screen_wait() (and
 * a blocked write) instead of the program. SIGPIPE becomes an error of the write.
 */
void interrupts_catch(void);

/* Writes out what was printed. False: the reader has gone, which ends a command and is no error. */
bool output_flush(void);

#endif

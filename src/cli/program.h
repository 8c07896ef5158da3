/* program: what the loader will do with a program, before it is started. */
#ifndef CLI_PROGRAM_H
#define CLI_PROGRAM_H

/*
 * Why LD_PRELOAD will not act on the program that execvp(name) would start (static, privileged,
 * another machine), in words; NULL: it will, or it cannot be told.
 */
const char *program_not_steerable(const char *name);

#endif

/*
 * borrow: a look at one of the program's descriptors from the guard's own table.
 *
 * pidfd_getfd() duplicates it into the guard's private table, which works with the program's table
 * full and never changes it. Where that is refused (Docker's default profile, Linux < 5.9) the
 * guard stays in the program's table and duplicates with a high minimum, out of the way of the
 * numbers that programs expect to get; growing the table for that may cost 8-16 ms once.
 */
#ifndef PRELOAD_BORROW_H
#define PRELOAD_BORROW_H

/* For the guard, once, before anything else: chooses the way and takes its own table if it can. */
void borrow_begin(void);

/* A duplicate of `fd`, or -1: closed, or no descriptor to be had. To be closed at once. */
int borrow(int fd);

#endif

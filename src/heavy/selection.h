/*
 * selection: one run of a selector program, in a thread of its own: what it is told goes to its
 * standard input, what it writes to its standard output is kept. For one thread to start, ask and
 * free.
 */
#ifndef HEAVY_SELECTION_H
#define HEAVY_SELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct selection;

enum { SELECTION_WHY = 72 };

/*
 * `words`: program and arguments, then NULL; `told` as it is to be read. Both are copied. It is
 * ended `patience_ns` from now. NULL: this host's own trouble (no memory, thread or descriptor).
 */
struct selection *selection_start(const char *const words[], const char *told,
                                  uint64_t patience_ns);

/* False: not yet. */
bool selection_done(const struct selection *selection);

/*
 * Once it is done: what it has written, or NULL with `why` a text for people: it could not be
 * started, was too slow, said too much, or did not end with exit status 0.
 */
const char *selection_result(const struct selection *selection, size_t *length,
                             char why[static SELECTION_WHY]);

/* Ends the program if it still runs, and waits for that. NULL is allowed. */
void selection_free(struct selection *selection);

#endif

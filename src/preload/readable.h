/*
 * readable: may this memory be read without a fault?
 *
 * connect() with a wild pointer is EFAULT, and EBADF comes before it: a hook that reads the address
 * first would crash a program that the kernel would only have told off. Pages once found readable
 * are remembered, so the common case (a socket address on the stack or from getaddrinfo) costs a
 * few loads; a page that was unmapped since is the one case left to chance.
 */
#ifndef PRELOAD_READABLE_H
#define PRELOAD_READABLE_H

#include <stdbool.h>
#include <stddef.h>

/* [hook] errno untouched. `size` is 4..4096 bytes. */
bool readable(const void *memory, size_t size);

#endif

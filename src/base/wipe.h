/* wipe: what held a secret holds none any more. [hook] */
#ifndef BASE_WIPE_H
#define BASE_WIPE_H

#include <stddef.h>

static inline void wipe(void *what, size_t size)
{
    volatile unsigned char *byte = what; /* volatile, or the compiler leaves it out */

    for (size_t i = 0; i < size; i++)
        byte[i] = 0;
}

#endif

/*
 * heavy: the checks that only the program `redisteer` can make, because they need OpenSSL, libcurl
 * or other programs. The library knows none of this; the health loop finds it where it was put.
 */
#ifndef HEAVY_HEAVY_H
#define HEAVY_HEAVY_H

/* Once, before the first probe and from the only thread. SIGPIPE is ignored from then on. */
void heavy_begin(void);

#endif

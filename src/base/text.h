/*
 * text: bounded strings, host names, and a formatter that a hook may call.
 * Everything here is [hook]: no lock, no allocation, no locale, errno untouched.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies as much of `from` as fits and always ends it. Returns false when it was cut. */
bool text_copy(char *to, size_t size, const char *from);

bool text_equal(const char *a, const char *b);
bool text_starts(const char *text, const char *prefix);

/* A decimal number with an optional '-', and nothing else. False: it is none, or too large. */
bool text_integer(const char *text, int64_t *out);

/* ASCII only: DNS names ignore case in ASCII alone (RFC 4343). */
char text_lower(char c);

/*
 * A host name in the form that names are compared in: lower case, without one trailing dot.
 * Returns its length, or 0 when it is empty or does not fit (`size` includes the NUL).
 */
size_t text_host_name(char *to, size_t size, const char *from);

/*
 * snprintf's little sibling: %s %c %d %u %ld %lu %lld %llu %zu %x %llx %% and a width with '0' or
 * ' ' padding for numbers. Returns the length written, always less than `size`.
 */
size_t text_format(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
size_t text_vformat(char *to, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

#endif

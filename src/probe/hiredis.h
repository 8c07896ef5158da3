/*
 * hiredis: the names between hiredis's reader and us.
 *
 * The build takes the reader out of libhiredis.a and renames (hiredis.syms) what it calls: memory,
 * assertions, printf. So a stranger's process never sees its allocations, an assertion ends one
 * reply instead of the process, and nothing is imported that musl lacks (__snprintf_chk…). The
 * program `redisteer` and other copies of hiredis are not touched by this.
 */
#ifndef PROBE_HIREDIS_H
#define PROBE_HIREDIS_H

#include <stdarg.h>
#include <stddef.h>

#define redisReaderCreateWithFunctions hiredis_reader_create
#define redisReaderFeed                hiredis_reader_feed
#define redisReaderGetReply            hiredis_reader_get_reply
#include <hiredis/read.h>

void *hiredis_malloc(size_t size);
void *hiredis_calloc(size_t count, size_t size);
void *hiredis_realloc(void *old, size_t size);
void hiredis_free(void *old);
char *hiredis_strdup(const char *text);

/* Both end the arena_run() that is under way. */
_Noreturn void hiredis_abort(void);
_Noreturn void hiredis_assert_fail(const char *claim, const char *file, unsigned line,
                                   const char *function);

int hiredis_snprintf(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int hiredis_snprintf_chk(char *to, size_t size, int flag, size_t room, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
int hiredis_vsnprintf(char *to, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));
int hiredis_vsnprintf_chk(char *to, size_t size, int flag, size_t room, const char *format,
                          va_list arguments) __attribute__((format(printf, 5, 0)));
void *hiredis_memcpy_chk(void *to, const void *from, size_t size, size_t room);
void *hiredis_memmove_chk(void *to, const void *from, size_t size, size_t room);
void *hiredis_memset_chk(void *to, int byte, size_t size, size_t room);
double hiredis_strtod(const char *text, char **end);

#endif

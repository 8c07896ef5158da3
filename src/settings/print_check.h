/*
 * print_check: check blocks and expressions of checks, as the file has them. For print.c.
 */
#ifndef SETTINGS_PRINT_CHECK_H
#define SETTINGS_PRINT_CHECK_H

#include "settings/settings.h"

/* Text in double quotes, so that it is read back as it was. */
void print_quoted(FILE *out, const char *text);
void print_boolean(FILE *out, const char *indent, const char *name, bool value);
/* `whole`: of an endpoint; a check's has no `enabled` and no server_name. */
void print_tls(FILE *out, const char *indent, const struct tls *tls, bool whole);
void print_duration(FILE *out, const char *indent, const char *name, uint64_t ns);

/* A list of words that ends with NULL. */
void print_words(FILE *out, const char *indent, const char *name, const char *const *words);

void print_check(const struct check_block *block, FILE *out);

/* `name = all(a, b)`; with nothing in it, `name = ""`. */
void print_expression(const struct settings *settings, const struct expression *expression,
                      const char *indent, const char *name, FILE *out);

#endif

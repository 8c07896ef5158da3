/*
 * value: reading single values of a block, with their type and range.
 *
 * Each function returns what the file says for `name`, or `otherwise` (the default) when it says
 * nothing or something wrong; what is wrong is complained about at the value's line.
 */
#ifndef SETTINGS_VALUE_H
#define SETTINGS_VALUE_H

#include <stdint.h>

#include "base/clock.h"
#include "settings/complain.h"
#include "settings/grammar.h"
#include "settings/words.h"

#define NS_PER_M (60 * NS_PER_S)
#define NS_PER_H (60 * NS_PER_M)

struct input {
    cfg_t *block;
    struct complaints *complaints;
};

/* The block `name` inside; it is always there, empty when the file has none. */
struct input input_block(const struct input *in, const char *name);

/* The value as written, or NULL. `index` counts the entries of a list. */
const struct value *value_at(const struct input *in, const char *name, size_t index);
const struct value *value_of(const struct input *in, const char *name);
size_t value_count(const struct input *in, const char *name);

/* How complaints call an option: "health.timeout", but "mode" for one of a service itself. */
enum { OPTION_TEXT = 64 };
const char *value_name(const struct input *in, const char *name, char out[static OPTION_TEXT]);

/* Complains about `name` at the line of `value`, quoting it: "health.timeout <what>: '…'". */
void value_wrong(const struct input *in, const char *name, const struct value *value,
                 const char *what, ...) __attribute__((format(printf, 4, 5)));

/* For what the grammar has and this build has not. Only worth saying of what is not the default. */
void value_unavailable(const struct input *in, const char *name);

bool value_bool(const struct input *in, const char *name, bool otherwise);
uint32_t value_number(const struct input *in, const char *name, uint32_t otherwise, uint32_t least,
                      uint32_t most);
/* Thousandths of a number such as 1.0 or 0.125. */
uint32_t value_milli(const struct input *in, const char *name, uint32_t otherwise, uint32_t least,
                     uint32_t most);
/* Hundredths of a percent. */
uint32_t value_percent(const struct input *in, const char *name, uint32_t otherwise);
/* Nanoseconds, whole milliseconds only. */
uint64_t value_duration(const struct input *in, const char *name, uint64_t otherwise,
                        uint64_t least, uint64_t most);
/* The same of a text that is not a whole value ("wait:5s"). False when it was complained about. */
bool duration_of(const struct input *in, const char *name, const struct value *value,
                 const char *text, uint64_t least, uint64_t most, uint64_t *ns);
/* An index of `words`. */
unsigned value_word(const struct input *in, const char *name, unsigned otherwise,
                    const struct words *words);
/* OUTCOME_BITs of a list of outcomes. */
uint32_t value_outcomes(const struct input *in, const char *name, uint32_t otherwise);
/* Copies free text, an empty one included. */
void value_text(const struct input *in, const char *name, char *out, size_t size);
/* A file's path: absolute or empty. */
void value_path(const struct input *in, const char *name, char *out, size_t size);
/* A name of letters, digits, '.', '-' and '_', or empty. */
void value_label(const struct input *in, const char *name, char *out, size_t size);

/* A decimal number without sign, fraction or leading zeros. */
bool number_parse(const char *text, uint32_t *out);
/* True for 1 to 47 letters, digits, '.', '-' and '_'. */
bool name_is_good(const char *text);

#endif

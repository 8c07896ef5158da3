/*
 * grammar: the blocks and options of the file, in libconfuse's own tables.
 *
 * Each value is kept as the text that was written and its line; what it means is read in value.h.
 */
#ifndef SETTINGS_GRAMMAR_H
#define SETTINGS_GRAMMAR_H

#include <stdbool.h>

#include <confuse.h>

#include "policy/rules.h"

enum {
    OPTIONS_MAX = 24, /* of one block */
};

struct value {
    unsigned line;
    char text[];
};

/* The whole file. libconfuse wants it writable; it copies what it changes. */
extern cfg_opt_t grammar[];

/* The option or block of that name, or NULL. `name` need not be terminated. */
cfg_opt_t *grammar_find(cfg_opt_t *options, const char *name, size_t length);

bool grammar_is_block(const cfg_opt_t *option);
bool grammar_is_titled(const cfg_opt_t *option); /* service NAME { … } */
bool grammar_is_list(const cfg_opt_t *option);
unsigned grammar_most(const cfg_opt_t *option); /* how many blocks of a titled kind may stand */

/* The name that was probably meant: at most two letters away from `name`, or NULL. */
const char *grammar_nearest(const cfg_opt_t *options, const char *name, size_t length);

#endif

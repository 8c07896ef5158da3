/*
 * scan: the words and signs of the file, before libconfuse sees it.
 *
 * libconfuse 3.3 miscounts lines after a comment, rejects comments inside lists, drops a bare '*'
 * or
 * '+' and replaces ${X} from the environment, all without a word. So comments are blanked here
 * (lines stay where they are), and what libconfuse would take for something else is refused.
 */
#ifndef SETTINGS_SCAN_H
#define SETTINGS_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "settings/settings.h"

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,   /* without quotes */
    TOKEN_STRING, /* with quotes */
    TOKEN_OPEN,   /* { */
    TOKEN_CLOSE,  /* } */
    TOKEN_EQUALS,
    TOKEN_COMMA,
};

struct token {
    enum token_kind kind;
    bool bad; /* complained about; its text is blanked */
    unsigned line;
    uint32_t at, length; /* in the text, quotes included */
};

struct scan {
    char *text; /* ends with a NUL; comments are blanked */
    size_t length;
    size_t count;
    struct token *tokens; /* the last one is TOKEN_END */
};

/* Reads `text`, which it changes and scan_free() does not free. 0 or -ENOMEM. */
int scan_text(struct scan *scan, char *text, size_t length, struct complaints *complaints);
void scan_free(struct scan *scan);

/* Replaces a part of the text by spaces, newlines kept. */
void scan_blank(struct scan *scan, size_t from, size_t to);

#endif

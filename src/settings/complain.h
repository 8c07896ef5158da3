/*
 * complain: gathers what can be said against the configuration, for settings.h.
 */
#ifndef SETTINGS_COMPLAIN_H
#define SETTINGS_COMPLAIN_H

#include "settings/settings.h"

/*
 * Adds "<what is wrong>: '<text>'" to the list, or "<what is wrong>" when `text` is NULL. Control
 * characters of `text` become '?', a long one is cut. `line` 0 is about the file as a whole.
 */
void complain(struct complaints *complaints, unsigned line, const char *text, const char *what, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts the list in the order of lines; what was found first stays first within a line. */
void complaints_sort(struct complaints *complaints);

#endif

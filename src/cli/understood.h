/*
 * understood: settings written as a configuration file, with every option in force, defaults
 * included. What it writes means the same when it is read again; secrets are left out.
 */
#ifndef CLI_UNDERSTOOD_H
#define CLI_UNDERSTOOD_H

#include <stdio.h>

#include "settings/settings.h"

void understood_print(const struct settings *settings, FILE *out);

#endif

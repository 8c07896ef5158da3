/*
 * secret: the password that an endpoint or a check has, from the file itself or from its
 * password_file. It is read when it is published and kept nowhere else.
 */
#ifndef SETTINGS_SECRET_H
#define SETTINGS_SECRET_H

#include "settings/settings.h"
#include "state/secrets.h"

enum { SECRET_WHY = 160 };

/*
 * Each may be NULL. 0, or -errno with `why` for people, the text then being what could be
 * understood. Of a password_file the first line counts.
 */
int secret_of(const char *username, const char *password, const char *password_file,
              struct secret *out, char why[static SECRET_WHY]);

#endif

/*
 * password_files: the files that the settings name as password_file, and whether one of them has
 * changed since they were read.
 */
#ifndef CLI_PASSWORD_FILES_H
#define CLI_PASSWORD_FILES_H

#include "settings/settings.h"

struct password_files {
    size_t count;
    struct password_file {
        char *path;
        struct file_stamp stamp; /* all 0: not there */
    } * list;
};

/* As the settings have them, and as they are now. Forgets what was there before. */
void password_files_set(struct password_files *files, const struct settings *settings);

/* True once for each change. */
bool password_files_changed(struct password_files *files);

#endif

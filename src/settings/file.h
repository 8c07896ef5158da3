/*
 * file: the configuration file and password files, opened only when nobody else could have changed
 * or read what he should not.
 */
#ifndef SETTINGS_FILE_H
#define SETTINGS_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "state/place.h"

enum { FILE_SIZE_MAX = 1024 * 1024, FILE_WHY = 128 };

struct file {
    char *text; /* ends with a NUL; freed by file_free() */
    size_t length;
    mode_t mode;
    struct file_stamp stamp;
};

/*
 * Reads all of it. 0 or -errno with `why`, a reason that follows the path in a sentence: -EACCES
 * (others can write it, or it belongs to someone else), -EISDIR, -EINVAL (not a regular file),
 * -EFBIG (over FILE_SIZE_MAX) or the errno of open() and read().
 */
int file_load(struct file *file, const char *path, char why[static FILE_WHY]);
void file_free(struct file *file);

/* 0 when `path` is a readable file that nobody else can read or write; else -errno and `why`. */
int file_check_secret(const char *path, char why[static FILE_WHY]);

#endif

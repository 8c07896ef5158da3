#include "settings/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "state/secrets.h"

static int refuse(char why[static FILE_WHY], int error, const char *reason)
{
    snprintf(why, FILE_WHY, "%s", reason);
    return -error;
}

static int check_kind(const struct stat *found, char why[static FILE_WHY])
{
    if (S_ISDIR(found->st_mode))
        return refuse(why, EISDIR, "is a directory");
    if (!S_ISREG(found->st_mode))
        return refuse(why, EINVAL, "is not a regular file");
    if (found->st_uid != 0 && found->st_uid != geteuid())
        return refuse(why, EACCES, "belongs to neither root nor the current user (chown it)");
    if (found->st_mode & (S_IWGRP | S_IWOTH))
        return refuse(why, EACCES, "can be written by others (run chmod go-w)");
    return 0;
}

/* O_NONBLOCK: opening a FIFO must not wait for a writer. */
static int open_checked(const char *path, struct stat *found, char why[static FILE_WHY])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int error = 0;

    if (fd < 0 || fstat(fd, found) < 0) {
        error = -errno;
        snprintf(why, FILE_WHY, "cannot be opened (%s)", strerror(-error));
    } else {
        error = check_kind(found, why);
    }
    if (error && fd >= 0)
        close(fd);
    return error ? error : fd;
}

static int read_all(int fd, struct file *file, char why[static FILE_WHY])
{
    for (;;) {
        ssize_t got = read(fd, file->text + file->length, FILE_SIZE_MAX + 1 - file->length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int error = errno;
            snprintf(why, FILE_WHY, "cannot be read (%s)", strerror(error));
            return -error;
        }
        if (got == 0)
            return 0;
        file->length += (size_t)got;
        if (file->length > FILE_SIZE_MAX)
            return refuse(why, EFBIG, "is larger than 1 MiB");
    }
}

int file_load(struct file *file, const char *path, char why[static FILE_WHY])
{
    struct stat found = {0};
    int fd = open_checked(path, &found, why);
    int error;

    *file = (struct file){0};
    if (fd < 0)
        return fd;
    file->text = calloc(1, FILE_SIZE_MAX + 2);
    error = file->text ? read_all(fd, file, why) : refuse(why, ENOMEM, "does not fit into memory");
    close(fd);
    if (error) {
        file_free(file);
        return error;
    }
    file->mode = found.st_mode;
    file->stamp = (struct file_stamp){
        .mtime_ns = (uint64_t)found.st_mtim.tv_sec * NS_PER_S + (uint64_t)found.st_mtim.tv_nsec,
        .size = (uint64_t)found.st_size,
        .inode = found.st_ino,
    };
    return 0;
}

void file_free(struct file *file)
{
    if (file->text)
        explicit_bzero(file->text, file->length); /* it may hold a password */
    free(file->text);
    *file = (struct file){0};
}

int file_check_secret(const char *path, char why[static FILE_WHY])
{
    struct stat found = {0};
    int fd = open_checked(path, &found, why);

    if (fd < 0)
        return fd;
    close(fd);
    if (found.st_mode & (S_IRGRP | S_IROTH))
        return refuse(why, EACCES, "can be read by others (run chmod 600)");
    if (found.st_size > SECRET_TEXT + 1) /* two bytes may end its line */
        return refuse(why, EFBIG, "is longer than a password may be (255 bytes)");
    return 0;
}

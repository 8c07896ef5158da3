#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "state/files.h"
#include "state/secrets_file.h"

/* What is there now holds these secrets, and no others: how many it holds stands in its head. */
static bool says_the_same(const char *path, const struct secret_entry *entries, uint32_t count)
{
    struct secrets_head head;
    struct secret found;
    bool same;
    int fd = secrets_open(path);

    if (fd < 0)
        return false;
    same = pread(fd, &head, sizeof(head), 0) == (ssize_t)sizeof(head) && head.count == count;
    for (uint32_t i = 0; same && i < count; i++)
        same = secrets_read(fd, entries[i].slot, entries[i].generation, &found) &&
               text_equal(found.username, entries[i].secret.username) &&
               text_equal(found.password, entries[i].secret.password);
    explicit_bzero(&found, sizeof(found));
    close(fd);
    return same;
}

static int write_at(int fd, uint64_t at, const void *from, size_t size)
{
    ssize_t written = pwrite(fd, from, size, (off_t)at);

    if (written < 0)
        return -errno;
    return (size_t)written == size ? 0 : -ENOSPC;
}

static int fill(int fd, const struct secret_entry *entries, uint32_t count)
{
    struct secrets_head head = {.entry_size = sizeof(struct secrets_record), .count = count};
    int error;

    memcpy(head.magic, SECRETS_MAGIC, sizeof(head.magic));
    error = write_at(fd, 0, &head, sizeof(head));
    for (uint32_t i = 0; !error && i < count; i++) {
        struct secrets_record record = {
            .generation = entries[i].generation,
            .present = 1,
            .secret = entries[i].secret,
        };

        error = write_at(fd, secrets_at(entries[i].slot), &record, sizeof(record));
        explicit_bzero(&record, sizeof(record));
    }
    return error;
}

int secrets_write(const struct place *place, const struct secret_entry *entries, uint32_t count)
{
    char fresh[sizeof(place->secrets) + 8];
    int fd, error;

    if (count == 0)
        return unlink(place->secrets) == 0 || errno == ENOENT ? 0 : -errno;
    if (says_the_same(place->secrets, entries, count))
        return 0;
    /* One name for all: the lock is held, and what a publisher that died left is overwritten. */
    text_format(fresh, sizeof(fresh), "%s.new", place->secrets);
    if (unlink(fresh) != 0 && errno != ENOENT)
        return -errno;
    fd = file_open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fd;
    error = fill(fd, entries, count);
    close(fd);
    if (!error && rename(fresh, place->secrets) != 0)
        error = -errno;
    if (error)
        unlink(fresh);
    return error;
}

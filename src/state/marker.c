/* The marker of a publication that failed: the stamp of the file that could not be published. */
#include "state/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state/files.h"

int publish_mark_failed(const struct place *place, const struct file_stamp *stamp)
{
    /* One write: a reader sees the whole stamp or a file that is too short. */
    int fd = file_open(place->failed, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    ssize_t written;
    int error;

    if (fd < 0)
        return fd;
    written = write(fd, stamp, sizeof(*stamp));
    error = written == (ssize_t)sizeof(*stamp) ? 0 : written < 0 ? -errno : -ENOSPC;
    close(fd);
    return error;
}

bool publish_failed_before(const struct place *place, const struct file_stamp *stamp)
{
    struct file_facts facts;
    struct file_stamp marked;
    bool same;
    int fd = file_open(place->failed, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

    if (fd < 0)
        return false;
    same = file_facts_of(fd, &facts) == 0 && S_ISREG(facts.mode) &&
           (facts.uid == geteuid() || facts.uid == 0) &&
           file_read(fd, &marked, sizeof(marked)) == (long)sizeof(marked) &&
           file_stamp_equal(&marked, stamp);
    close(fd);
    return same;
}

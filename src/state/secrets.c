#include "state/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "state/files.h"
#include "state/secrets_file.h"

struct secrets_stamp secrets_stamp(const char *path)
{
    struct file_facts facts;

    if (file_facts_at(path, false, &facts) != 0)
        return (struct secrets_stamp){0};
    return (struct secrets_stamp){.inode = facts.inode, .mtime_ns = facts.mtime_ns};
}

/* As a system call: pread() has a versioned twin for large files. */
static bool read_at(int fd, uint64_t at, void *to, size_t size)
{
#if defined(__LP64__)
    return syscall(SYS_pread64, fd, to, size, at) == (long)size;
#else
    return lseek(fd, (off_t)at, SEEK_SET) == (off_t)at && file_read(fd, to, size) == (long)size;
#endif
}

static int verify(int fd)
{
    struct secrets_head head;
    struct file_facts facts;
    int error = file_facts_of(fd, &facts);

    if (error)
        return error;
    if (!S_ISREG(facts.mode) || (facts.uid != geteuid() && facts.uid != 0) ||
        facts.mode & (S_IRWXG | S_IRWXO))
        return -EPERM;
    if (!read_at(fd, 0, &head, sizeof(head)) ||
        memcmp(head.magic, SECRETS_MAGIC, sizeof(head.magic)) != 0 ||
        head.entry_size != sizeof(struct secrets_record))
        return -EBADMSG;
    return 0;
}

int secrets_open(const char *path)
{
    int fd = file_open(path, O_RDONLY | O_NOFOLLOW, 0);
    int error;

    if (fd < 0)
        return fd;
    error = verify(fd);
    if (error)
        close(fd);
    return error ? error : fd;
}

bool secrets_read(int fd, uint32_t slot, uint32_t generation, struct secret *out)
{
    struct secrets_record record;
    bool found;

    memset(out, 0, sizeof(*out));
    if (slot >= SECRETS_MAX)
        return false;
    found = read_at(fd, secrets_at(slot), &record, sizeof(record)) &&
            record.generation == generation && record.present == 1;
    if (found) {
        *out = record.secret;
        out->username[SECRET_TEXT - 1] = '\0';
        out->password[SECRET_TEXT - 1] = '\0';
    }
    return found;
}

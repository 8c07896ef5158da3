#include "state/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int result_of(long returned)
{
    return returned < 0 ? -errno : (int)returned;
}

/*
 * Where the kernel's struct stat is known to be the libc's, the old call: seccomp filters know it.
 * Elsewhere (32 bits: several layouts) statx(), which has one layout for all.
 */
#if (defined(__x86_64__) && defined(__LP64__)) || defined(__aarch64__)

static void take(struct file_facts *out, const struct stat *from)
{
    out->uid = from->st_uid;
    out->gid = from->st_gid;
    out->mode = from->st_mode;
    out->size = (uint64_t)from->st_size;
    out->inode = from->st_ino;
    out->mtime_ns = (uint64_t)from->st_mtim.tv_sec * 1000000000u + (uint64_t)from->st_mtim.tv_nsec;
}

int file_facts_of(int fd, struct file_facts *out)
{
    struct stat facts;
    int error = result_of(syscall(SYS_fstat, fd, &facts));

    if (error == 0)
        take(out, &facts);
    return error;
}

int file_facts_at(const char *path, bool follow, struct file_facts *out)
{
    struct stat facts;
    int flags = follow ? 0 : AT_SYMLINK_NOFOLLOW;
    int error = result_of(syscall(SYS_newfstatat, AT_FDCWD, path, &facts, flags));

    if (error == 0)
        take(out, &facts);
    return error;
}

#else

static int ask(int fd, const char *path, int flags, struct file_facts *out)
{
    struct statx facts;
    int error = result_of(syscall(SYS_statx, fd, path, flags, STATX_BASIC_STATS, &facts));

    if (error)
        return error;
    out->uid = facts.stx_uid;
    out->gid = facts.stx_gid;
    out->mode = facts.stx_mode;
    out->size = facts.stx_size;
    out->inode = facts.stx_ino;
    out->mtime_ns = (uint64_t)facts.stx_mtime.tv_sec * 1000000000u + facts.stx_mtime.tv_nsec;
    return 0;
}

int file_facts_of(int fd, struct file_facts *out)
{
    return ask(fd, "", AT_EMPTY_PATH, out);
}

int file_facts_at(const char *path, bool follow, struct file_facts *out)
{
    return ask(AT_FDCWD, path, follow ? 0 : AT_SYMLINK_NOFOLLOW, out);
}

#endif

int file_open(const char *path, int flags, unsigned mode)
{
    return result_of(syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode));
}

long file_read(int fd, void *to, size_t size)
{
    unsigned char *at = to;
    size_t done = 0;

    while (done < size) {
        ssize_t got = read(fd, at + done, size - done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (long)done;
}

int file_map(int fd, size_t offset, size_t size, bool writable, void **out)
{
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
#ifdef SYS_mmap2
    /* Counts the offset in units of 4096 bytes, whatever the page size. */
    long at = syscall(SYS_mmap2, NULL, size, protection, MAP_SHARED, fd, offset / 4096);
#else
    long at = syscall(SYS_mmap, NULL, size, protection, MAP_SHARED, fd, offset);
#endif

    if (at == -1)
        return -errno;
    *out = (void *)at;
    return 0;
}

/* As in <linux/magic.h>, which not every libc finds. */
#define TMPFS_MAGIC UINT32_C(0x01021994)
#define RAMFS_MAGIC UINT32_C(0x858458f6)

bool file_in_memory(int fd)
{
    unsigned long facts[64] = {0}; /* more than any struct statfs; its first word is the type */
    uint32_t type;

    if (syscall(SYS_fstatfs, fd, facts) != 0)
        return false;
    type = (uint32_t)facts[0];
    return type == TMPFS_MAGIC || type == RAMFS_MAGIC;
}

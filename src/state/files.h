/*
 * files: the few file operations that the library needs, as plain system calls.
 *
 * glibc's stat() family, fcntl() and the LFS names carry symbol versions that an older glibc or
 * musl lacks; a system call has no version. All functions are [hook] and return 0, or a descriptor,
 * or -errno; errno itself is changed.
 */
#ifndef STATE_FILES_H
#define STATE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file_facts {
    uint32_t uid;
    uint32_t gid;
    uint32_t mode; /* type and permissions, as in st_mode */
    uint64_t size;
    uint64_t inode;
    uint64_t mtime_ns;
};

int file_facts_of(int fd, struct file_facts *out);
/* `follow`: of what a symbolic link points to; otherwise of the link. */
int file_facts_at(const char *path, bool follow, struct file_facts *out);

/* open(); O_CLOEXEC is always added. */
int file_open(const char *path, int flags, unsigned mode);

/* Reads from the current position until `size` bytes or the end. The number of bytes, or -errno. */
long file_read(int fd, void *to, size_t size);

/* A shared mapping; `offset` is a multiple of 64 KiB, or 0. */
int file_map(int fd, size_t offset, size_t size, bool writable, void **out);

/* True on tmpfs and ramfs: memory, gone after a reboot. */
bool file_in_memory(int fd);

#endif

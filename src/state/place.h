/*
 * place: where the segment of this user, network namespace and instance lies.
 *
 * The directory is $REDISTEER_RUNTIME_DIR, else /run/redisteer where it exists and is usable, else
 * /dev/shm/redisteer-<uid> (0700, its owner checked). The instance is a name, or a hash of the
 * configuration file's absolute path as given, so a program finds its segment without reading the
 * file. The file names carry the ABI and the network namespace.
 *
 * All functions are [hook]: no lock, no allocation, no stdio. They change errno.
 */
#ifndef STATE_PLACE_H
#define STATE_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "state/layout.h"

struct place {
    char directory[PATH_TEXT];
    char instance[INSTANCE_TEXT];
    char segment[PATH_TEXT + 128]; /* the segment itself */
    char lock[PATH_TEXT + 128]; /* whoever writes the segment holds flock() on it; never unlinked */
    char start[PATH_TEXT + 128];   /* whoever has the file published for a program holds flock() */
    char secrets[PATH_TEXT + 128]; /* user names and passwords, 0600; see secrets.h */
    char failed[PATH_TEXT + 128];  /* left by a publication that failed; holds the file's stamp */
};

/* The environment, as far as it matters here; NULL = not set. */
struct place_request {
    const char *runtime_dir; /* $REDISTEER_RUNTIME_DIR */
    const char *instance;    /* --instance or $REDISTEER_INSTANCE */
    const char *config;      /* absolute path of the configuration file */
    bool create;             /* make /dev/shm/redisteer-<uid> when nothing else is there */
};

/*
 * Fills `place`. 0; -ENOENT: no directory yet; -EPERM: the directory belongs to someone else or
 * others may write to it; -EINVAL: an instance name with characters other than letters, digits,
 * '.', '-' and '_', or too long; -ENAMETOOLONG. `*why` is then a sentence for people.
 */
int place_find(struct place *place, const struct place_request *request, const char **why);

/* Identity of a configuration file: unchanged while these three are. */
struct file_stamp {
    uint64_t mtime_ns;
    uint64_t size;
    uint64_t inode;
};
int file_stamp_read(const char *path, struct file_stamp *out); /* 0 or -errno */
bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b);

/* Kernel identities that a segment is bound to. 0 when the kernel does not tell. */
uint64_t place_network_namespace(void);
uint64_t place_time_namespace(void);
uint64_t place_pid_namespace(void);
bool place_boot_id(uint8_t id[static 16]);

#endif

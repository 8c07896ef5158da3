#include "state/place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/text.h"
#include "state/files.h"

static const char RUN_DIRECTORY[] = "/run/redisteer";

static const char *unless_empty(const char *text)
{
    return text && *text ? text : NULL;
}

/* ---- instance and file names ---- */

static bool instance_is_valid(const char *name)
{
    for (const char *c = name; *c; c++) {
        char lower = text_lower(*c);

        if (!(lower >= 'a' && lower <= 'z') && !(*c >= '0' && *c <= '9') && *c != '.' &&
            *c != '-' && *c != '_')
            return false;
    }
    return strlen(name) < INSTANCE_TEXT;
}

static int find_instance(struct place *place, const struct place_request *request, const char **why)
{
    const char *name = unless_empty(request->instance);
    const char *config = unless_empty(request->config);

    if (name && !instance_is_valid(name)) {
        *why = "the instance name may hold up to 63 letters, digits, '.', '-' and '_'";
        return -EINVAL;
    }
    if (name) {
        text_copy(place->instance, sizeof(place->instance), name);
    } else if (config) {
        text_format(place->instance, sizeof(place->instance), "%016llx",
                    (unsigned long long)hash_bytes(config, strlen(config)));
    } else {
        *why = "neither an instance name nor a configuration file is known";
        return -EINVAL;
    }
    return 0;
}

static void name_file(char *out, size_t size, const struct place *place, const char *suffix)
{
    text_format(out, size, "%s/%s.v%d.n%llx.%s", place->directory, place->instance,
                (int)SEGMENT_ABI, (unsigned long long)place_network_namespace(), suffix);
}

static void name_files(struct place *place)
{
    name_file(place->segment, sizeof(place->segment), place, "segment");
    name_file(place->lock, sizeof(place->lock), place, "lock");
    name_file(place->secrets, sizeof(place->secrets), place, "secrets");
    name_file(place->start, sizeof(place->start), place, "start");
    name_file(place->failed, sizeof(place->failed), place, "failed");
}

/* ---- directory ---- */

/* Nobody but its owner (us or root) and root can replace a file of ours in it. */
static bool others_keep_out(const struct file_facts *directory)
{
    bool ours = directory->uid == geteuid() || directory->uid == 0;

    return ours && ((directory->mode & (S_IWGRP | S_IWOTH)) == 0 || directory->mode & S_ISVTX);
}

static int make_directory(const char *path)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

static int use_named_directory(struct place *place, const struct place_request *request,
                               const char **why)
{
    struct file_facts facts;
    int error;

    if (request->runtime_dir[0] != '/') {
        *why = "the runtime directory must be an absolute path";
        return -EINVAL;
    }
    if (!text_copy(place->directory, sizeof(place->directory), request->runtime_dir)) {
        *why = "the path of the runtime directory is too long";
        return -ENAMETOOLONG;
    }
    error = file_facts_at(place->directory, true, &facts);
    if (error == -ENOENT && request->create) {
        error = make_directory(place->directory);
        if (!error)
            error = file_facts_at(place->directory, true, &facts);
    }
    if (error) {
        *why = "the runtime directory does not exist or cannot be used";
        return error;
    }
    if (!S_ISDIR(facts.mode)) {
        *why = "the runtime directory is not a directory";
        return -ENOTDIR;
    }
    if (!others_keep_out(&facts)) {
        *why = "the runtime directory belongs to someone else, or others may write to it";
        return -EPERM;
    }
    return 0;
}

/* /run/redisteer: ours to write to, or the home of a segment that root shares with us. */
static bool use_run_directory(struct place *place)
{
    struct file_facts facts;

    text_copy(place->directory, sizeof(place->directory), RUN_DIRECTORY);
    if (file_facts_at(RUN_DIRECTORY, false, &facts) || !S_ISDIR(facts.mode) ||
        !others_keep_out(&facts))
        return false;
    if (access(RUN_DIRECTORY, W_OK | X_OK) == 0)
        return true;
    name_files(place);
    return file_facts_at(place->segment, false, &facts) == 0 && facts.uid == 0 &&
           access(place->segment, R_OK) == 0;
}

static int use_own_directory(struct place *place, const struct place_request *request,
                             const char **why)
{
    struct file_facts facts;
    int error;

    text_format(place->directory, sizeof(place->directory), "/dev/shm/redisteer-%u",
                (unsigned)geteuid());
    error = file_facts_at(place->directory, false, &facts);
    if (error == -ENOENT && request->create) {
        error = make_directory(place->directory);
        if (!error)
            error = file_facts_at(place->directory, false, &facts);
    }
    if (error) {
        *why = error == -ENOENT ? "no segment has been published by this user yet"
                                : "the directory of this user in /dev/shm cannot be used";
        return error;
    }
    if (!S_ISDIR(facts.mode) || facts.uid != geteuid() || facts.mode & 077) {
        *why = "the directory of this user in /dev/shm belongs to someone else, or others may "
               "use it";
        return -EPERM;
    }
    return 0;
}

int place_find(struct place *place, const struct place_request *request, const char **why)
{
    int error;

    *why = "";
    memset(place, 0, sizeof(*place));
    error = find_instance(place, request, why);
    if (error)
        return error;
    if (unless_empty(request->runtime_dir))
        error = use_named_directory(place, request, why);
    else if (!use_run_directory(place))
        error = use_own_directory(place, request, why);
    if (!error)
        name_files(place);
    return error;
}

/* ---- identities ---- */

int file_stamp_read(const char *path, struct file_stamp *out)
{
    struct file_facts facts;
    int error = file_facts_at(path, true, &facts);

    if (error)
        return error;
    out->mtime_ns = facts.mtime_ns;
    out->size = facts.size;
    out->inode = facts.inode;
    return 0;
}

bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->mtime_ns == b->mtime_ns && a->size == b->size && a->inode == b->inode;
}

static uint64_t inode_of(const char *path)
{
    struct file_facts facts;

    return file_facts_at(path, true, &facts) == 0 ? facts.inode : 0;
}

uint64_t place_network_namespace(void)
{
    return inode_of("/proc/self/ns/net");
}

uint64_t place_time_namespace(void)
{
    return inode_of("/proc/self/ns/time");
}

uint64_t place_pid_namespace(void)
{
    return inode_of("/proc/self/ns/pid");
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool place_boot_id(uint8_t id[static 16])
{
    char text[36];
    unsigned digits = 0;
    long length;
    int fd = file_open("/proc/sys/kernel/random/boot_id", O_RDONLY, 0);

    if (fd < 0)
        return false;
    length = file_read(fd, text, sizeof(text));
    close(fd);
    for (long i = 0; i < length && digits < 32; i++) {
        int digit = hex_digit(text[i]);

        if (digit < 0)
            continue; /* the dashes */
        id[digits / 2] = (uint8_t)(digits % 2 == 0 ? digit << 4 : id[digits / 2] | digit);
        digits++;
    }
    return digits == 32;
}

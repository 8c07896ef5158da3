#include "cli/program.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Opens what execvp(name) would find. -1: nothing, or it is not readable. */
static int open_program(const char *name)
{
    const char *path = getenv("PATH");
    char file[PATH_MAX];

    if (strchr(name, '/') != NULL)
        return open(name, O_RDONLY | O_CLOEXEC);
    if (path == NULL)
        path = "/bin:/usr/bin";
    for (; *path != '\0'; path += strcspn(path, ":"), path += *path == ':') {
        int directory = (int)strcspn(path, ":");
        int length = snprintf(file, sizeof file, "%.*s%s%s", directory, path,
                              directory == 0 ? "" : "/", name);

        if (length > 0 && (size_t)length < sizeof file && access(file, X_OK) == 0)
            return open(file, O_RDONLY | O_CLOEXEC);
    }
    return -1;
}

/* "#!/bin/sh -e": the loader gets to see the interpreter. */
static int open_interpreter(int script)
{
    char line[PATH_MAX], *begin;
    ssize_t length = pread(script, line, sizeof line - 1, 0);

    if (length < 2 || line[0] != '#' || line[1] != '!')
        return -1;
    line[length] = '\0';
    begin = line + 2 + strspn(line + 2, " \t");
    begin[strcspn(begin, " \t\n")] = '\0';
    return open(begin, O_RDONLY | O_CLOEXEC);
}

/* The loader ignores LD_PRELOAD paths where the program gains privileges. */
static bool gains_privileges(int fd)
{
    struct stat file;

    if (fstat(fd, &file) != 0)
        return false;
    return ((file.st_mode & S_ISUID) && file.st_uid != getuid()) ||
           ((file.st_mode & S_ISGID) && file.st_gid != getgid()) ||
           (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0);
}

/* Only for programs of our own word size. */
static bool has_loader(int fd, const ElfW(Ehdr) * head)
{
    ElfW(Phdr) segment;

    for (unsigned i = 0; i < head->e_phnum; i++) {
        off_t at = (off_t)(head->e_phoff + (size_t)i * head->e_phentsize);

        if (pread(fd, &segment, sizeof segment, at) != sizeof segment)
            return true; /* cannot tell */
        if (segment.p_type == PT_INTERP)
            return true;
    }
    return false;
}

static const char *judge(int fd)
{
    ElfW(Ehdr) head, own;
    int self;

    if (gains_privileges(fd))
        return "it is setuid, setgid or has capabilities, so the loader ignores LD_PRELOAD";
    if (pread(fd, &head, sizeof head, 0) != sizeof head ||
        memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
        return NULL;
    self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (self >= 0) {
        bool known = pread(self, &own, sizeof own, 0) == sizeof own;

        close(self);
        if (known &&
            (head.e_ident[EI_CLASS] != own.e_ident[EI_CLASS] || head.e_machine != own.e_machine))
            return "it is for another machine or word size than libredisteer.so";
    }
    return has_loader(fd, &head) ? NULL : "it is statically linked, so nothing can be preloaded";
}

const char *program_not_steerable(const char *name)
{
    const char *why;
    int interpreter, fd = open_program(name);

    if (fd < 0)
        return NULL;
    interpreter = open_interpreter(fd);
    if (interpreter >= 0) {
        close(fd);
        fd = interpreter;
    }
    why = judge(fd);
    close(fd);
    return why;
}

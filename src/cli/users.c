#include "cli/users.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/text.h"

enum { LINE_TEXT = 1024, EXE_TEXT = 4096 };

/* "dev inode", as /proc/PID/maps has it: the path may look different from there. */
static bool pattern_of(const char *path, char pattern[static USERS_PATTERN])
{
    struct stat facts;

    if (stat(path, &facts) != 0)
        return false;
    snprintf(pattern, USERS_PATTERN, " %02x:%02x %lu ", major(facts.st_dev), minor(facts.st_dev),
             (unsigned long)facts.st_ino);
    return true;
}

static bool runs_our_program(pid_t pid)
{
    char ours[EXE_TEXT], theirs[EXE_TEXT], path[32];
    ssize_t length = readlink("/proc/self/exe", ours, sizeof ours - 1), other;

    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    other = readlink(path, theirs, sizeof theirs - 1);
    return length > 0 && length == other && memcmp(ours, theirs, (size_t)length) == 0;
}

static bool uses(pid_t pid, const char *pattern)
{
    char path[32], line[LINE_TEXT];
    bool found = false;
    FILE *maps;

    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    maps = fopen(path, "re");
    if (maps == NULL)
        return false;
    while (!found && fgets(line, sizeof line, maps) != NULL)
        found = strstr(line, pattern) != NULL;
    fclose(maps);
    return found && !runs_our_program(pid);
}

bool users_exist(struct users *users, const char *path)
{
    const char *pattern = users->pattern;
    const struct dirent *entry;
    DIR *processes;

    /* Once: a file that has been removed is still mapped, and nothing else will have its number. */
    if (users->pattern[0] == '\0' && !pattern_of(path, users->pattern))
        return true;
    if (users->last != 0 && uses(users->last, pattern))
        return true;
    users->last = 0;
    processes = opendir("/proc");
    if (processes == NULL)
        return true;
    while (users->last == 0 && (entry = readdir(processes)) != NULL) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid > 0 && uses(pid, pattern))
            users->last = pid;
    }
    closedir(processes);
    return users->last != 0;
}

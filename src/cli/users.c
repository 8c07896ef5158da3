#include "cli/users.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

enum { LINE_TEXT = 1024, EXE_TEXT = 4096, PATTERN_TEXT = 64 };

/*
 * "dev inode" of what is mapped there, as /proc/PID/maps has it: the file may be gone, and its path
 * may look different from elsewhere.
 */
static bool pattern_of(const void *mapping, char pattern[static PATTERN_TEXT])
{
    char line[LINE_TEXT], device[16];
    FILE *maps = fopen("/proc/self/maps", "re");
    bool found = false;

    while (!found && maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long begin, end, inode;

        found = sscanf(line, "%lx-%lx %*s %*s %15s %lu", &begin, &end, device, &inode) == 4 &&
                begin <= (uintptr_t)mapping && (uintptr_t)mapping < end;
        if (found)
            snprintf(pattern, PATTERN_TEXT, " %s %lu ", device, inode);
    }
    if (maps != NULL)
        fclose(maps);
    return found;
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

bool users_exist(struct users *users, const void *mapping)
{
    char pattern[PATTERN_TEXT];
    const struct dirent *entry;
    DIR *processes;

    if (!pattern_of(mapping, pattern))
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

#include "cli/library.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "libredisteer.so"

static bool own_directory(char out[static PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", out, PATH_MAX - 1);
    char *slash;

    if (length <= 0)
        return false;
    out[length] = '\0';
    slash = strrchr(out, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    return true;
}

static bool try(const char *directory, const char *below, char *out, size_t size)
{
    char path[PATH_MAX + 128], real[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s%s/" LIBRARY, directory, below);

    if (length < 0 || (size_t)length >= sizeof path || access(path, R_OK) != 0 ||
        realpath(path, real) == NULL || strlen(real) >= size)
        return false;
    memcpy(out, real, strlen(real) + 1);
    return true;
}

bool library_find(char *out, size_t size)
{
    static const char *const below[] = {"", "/../lib/redisteer", ("/../lib/" REDISTEER_MULTIARCH),
                                        "/../lib"};
    char own[PATH_MAX];

    if (own_directory(own))
        for (size_t i = 0; i < sizeof below / sizeof *below; i++)
            if (try(own, below[i], out, size))
                return true;
    return try(REDISTEER_LIBDIR, "", out, size);
}

/* The loader takes blanks and colons for separators alike. */
static bool lists(const char *preload, const char *library)
{
    size_t length = strlen(library);

    while (*preload != '\0') {
        size_t entry = strcspn(preload, " :");

        if (entry == length && strncmp(preload, library, length) == 0)
            return true;
        preload += entry + (preload[entry] != '\0');
    }
    return false;
}

char *library_preload(const char *library, const char *before)
{
    char *value;

    if (before == NULL || before[0] == '\0')
        return strdup(library);
    if (lists(before, library))
        return strdup(before);
    return asprintf(&value, "%s:%s", library, before) < 0 ? NULL : value;
}

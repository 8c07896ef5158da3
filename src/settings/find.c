#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "settings/settings.h"

/* `path` made absolute in its letters only: a symbolic link on the way is the user's own choice. */
static int absolute(const char *path, char out[static PATH_TEXT])
{
    char directory[PATH_TEXT] = "";
    int length;

    if (*path != '/' && !getcwd(directory, sizeof(directory)))
        return errno == ERANGE ? -ENAMETOOLONG : -errno;
    if (*path == '/')
        length = snprintf(out, PATH_TEXT, "%s", path);
    else
        length = snprintf(out, PATH_TEXT, "%s/%s", directory[1] ? directory : "", path);
    return length < PATH_TEXT ? 0 : -ENAMETOOLONG;
}

int settings_find(const char *explicit_path, char out[static PATH_TEXT])
{
    const char *variable = getenv("REDISTEER_CONFIG");
    const char *home = getenv("XDG_CONFIG_HOME");

    if (explicit_path && *explicit_path)
        return absolute(explicit_path, out);
    if (variable && *variable)
        return absolute(variable, out);
    if (home && *home == '/' &&
        snprintf(out, PATH_TEXT, "%s/redisteer/redisteer.conf", home) < PATH_TEXT &&
        access(out, F_OK) == 0)
        return 0;
    return absolute("/etc/redisteer/redisteer.conf", out);
}

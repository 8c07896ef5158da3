#include "preload/environment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "preload/spawn.h"

/* Written once, before any other thread knows of us. */
static struct {
    char config[PATH_TEXT]; /* $REDISTEER_CONFIG, or "" to search */
    char xdg_config[PATH_TEXT];
    char runtime_dir[PATH_TEXT];
    char log[PATH_TEXT + 32]; /* "REDISTEER_LOG=…", or "" */
    char instance[INSTANCE_TEXT];
    char program[2][PROGRAM_TEXT]; /* base names: as called, as installed */
} environment;

static const char *base_name(const char *path)
{
    const char *base = path;

    for (const char *c = path; *c; c++)
        if (*c == '/')
            base = c + 1;
    return base;
}

/* What is set and cannot be held is as bad as a wrong path: false, and the library stays off. */
static bool keep(char *to, size_t size, const char *name)
{
    const char *value = getenv(name);

    return text_copy(to, size, value ? value : "");
}

/* A relative path is one from where the program was started, wherever it goes to later. */
static bool keep_path(char to[static PATH_TEXT], const char *name)
{
    const char *value = getenv(name);
    size_t length;

    if (!value || value[0] == '/' || value[0] == '\0')
        return keep(to, PATH_TEXT, name);
    if (!getcwd(to, PATH_TEXT))
        return false;
    length = strnlen(to, PATH_TEXT);
    return text_format(to + length, PATH_TEXT - length, "/%s", value) ==
           1 + strnlen(value, PATH_TEXT);
}

bool environment_read(void)
{
    const char *disable = getenv("REDISTEER_DISABLE");
    const char *log = getenv("REDISTEER_LOG");
    char exe[PATH_TEXT] = "";
    ssize_t length;

    if (disable && *disable && !text_equal(disable, "0"))
        return false;
    log_open(log);
    if (log)
        text_format(environment.log, sizeof(environment.log), "REDISTEER_LOG=%s", log);
    spawn_environment(environment.log);
    if (!keep_path(environment.config, "REDISTEER_CONFIG") ||
        !keep(environment.xdg_config, sizeof(environment.xdg_config), "XDG_CONFIG_HOME") ||
        !keep(environment.runtime_dir, sizeof(environment.runtime_dir), "REDISTEER_RUNTIME_DIR") ||
        !keep(environment.instance, sizeof(environment.instance), "REDISTEER_INSTANCE")) {
        log_error("off: a path or name in the environment is too long");
        return false;
    }
    text_copy(environment.program[0], PROGRAM_TEXT, program_invocation_short_name);
    length = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (length > 0)
        exe[length] = '\0';
    text_copy(environment.program[1], PROGRAM_TEXT, base_name(exe));
    /* Our own program resolves endpoints' names: it must see the world as it is. */
    return !text_equal(environment.program[1], "redisteer");
}

bool environment_config(char path[static PATH_TEXT])
{
    static const char fallback[] = "/etc/redisteer/redisteer.conf";

    if (environment.config[0])
        return text_copy(path, PATH_TEXT, environment.config);
    if (environment.xdg_config[0] == '/') {
        size_t length =
            text_format(path, PATH_TEXT, "%s/redisteer/redisteer.conf", environment.xdg_config);

        if (length + 1 < PATH_TEXT && access(path, F_OK) == 0)
            return true;
    }
    text_copy(path, PATH_TEXT, fallback);
    return access(path, F_OK) == 0;
}

int environment_place(struct place *place, const char *config, bool create, const char **why)
{
    struct place_request request = {
        .runtime_dir = environment.runtime_dir[0] ? environment.runtime_dir : NULL,
        .instance = environment.instance[0] ? environment.instance : NULL,
        .config = config,
        .create = create,
    };

    return place_find(place, &request, why);
}

bool environment_lists(char list[][PROGRAM_TEXT], uint32_t count)
{
    for (uint32_t i = 0; i < count && i < PROGRAMS_MAX; i++)
        if (text_equal(list[i], environment.program[0]) ||
            text_equal(list[i], environment.program[1]))
            return true;
    return false;
}

const char *environment_program(void)
{
    return environment.program[1];
}

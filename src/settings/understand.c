#include "settings/understand.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static void share_group(const struct input *in, struct settings *settings)
{
    const struct value *value = value_of(in, "share_group");
    uint32_t number = 0;

    if (!value || !*value->text)
        return;
    const struct group *group = getgrnam(value->text);
    if (!group && !number_parse(value->text, &number)) {
        value_wrong(in, "share_group", value, "is not a group of this host");
        return;
    }
    settings->shared = true;
    settings->share_group = group ? group->gr_gid : number;
}

static size_t programs(const struct input *in, const char *name,
                       char out[static PROGRAMS_MAX][PROGRAM_TEXT])
{
    size_t count = value_count(in, name);

    if (count > PROGRAMS_MAX) {
        value_wrong(in, name, value_at(in, name, PROGRAMS_MAX), "has more than %d entries",
                    PROGRAMS_MAX);
        count = PROGRAMS_MAX;
    }
    for (size_t i = 0; i < count; i++) {
        const struct value *value = value_at(in, name, i);
        if (!*value->text || strchr(value->text, '/'))
            value_wrong(in, name, value, "takes names of programs, without their directory");
        else if (!text_copy(out[i], PROGRAM_TEXT, value->text))
            value_wrong(in, name, value, "is longer than %d bytes", PROGRAM_TEXT - 1);
    }
    return count;
}

static void web(const struct input *in)
{
    const struct value *value = value_of(in, "listen");
    struct host_port at;

    if (value && *value->text && understand_host(in, "listen", value, false, &at))
        value_unavailable(in, "listen");
}

static void events(const struct input *in, struct settings *settings)
{
    settings->events_timeout_ns =
        value_duration(in, "timeout", settings->events_timeout_ns, 100 * NS_PER_MS, NS_PER_H);
    settings->events_checks = value_bool(in, "checks", settings->events_checks);
    if (value_count(in, "run"))
        value_unavailable(in, "run");
}

static int whole_file(const struct reading *reading, struct settings *settings)
{
    struct input in = {reading->file, reading->complaints};
    struct input log = input_block(&in, "log"), web_block = input_block(&in, "web");
    struct input programs_block = input_block(&in, "programs");
    struct input events_block = input_block(&in, "events");

    value_label(&in, "zone", settings->zone, sizeof(settings->zone));
    settings->monitor = value_word(&in, "monitor", settings->monitor, &monitor_words);
    share_group(&in, settings);
    settings->only_count = programs(&programs_block, "only", settings->only);
    settings->skip_count = programs(&programs_block, "skip", settings->skip);
    settings->log_level = value_word(&log, "level", settings->log_level, &log_level_words);
    value_path(&log, "file", settings->log_file, sizeof(settings->log_file));
    web(&web_block);
    events(&events_block, settings);
    return understand_checks(reading, settings);
}

int understand(struct reading *reading, struct settings *settings)
{
    size_t count = cfg_size(reading->file, "service");
    int error = 0;

    settings_defaults(settings);
    reading->settings = settings;
    error = whole_file(reading, settings);
    if (error)
        return error;
    settings->services = calloc(count ? count : 1, sizeof(*settings->services));
    if (!settings->services)
        return -ENOMEM;
    for (size_t i = 0; i < count && !error; i++) {
        struct input in = {cfg_getnsec(reading->file, "service", (unsigned)i), reading->complaints};
        struct service *service = &settings->services[settings->service_count++];
        service_defaults(service);
        service->line = reading->outline->services[i];
        error = understand_service(reading, &in, service);
    }
    return error;
}

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "settings/file.h"
#include "settings/understand.h"

/* libconfuse reports through a callback that knows nothing but its tables. */
static struct complaints *confuse_complaints;

static void confuse_error(cfg_t *block, const char *format, va_list arguments)
{
    char text[200];

    vsnprintf(text, sizeof(text), format, arguments);
    complain(confuse_complaints, (unsigned)block->line, NULL, "%s", text);
}

static int parse(struct settings *settings, const struct outline *outline, const char *text,
                 struct complaints *complaints)
{
    cfg_t *file = cfg_init(grammar, CFGF_NONE);
    int error = 0;

    if (!file)
        return -ENOMEM;
    confuse_complaints = complaints;
    cfg_set_error_function(file, confuse_error);
    if (cfg_parse_buf(file, text) == CFG_SUCCESS) {
        struct reading reading = {.file = file, .outline = outline, .complaints = complaints};
        error = understand(&reading, settings);
        if (!error)
            error = compare_services(settings, complaints);
    } else if (complaints->count == 0) {
        complain(complaints, 0, NULL, "libconfuse cannot read the file");
    }
    cfg_free(file);
    return error;
}

/* `text` ends with a NUL and is changed. What could be understood is in `settings`, also on
 * failure. */
static int read_text(struct settings *settings, char *text, size_t length,
                     struct complaints *complaints)
{
    struct outline *outline = malloc(sizeof(*outline));
    struct scan scan = {0};
    int error = outline ? scan_text(&scan, text, length, complaints) : -ENOMEM;

    if (!error) {
        outline_read(outline, &scan, complaints);
        settings->password_line = outline->password;
        error = parse(settings, outline, text, complaints);
    }
    scan_free(&scan);
    free(outline);
    return error;
}

static bool has_nul(const char *text, size_t length, struct complaints *complaints)
{
    unsigned line = 1;

    if (!memchr(text, '\0', length))
        return false;
    for (; *text; text++)
        line += *text == '\n';
    complain(complaints, line, NULL, "a NUL byte: this is not a text file");
    return true;
}

static int finish(int error, struct complaints *complaints)
{
    if (error == -ENOMEM)
        complain(complaints, 0, NULL, "not enough memory to read it");
    complaints_sort(complaints);
    return !error && complaints->count ? -EINVAL : error;
}

int settings_parse(const char *text, size_t length, struct settings **out,
                   struct complaints *complaints)
{
    struct settings *settings = calloc(1, sizeof(*settings));
    char *copy = calloc(1, length + 1);
    int error = -ENOMEM;

    *out = NULL;
    *complaints = (struct complaints){0};
    if (settings && copy) {
        memcpy(copy, text, length);
        error = has_nul(copy, length, complaints) ? -EINVAL
                                                  : read_text(settings, copy, length, complaints);
    }
    error = finish(error, complaints);
    free(copy);
    if (error)
        settings_free(settings);
    else
        *out = settings;
    return error;
}

int settings_load(const char *path, struct settings **out, struct complaints *complaints)
{
    struct settings *settings = calloc(1, sizeof(*settings));
    struct file file = {0};
    char why[FILE_WHY] = "";
    int error = settings ? file_load(&file, path, why) : -ENOMEM;

    *out = NULL;
    *complaints = (struct complaints){0};
    if (*why)
        complain(complaints, 0, path, "the file %s", why);
    if (!error && has_nul(file.text, file.length, complaints))
        error = -EINVAL;
    if (!error) {
        text_copy(settings->path, sizeof(settings->path), path);
        settings->stamp = file.stamp;
        error = read_text(settings, file.text, file.length, complaints);
    }
    if (!error && settings->password_line && file.mode & (S_IRGRP | S_IROTH)) {
        complain(complaints, settings->password_line, path,
                 "others can read this file and it holds a password (run chmod 600)");
        error = -EACCES;
    }
    error = finish(error, complaints);
    file_free(&file);
    if (error)
        settings_free(settings);
    else
        *out = settings;
    return error;
}

static void free_secret(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void settings_free(struct settings *settings)
{
    if (!settings)
        return;
    for (size_t i = 0; i < settings->service_count; i++) {
        struct service *service = &settings->services[i];
        for (size_t j = 0; j < service->endpoint_count; j++) {
            free_secret(service->endpoints[j].username);
            free_secret(service->endpoints[j].password);
            free_secret(service->endpoints[j].password_file);
        }
        free_secret(service->discover.username);
        free_secret(service->discover.password_file);
    }
    for (size_t i = 0; settings->checks && i < settings->check_count; i++) {
        free_secret(settings->checks[i].username);
        free_secret(settings->checks[i].password_file);
    }
    free(settings->checks);
    free(settings->services);
    free(settings);
}

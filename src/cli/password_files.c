#include "cli/password_files.h"

#include <stdlib.h>
#include <string.h>

static struct file_stamp stamp_of(const char *path)
{
    struct file_stamp stamp = {0};

    if (file_stamp_read(path, &stamp) != 0)
        memset(&stamp, 0, sizeof stamp);
    return stamp;
}

static void add(struct password_files *files, const char *path)
{
    struct password_file *file = &files->list[files->count];

    if (path == NULL || (file->path = strdup(path)) == NULL)
        return;
    file->stamp = stamp_of(path);
    files->count++;
}

static void forget(struct password_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->list[i].path);
    free(files->list);
    *files = (struct password_files){0};
}

void password_files_set(struct password_files *files, const struct settings *settings)
{
    size_t most = settings->check_count;

    forget(files);
    for (size_t i = 0; i < settings->service_count; i++)
        most += settings->services[i].endpoint_count + 1;
    files->list = calloc(most + 1, sizeof *files->list);
    if (files->list == NULL)
        return;
    for (size_t i = 0; i < settings->check_count; i++)
        add(files, settings->checks[i].password_file);
    for (size_t i = 0; i < settings->service_count; i++) {
        add(files, settings->services[i].discover.password_file);
        for (size_t j = 0; j < settings->services[i].endpoint_count; j++)
            add(files, settings->services[i].endpoints[j].password_file);
    }
}

bool password_files_changed(struct password_files *files)
{
    bool changed = false;

    for (size_t i = 0; i < files->count; i++) {
        struct file_stamp now = stamp_of(files->list[i].path);

        changed = changed || !file_stamp_equal(&now, &files->list[i].stamp);
        files->list[i].stamp = now;
    }
    return changed;
}

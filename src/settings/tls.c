#include <string.h>

#include "settings/file.h"
#include "settings/understand.h"

void understand_tls(const struct input *in)
{
    static const char *const files[] = {"ca", "cert", "key"};
    char path[PATH_TEXT] = "";

    if (value_bool(in, "enabled", false))
        value_unavailable(in, "enabled");
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        value_path(in, files[i], path, sizeof(path));
        if (value_of(in, files[i]) && *value_of(in, files[i])->text)
            value_unavailable(in, files[i]);
    }
    if (value_of(in, "server_name") && *value_of(in, "server_name")->text)
        value_unavailable(in, "server_name");
    if (!value_bool(in, "verify", true))
        value_unavailable(in, "verify");
}

void understand_password_file(const struct input *in, char *out, size_t size)
{
    const struct value *value = value_of(in, "password_file");
    char why[FILE_WHY];

    value_path(in, "password_file", out, size);
    if (value && *value->text == '/' && file_check_secret(value->text, why) != 0)
        value_wrong(in, "password_file", value, "%s", why);
}

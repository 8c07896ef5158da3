#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "settings/file.h"
#include "settings/understand.h"

/* What the grammar has and this build, by its options, has not. */
static void unavailable(const struct input *in)
{
    static const char *const names[] = {"ca", "cert", "key", "server_name"};

    if (value_bool(in, "enabled", false))
        value_unavailable(in, "enabled");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (value_of(in, names[i]) && *value_of(in, names[i])->text)
            value_unavailable(in, names[i]);
    if (!value_bool(in, "verify", true))
        value_unavailable(in, "verify");
}

/* Read by nobody here, but its absence should be known before the first check. */
static void tls_file(const struct input *in, const char *name, char *out)
{
    const struct value *value = value_of(in, name);

    value_path(in, name, out, PATH_TEXT);
    if (value && *value->text == '/' && access(value->text, R_OK) != 0)
        value_wrong(in, name, value, "cannot be read (%s)", strerror(errno));
}

static void pair(const struct input *in, const char *one, const char *other)
{
    const struct value *value = value_of(in, one);

    if (value && *value->text && !(value_of(in, other) && *value_of(in, other)->text))
        value_wrong(in, one, value, "needs %s beside it", other);
}

void understand_tls(const struct input *in, struct tls *tls)
{
    const struct value *name = value_of(in, "server_name");
    struct host_port at;

    tls->settings.verify = true;
    if (!REDISTEER_TLS) {
        unavailable(in);
        return;
    }
    tls->enabled = value_bool(in, "enabled", false);
    tls->settings.verify = value_bool(in, "verify", true);
    tls_file(in, "ca", tls->settings.ca);
    tls_file(in, "cert", tls->settings.cert);
    tls_file(in, "key", tls->settings.key);
    pair(in, "cert", "key");
    pair(in, "key", "cert");
    if (!name || !*name->text || !understand_host(in, "server_name", name, false, &at))
        return;
    if (at.has_port)
        value_wrong(in, "server_name", name, "has a port, which is none of a certificate's matter");
    text_copy(tls->settings.server_name, sizeof(tls->settings.server_name), at.host);
}

bool tls_is_set(const struct input *in)
{
    static const char *const names[] = {"enabled", "ca", "cert", "key", "server_name", "verify"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (value_of(in, names[i]))
            return true;
    return false;
}

void understand_password_file(const struct input *in, char *out, size_t size)
{
    const struct value *value = value_of(in, "password_file");
    char why[FILE_WHY];

    value_path(in, "password_file", out, size);
    if (value && *value->text == '/' && file_check_secret(value->text, why) != 0)
        value_wrong(in, "password_file", value, "%s", why);
}

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "settings/understand.h"
#include "state/secrets.h"

static int copy_secret(const struct input *in, const char *name, char **out)
{
    const struct value *value = value_of(in, name);

    if (!value || !*value->text)
        return 0;
    if (strlen(value->text) >= SECRET_TEXT && strcmp(name, "password_file") != 0)
        complain(in->complaints, value->line, NULL, "%s is longer than %d bytes", name,
                 SECRET_TEXT - 1);
    *out = strdup(value->text);
    return *out ? 0 : -ENOMEM;
}

static int credentials(const struct input *in, struct endpoint *endpoint)
{
    const struct value *file = value_of(in, "password_file");
    char path[PATH_TEXT] = "";
    int error = copy_secret(in, "username", &endpoint->username);

    if (!error)
        error = copy_secret(in, "password", &endpoint->password);
    if (error)
        return error;
    understand_password_file(in, path, sizeof(path));
    if (*path && endpoint->password)
        value_wrong(in, "password_file", file, "cannot stand together with password (line %u)",
                    value_of(in, "password")->line);
    return copy_secret(in, "password_file", &endpoint->password_file);
}

int understand_endpoint(struct reading *reading, const struct input *in,
                        const struct service *service, struct endpoint *endpoint)
{
    const struct value *address = value_of(in, "address");
    const char *name = cfg_title(in->block);
    struct input health = input_block(in, "health"), tls = input_block(in, "tls");

    endpoint_defaults(endpoint, service);
    endpoint->line = reading->outline->endpoints[reading->endpoints++];
    text_copy(endpoint->name, sizeof(endpoint->name), name);
    if (!name_is_good(name))
        complain(reading->complaints, endpoint->line, name,
                 "an endpoint's name must be 1 to %d letters, digits, '.', '-' or '_'",
                 NAME_TEXT - 1);
    endpoint->address_line = address ? address->line : endpoint->line;
    if (address)
        understand_host(in, "address", address, false, &endpoint->at);
    else if (reading->outline->whole)
        complain(reading->complaints, endpoint->line, name, "the endpoint has no address");
    endpoint->weight_milli = value_milli(in, "weight", endpoint->weight_milli, 0, 1000000);
    value_label(in, "zone", endpoint->zone, sizeof(endpoint->zone));
    understand_tls(&tls, &endpoint->tls);
    understand_health(reading, &health, &endpoint->health);
    return credentials(in, endpoint);
}

#include <errno.h>

#include "settings/understand.h"

enum { REDIS_PORT = 6379 };

bool understand_host(const struct input *in, const char *name, const struct value *value,
                     bool any_port, struct host_port *out)
{
    int error = host_port_parse(value->text, out);

    if (error == -ERANGE)
        value_wrong(in, name, value, "has a port that is not in 1..65535");
    else if (error == -ENAMETOOLONG)
        value_wrong(in, name, value, "has a host name of more than 253 bytes");
    else if (error)
        value_wrong(in, name, value, "must be host, host:port, [ipv6] or [ipv6]:port");
    else if (out->any_port && !any_port)
        value_wrong(in, name, value, "needs one port, not every port");
    else {
        if (!out->has_port && !out->any_port)
            out->port = REDIS_PORT;
        return true;
    }
    *out = (struct host_port){0};
    return false;
}

bool understand_host_at(const struct input *in, const char *name, const struct value *value,
                        uint16_t port, struct host_port *out)
{
    if (!understand_host(in, name, value, false, out))
        return false;
    if (!out->has_port)
        out->port = port;
    return true;
}

#include <errno.h>
#include <string.h>

#include "settings/understand.h"

enum { REDIS_PORT = 6379 };

/* "10.0.0.300" parses as a name, but no name ends in a label of digits (RFC 3696). */
static bool is_broken_ip(const char *host)
{
    const char *dot = strrchr(host, '.');
    const char *label = dot ? dot + 1 : host;
    struct address address;

    return address_parse_ip(host, &address) != 0 && strspn(label, "0123456789") == strlen(label);
}

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
    else if (is_broken_ip(out->host))
        value_wrong(in, name, value, "is neither an IP address nor a host name");
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

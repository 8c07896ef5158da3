#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "settings/understand.h"
#include "state/secrets.h"

enum { SENTINEL_PORT = 26379 };

static void sentinels(const struct input *in, struct discover *discover)
{
    size_t count = value_count(in, "sentinels");

    if (count > SENTINELS_MAX) {
        value_wrong(in, "sentinels", value_at(in, "sentinels", SENTINELS_MAX),
                    "has more than %d entries", SENTINELS_MAX);
        count = SENTINELS_MAX;
    }
    for (size_t i = 0; i < count; i++)
        if (understand_host_at(in, "sentinels", value_at(in, "sentinels", i), SENTINEL_PORT,
                               &discover->sentinels[discover->sentinel_count]))
            discover->sentinel_count++;
}

/* "10.0.0.1:6379=203.0.113.1:7001": what Sentinels say, and the address to use for it. */
static void nat_pair(const struct input *in, const struct value *value, struct discover *discover)
{
    struct nat_pair *pair = &discover->nat[discover->nat_count];
    const char *equals = strchr(value->text, '=');
    char from[ADDRESS_HOST_TEXT + 8];
    struct host_port to;
    size_t length = equals ? (size_t)(equals - value->text) : sizeof(from);

    if (length < sizeof(from)) {
        memcpy(from, value->text, length);
        from[length] = '\0';
        if (host_port_parse(from, &pair->from) == 0 && pair->from.has_port &&
            host_port_parse(equals + 1, &to) == 0 && to.has_port &&
            address_parse_ip(to.host, &pair->to) == 0) {
            pair->to.port = to.port;
            discover->nat_count++;
            return;
        }
    }
    value_wrong(in, "nat_map", value, "must be host:port=ip:port");
}

static void nat_map(const struct input *in, struct discover *discover)
{
    size_t count = value_count(in, "nat_map");

    if (count > NAT_MAX) {
        value_wrong(in, "nat_map", value_at(in, "nat_map", NAT_MAX), "has more than %d entries",
                    NAT_MAX);
        count = NAT_MAX;
    }
    for (size_t i = 0; i < count; i++)
        nat_pair(in, value_at(in, "nat_map", i), discover);
}

static int keep_text(const struct input *in, const char *name, size_t most, char **out)
{
    const struct value *value = value_of(in, name);

    if (!value || !*value->text)
        return 0;
    if (strlen(value->text) >= most)
        value_wrong(in, name, value, "is longer than %zu bytes", most - 1);
    *out = strdup(value->text);
    return *out ? 0 : -ENOMEM;
}

static void need(const struct input *in, const char *name, const char *what)
{
    const struct value *value = value_of(in, name);

    if (value && *value->text && !text_equal(value->text, "0"))
        value_wrong(in, name, value, "has no place without %s", what);
}

/* What only makes sense with Sentinels. `srv`: who that names may want a password, too. */
static void need_sentinels(const struct input *in, bool srv)
{
    static const char with_sentinels[] = "discover.sentinels";

    need(in, "master_name", with_sentinels);
    need(in, "quorum", with_sentinels);
    if (!srv) {
        need(in, "username", "discover.sentinels or discover.srv");
        need(in, "password_file", "discover.sentinels or discover.srv");
    }
    if (value_count(in, "nat_map"))
        value_wrong(in, "nat_map", value_of(in, "nat_map"),
                    "has no place without discover.sentinels");
}

static void by_dns(const struct input *in, struct discover *discover)
{
    const struct value *srv = value_of(in, "srv"), *dns = value_of(in, "dns");
    struct host_port at;

    discover->dns = value_bool(in, "dns", false);
    discover->dns_line = discover->dns ? dns->line : 0;
    if (discover->dns && !REDISTEER_DNS)
        value_unavailable(in, "dns");
    if (!srv || !*srv->text)
        return;
    discover->srv_line = srv->line;
    if (host_port_parse(srv->text, &at) != 0 || at.has_port || at.any_port ||
        !strchr(at.host, '.') || strchr(at.host, ':') ||
        address_parse_ip(at.host, &(struct address){0}) == 0)
        value_wrong(in, "srv", srv, "must be a name such as _redis._tcp.example.com");
    else if (!REDISTEER_DNS)
        value_unavailable(in, "srv");
    text_copy(discover->srv, sizeof(discover->srv), at.host);
}

int understand_discover(const struct reading *reading, const struct input *in,
                        struct service *service)
{
    struct discover *discover = &service->discover;
    const struct value *master = value_of(in, "master_name");
    char path[PATH_TEXT] = "";
    int error;

    sentinels(in, discover);
    value_text(in, "master_name", discover->master_name, sizeof(discover->master_name));
    discover->line = master ? master->line : service->line;
    discover->quorum = value_number(in, "quorum", 0, 0, SENTINELS_MAX);
    discover->refresh_ns =
        value_duration(in, "refresh", discover->refresh_ns, NS_PER_S, 24 * NS_PER_H);
    nat_map(in, discover);
    understand_password_file(in, path, sizeof(path));
    by_dns(in, discover);
    if (value_count(in, "sentinels") == 0)
        need_sentinels(in, discover->srv[0] != '\0');
    else if (!discover->master_name[0] && reading->outline->whole)
        value_wrong(in, "sentinels", value_of(in, "sentinels"), "needs discover.master_name");
    if (discover->sentinel_count && discover->quorum > discover->sentinel_count)
        value_wrong(in, "quorum", value_of(in, "quorum"), "is more than there are Sentinels (%zu)",
                    discover->sentinel_count);
    error = keep_text(in, "username", SECRET_TEXT, &discover->username);
    return error ? error : keep_text(in, "password_file", PATH_TEXT, &discover->password_file);
}

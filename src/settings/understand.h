/*
 * understand: from the values of the file to struct settings, each option with its type, its range
 * and whether this build has it.
 */
#ifndef SETTINGS_UNDERSTAND_H
#define SETTINGS_UNDERSTAND_H

#include "settings/outline.h"
#include "settings/settings.h"
#include "settings/value.h"

struct reading {
    cfg_t *file;
    const struct outline *outline;
    struct complaints *complaints;
    struct settings *settings; /* what has been understood so far */
    size_t endpoints;          /* read so far: the next one's index in the outline */
};

/* The whole file. 0 or -ENOMEM; what is wrong is complained about and leaves its default. */
int understand(struct reading *reading, struct settings *settings);

/* service.c: one service, already at its defaults. 0 or -ENOMEM. */
int understand_service(struct reading *reading, const struct input *in, struct service *service);

/* endpoint.c: one endpoint; its health options start from the service's. 0 or -ENOMEM. */
int understand_endpoint(struct reading *reading, const struct input *in,
                        const struct service *service, struct endpoint *endpoint);

/* discover.c: a discover block. 0 or -ENOMEM. */
int understand_discover(const struct reading *reading, const struct input *in,
                        struct service *service);

/* health.c: a health block. What it does not say stays as it is in `rules`. */
void understand_health(const struct reading *reading, const struct input *in,
                       struct health_rules *rules);

/* check.c: the check blocks; and whether an option names existing checks or an expression of them.
 * `gate` is true for failback.probe, the one place for checks of type lag. 0 or -ENOMEM. */
int understand_checks(const struct reading *reading, struct settings *settings);

/* probe.c */
void understand_probe(const struct reading *reading, const struct input *in, bool gate,
                      struct expression *probe);

/* tls.c: a tls block, and whether anything stands in it. */
void understand_tls(const struct input *in, struct tls *tls);
bool tls_is_set(const struct input *in);
void understand_password_file(const struct input *in, char *out, size_t size);

/* host.c: "host", "host:port", "[v6]:port"; `any_port` where "host:*" may stand. */
bool understand_host(const struct input *in, const char *name, const struct value *value,
                     bool any_port, struct host_port *out);
/* The same where no port means another one than Redis's. */
bool understand_host_at(const struct input *in, const char *name, const struct value *value,
                        uint16_t port, struct host_port *out);

/* across.c: what only shows when services are compared with one another. 0 or -ENOMEM. */
int compare_services(const struct settings *settings, struct complaints *complaints);

/* defaults.c */
void settings_defaults(struct settings *settings);
void service_defaults(struct service *service);
void endpoint_defaults(struct endpoint *endpoint, const struct service *service);

#endif

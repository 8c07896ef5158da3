#include "settings/grammar.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/rules.h"
#include "settings/settings.h"

static int keep_value(cfg_t *block, cfg_opt_t *option, const char *text, void *result)
{
    size_t size = strlen(text) + 1;
    struct value *value = malloc(sizeof(*value) + size);

    (void)option;
    if (!value)
        return -1;
    value->line = (unsigned)block->line;
    memcpy(value->text, text, size);
    memcpy(result, &value, sizeof(void *));
    /* cppcheck-suppress memleak ; it is libconfuse's now, see drop_value() */
    return 0;
}

static void drop_value(void *kept)
{
    struct value *value = kept;

    explicit_bzero(value->text, strlen(value->text)); /* it may be a password */
    free(value);
}

#define VALUE(name)           CFG_PTR_CB(name, NULL, CFGF_NONE, keep_value, drop_value)
#define LIST(name)            CFG_PTR_LIST_CB(name, NULL, CFGF_NONE, keep_value, drop_value)
#define BLOCK(name, options)  CFG_SEC(name, options, CFGF_NONE)
#define TITLED(name, options) CFG_SEC(name, options, CFGF_TITLE | CFGF_MULTI)

static cfg_opt_t tls_options[] = {
    VALUE("enabled"),     VALUE("ca"),     VALUE("cert"), VALUE("key"),
    VALUE("server_name"), VALUE("verify"), CFG_END(),
};

static cfg_opt_t health_options[] = {
    VALUE("enabled"), VALUE("probe"),  VALUE("role"), VALUE("interval"), VALUE("fast_interval"),
    VALUE("timeout"), VALUE("fall"),   VALUE("rise"), VALUE("probes"),   VALUE("policy"),
    VALUE("gap"),     VALUE("jitter"), CFG_END(),
};

static cfg_opt_t breaker_options[] = {
    VALUE("enabled"),
    VALUE("window"),
    VALUE("min_calls"),
    VALUE("failure_rate"),
    VALUE("refused"),
    VALUE("timeouts"),
    VALUE("slow_call"),
    VALUE("slow_rate"),
    VALUE("open"),
    VALUE("open_backoff"),
    VALUE("open_max"),
    VALUE("half_open_calls"),
    VALUE("half_open_successes"),
    LIST("count"),
    CFG_END(),
};

static cfg_opt_t connect_options[] = {
    VALUE("timeout"), VALUE("keepalive"), VALUE("user_timeout"),
    VALUE("rate"),    VALUE("max_age"),   CFG_END(),
};

static cfg_opt_t retry_options[] = {
    VALUE("attempts"), VALUE("wait"), VALUE("backoff"), VALUE("jitter"), LIST("errors"), CFG_END(),
};

static cfg_opt_t failover_options[] = {
    VALUE("close_connections"),
    CFG_END(),
};

static cfg_opt_t failback_options[] = {
    VALUE("enabled"),  VALUE("check"),  VALUE("grace"), VALUE("probe"),
    VALUE("existing"), VALUE("spread"), CFG_END(),
};

static cfg_opt_t discover_options[] = {
    LIST("sentinels"), VALUE("master_name"),   VALUE("quorum"),
    VALUE("username"), VALUE("password_file"), VALUE("srv"),
    VALUE("dns"),      VALUE("refresh"),       LIST("nat_map"),
    CFG_END(),
};

static cfg_opt_t endpoint_options[] = {
    VALUE("address"),
    VALUE("weight"),
    VALUE("zone"),
    VALUE("username"),
    VALUE("password"),
    VALUE("password_file"),
    BLOCK("tls", tls_options),
    BLOCK("health", health_options),
    CFG_END(),
};

static cfg_opt_t service_options[] = {
    LIST("match"),
    VALUE("mode"),
    VALUE("strategy"),
    VALUE("resolve"),
    VALUE("when_all_down"),
    LIST("selector"),
    TITLED("endpoint", endpoint_options),
    BLOCK("discover", discover_options),
    BLOCK("health", health_options),
    BLOCK("breaker", breaker_options),
    BLOCK("connect", connect_options),
    BLOCK("retry", retry_options),
    BLOCK("failover", failover_options),
    BLOCK("failback", failback_options),
    CFG_END(),
};

static cfg_opt_t check_options[] = {
    VALUE("type"),      LIST("command"),   VALUE("expect"),
    VALUE("url"),       VALUE("username"), VALUE("password_file"),
    VALUE("tolerance"), VALUE("extended"), VALUE("status"),
    VALUE("body"),      VALUE("key"),      VALUE("value"),
    VALUE("interval"),  VALUE("timeout"),  BLOCK("tls", tls_options),
    CFG_END(),
};

static cfg_opt_t programs_options[] = {LIST("only"), LIST("skip"), CFG_END()};
static cfg_opt_t log_options[] = {VALUE("level"), VALUE("file"), CFG_END()};
static cfg_opt_t web_options[] = {VALUE("listen"), CFG_END()};
static cfg_opt_t events_options[] = {LIST("run"), VALUE("timeout"), VALUE("checks"), CFG_END()};

cfg_opt_t grammar[] = {
    VALUE("zone"),
    VALUE("monitor"),
    VALUE("share_group"),
    BLOCK("programs", programs_options),
    BLOCK("log", log_options),
    BLOCK("web", web_options),
    BLOCK("events", events_options),
    TITLED("check", check_options),
    TITLED("service", service_options),
    CFG_END(),
};

cfg_opt_t *grammar_find(cfg_opt_t *options, const char *name, size_t length)
{
    for (cfg_opt_t *option = options; option->name; option++) {
        if (strlen(option->name) == length && memcmp(option->name, name, length) == 0)
            return option;
    }
    return NULL;
}

bool grammar_is_block(const cfg_opt_t *option)
{
    return option->type == CFGT_SEC;
}

bool grammar_is_titled(const cfg_opt_t *option)
{
    return option->flags & CFGF_TITLE;
}

bool grammar_is_list(const cfg_opt_t *option)
{
    return option->flags & CFGF_LIST;
}

unsigned grammar_most(const cfg_opt_t *option)
{
    if (option->subopts == service_options)
        return SERVICES_MAX;
    return option->subopts == endpoint_options ? ENDPOINTS_MAX : CHECKS_MAX;
}

enum { NAME_MAX_COMPARED = 32 };

/* Insertions, deletions and changes that lead from one to the other (Levenshtein). */
static unsigned distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    unsigned row[NAME_MAX_COMPARED + 1];

    for (unsigned j = 0; j <= b_length; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a_length; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b_length; j++) {
            unsigned change = diagonal + (a[i - 1] != b[j - 1]);
            unsigned step = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < step ? change : step;
        }
    }
    return row[b_length];
}

const char *grammar_nearest(const cfg_opt_t *options, const char *name, size_t length)
{
    const char *nearest = NULL;
    unsigned best = 3;

    if (length < 3 || length > NAME_MAX_COMPARED)
        return NULL;
    for (const cfg_opt_t *option = options; option->name; option++) {
        size_t option_length = strlen(option->name);
        if (option_length > NAME_MAX_COMPARED)
            continue;
        unsigned away = distance(name, length, option->name, option_length);
        if (away < best && 3 * away <= length + 1) {
            best = away;
            nearest = option->name;
        }
    }
    return nearest;
}

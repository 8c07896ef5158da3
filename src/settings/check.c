#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "settings/understand.h"

#define KIND(kind) (1u << (kind))

/* Which kinds of check an option belongs to. */
static const struct {
    const char *name;
    unsigned kinds;
    bool required;
} check_options[] = {
    {"command", KIND(TYPE_COMMAND) | KIND(TYPE_EXEC), true},
    {"expect", KIND(TYPE_COMMAND), false},
    {"url", KIND(TYPE_LAG) | KIND(TYPE_HTTP), true},
    {"username", KIND(TYPE_LAG) | KIND(TYPE_HTTP), false},
    {"password_file", KIND(TYPE_LAG) | KIND(TYPE_HTTP), false},
    {"tolerance", KIND(TYPE_LAG), false},
    {"extended", KIND(TYPE_LAG), false},
    {"status", KIND(TYPE_HTTP), false},
    {"body", KIND(TYPE_HTTP), false},
    {"key", KIND(TYPE_KEY), true},
    {"value", KIND(TYPE_KEY), true},
};

static void check_status(const struct input *in)
{
    const struct value *value = value_of(in, "status");
    unsigned from = 0, to = 0;
    char end = '\0';

    if (!value)
        return;
    int found = sscanf(value->text, "%3u-%3u%c", &from, &to, &end);
    size_t length = strspn(value->text, "0123456789-");
    if (value->text[length] || (found == 1 && length != 3) || (found == 2 && length != 7) ||
        found < 1 || found > 2 || from < 100 || from > 599 ||
        (found == 2 && (to < from || to > 599)))
        value_wrong(in, "status", value, "must be a status or a range, such as 200 or 200-299");
}

static void check_block(const struct input *in, unsigned line)
{
    char path[PATH_TEXT] = "";
    const struct value *type = value_of(in, "type"), *url = value_of(in, "url");
    unsigned kind = value_word(in, "type", check_words.count, &check_words);
    struct input tls = input_block(in, "tls");

    for (size_t i = 0; i < sizeof(check_options) / sizeof(check_options[0]); i++) {
        const struct value *value = value_of(in, check_options[i].name);
        if (kind == check_words.count)
            break;
        if (!(check_options[i].kinds & KIND(kind)) && value)
            value_wrong(in, check_options[i].name, value, "has no place in a check of type %s",
                        type->text);
        if (check_options[i].kinds & KIND(kind) && check_options[i].required && !value)
            complain(in->complaints, line, cfg_title(in->block), "the check has no %s",
                     check_options[i].name);
    }
    if (!type)
        complain(in->complaints, line, cfg_title(in->block), "the check has no type");
    if (url && !text_starts(url->text, "http://") && !text_starts(url->text, "https://"))
        value_wrong(in, "url", url, "must begin with http:// or https://");
    check_status(in);
    understand_password_file(in, path, sizeof(path));
    value_bool(in, "extended", true);
    value_duration(in, "tolerance", 0, 0, NS_PER_H);
    value_duration(in, "interval", 0, 10 * NS_PER_MS, NS_PER_H);
    value_duration(in, "timeout", 0, NS_PER_MS, NS_PER_M);
    understand_tls(&tls);
}

void understand_checks(const struct reading *reading)
{
    for (size_t i = 0; i < cfg_size(reading->file, "check"); i++) {
        struct input in = {cfg_getnsec(reading->file, "check", (unsigned)i), reading->complaints};
        const char *name = cfg_title(in.block);
        unsigned line = reading->outline->checks[i];
        if (!name_is_good(name))
            complain(in.complaints, line, name,
                     "a check's name must be 1 to %d letters, digits, '.', '-' or '_'",
                     NAME_TEXT - 1);
        else if (words_find(&probe_words, name) >= 0)
            complain(in.complaints, line, name, "a built-in check has this name");
        check_block(&in, line);
        complain(in.complaints, line, name, "check blocks are not available in this build");
    }
}

/* One name of a probe: built in, or a check block's. Complains and returns false otherwise. */
static bool probe_name(const struct reading *reading, const struct input *in,
                       const struct value *value, const char *name, bool gate)
{
    cfg_t *check = NULL;

    for (unsigned i = 0; i < cfg_size(reading->file, "check"); i++) {
        cfg_t *candidate = cfg_getnsec(reading->file, "check", i);
        if (strcmp(cfg_title(candidate), name) == 0)
            check = candidate;
    }
    const struct value *type = check ? cfg_getptr(check, "type") : NULL;
    if (strcmp(type ? type->text : name, "lag") == 0 && !gate) {
        value_wrong(in, "probe", value,
                    "cannot be a lag check: lag gates failback only (failback.probe)");
        return false;
    }
    if (check || words_find(&probe_words, name) >= 0)
        return true;
    if (!reading->outline->whole) /* the block may be one that was refused */
        return false;
    value_wrong(in, "probe", value, "names no check (ping, echo, tcp or a check block's name)");
    return false;
}

/* "all(a, b)", "any(…)", "majority(…)": true when well formed and each name stands for a check. */
static bool probe_expression(const struct reading *reading, const struct input *in,
                             const struct value *value, bool gate)
{
    char text[256];
    char *open, *rest = NULL;

    if (!text_copy(text, sizeof(text), value->text) || !(open = strchr(text, '(')) ||
        text[strlen(text) - 1] != ')')
        goto malformed;
    text[strlen(text) - 1] = '\0';
    *open = '\0';
    if (words_find(&policy_words, text) < 0 || open[1] == '\0')
        goto malformed;
    for (char *name = open + 1; name; name = rest) {
        rest = strchr(name, ',');
        if (rest)
            *rest++ = '\0';
        name += strspn(name, " \t");
        name[strcspn(name, " \t")] = '\0';
        if (!name_is_good(name))
            goto malformed;
        if (!probe_name(reading, in, value, name, gate))
            return false;
    }
    return true;

malformed:
    value_wrong(in, "probe", value,
                "must be a check or all(...), any(...) or majority(...) of checks");
    return false;
}

void understand_probe(const struct reading *reading, const struct input *in, bool gate,
                      uint8_t *probe)
{
    const struct value *value = value_of(in, "probe");
    bool good;

    if (!value || (gate && !*value->text))
        return;
    int built_in = words_find(&probe_words, value->text);
    if (strchr(value->text, '(') || strchr(value->text, ')'))
        good = probe_expression(reading, in, value, gate);
    else
        good = probe_name(reading, in, value, value->text, gate);
    if (good && (gate || built_in < 0))
        value_unavailable(in, "probe");
    else if (good)
        *probe = (uint8_t)built_in;
}

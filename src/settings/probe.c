#include <string.h>

#include "base/text.h"
#include "settings/understand.h"

/* The check block of that name, or NULL. */
static const struct check_block *find_block(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->check_count; i++)
        if (text_equal(settings->checks[i].settings.name, name))
            return &settings->checks[i];
    return NULL;
}

static void add(struct expression *expression, uint8_t check)
{
    if (expression->count < EXPRESSION_MAX)
        expression->checks[expression->count++] = check;
}

/* One name of a probe: built in, or a check block's. Complains and returns false otherwise. */
static bool probe_name(const struct reading *reading, const struct input *in,
                       const struct value *value, const char *name, bool gate,
                       struct expression *out)
{
    const struct check_block *block = find_block(reading->settings, name);
    int built_in = words_find(&probe_words, name);
    bool lag = block ? block->settings.kind == PROBE_LAG : text_equal(name, "lag");

    if (lag && !gate) {
        value_wrong(in, "probe", value,
                    "cannot be a lag check: lag gates failback only (failback.probe)");
        return false;
    }
    if (block) {
        add(out, (uint8_t)(block - reading->settings->checks));
        return true;
    }
    if (built_in >= 0) {
        add(out, (uint8_t)(CHECK_BUILT_IN | built_in));
        return true;
    }
    if (!reading->outline->whole) /* the block may be one that was refused */
        return false;
    value_wrong(in, "probe", value, "names no check (ping, echo, tcp or a check block's name)");
    return false;
}

/* "all(a, b)", "any(…)", "majority(…)": true when well formed and each name stands for a check. */
static bool probe_expression(const struct reading *reading, const struct input *in,
                             const struct value *value, bool gate, struct expression *out)
{
    char text[EXPRESSION_MAX * (NAME_TEXT + 2)];
    char *open, *rest = NULL;
    unsigned count = 0;
    int op;

    if (!text_copy(text, sizeof(text), value->text) || !(open = strchr(text, '(')) ||
        text[strlen(text) - 1] != ')')
        goto malformed;
    text[strlen(text) - 1] = '\0';
    *open = '\0';
    op = words_find(&policy_words, text);
    if (op < 0 || open[1] == '\0')
        goto malformed;
    out->op = (uint8_t)op;
    for (char *name = open + 1; name; name = rest) {
        rest = strchr(name, ',');
        if (rest)
            *rest++ = '\0';
        name += strspn(name, " \t");
        name[strcspn(name, " \t")] = '\0';
        if (!name_is_good(name))
            goto malformed;
        if (!probe_name(reading, in, value, name, gate, out))
            return false;
        if (++count > EXPRESSION_MAX) {
            value_wrong(in, "probe", value, "has more than %d checks", EXPRESSION_MAX);
            return false;
        }
    }
    return true;

malformed:
    value_wrong(in, "probe", value,
                "must be a check or all(...), any(...) or majority(...) of checks");
    return false;
}

void understand_probe(const struct reading *reading, const struct input *in, bool gate,
                      struct expression *probe)
{
    const struct value *value = value_of(in, "probe");
    struct expression found = {0};
    bool good;

    if (!value || (gate && !*value->text))
        return;
    if (strchr(value->text, '(') || strchr(value->text, ')'))
        good = probe_expression(reading, in, value, gate, &found);
    else
        good = probe_name(reading, in, value, value->text, gate, &found);
    if (good)
        *probe = found;
}

/* The check blocks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "settings/understand.h"

#define KIND(kind) (1u << (kind))

/* Checks of the program: a request to another server, or a program, is not to be made each second.
 */
#define SLOW_INTERVAL_NS (5 * NS_PER_S)
#define SLOW_TIMEOUT_NS  (3 * NS_PER_S)

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

static const uint8_t kind_of_type[] = {
    [TYPE_COMMAND] = PROBE_COMMAND, [TYPE_LAG] = PROBE_LAG, [TYPE_HTTP] = PROBE_HTTP,
    [TYPE_EXEC] = PROBE_EXEC,       [TYPE_KEY] = PROBE_KEY, [TYPE_ROLE] = PROBE_ROLE,
    [TYPE_WRITE] = PROBE_WRITE,
};

static void check_status(const struct input *in, struct check_settings *check)
{
    const struct value *value = value_of(in, "status");
    unsigned from = 0, to = 0;
    char end = '\0';

    check->status_from = 200;
    check->status_to = 299;
    if (!value)
        return;
    int found = sscanf(value->text, "%3u-%3u%c", &from, &to, &end);
    size_t length = strspn(value->text, "0123456789-");
    if (value->text[length] || (found == 1 && length != 3) || (found == 2 && length != 7) ||
        found < 1 || found > 2 || from < 100 || from > 599 ||
        (found == 2 && (to < from || to > 599))) {
        value_wrong(in, "status", value, "must be a status or a range, such as 200 or 200-299");
        return;
    }
    check->status_from = (uint16_t)from;
    check->status_to = (uint16_t)(found == 2 ? to : from);
}

/* One more of the words. A question of the protocol's is shorter than what other checks need. */
static bool add_word(const struct input *in, const char *name, const struct value *value,
                     struct check_settings *check, size_t *at)
{
    bool asks_redis = check->kind == PROBE_COMMAND || check->kind == PROBE_KEY;
    size_t most = asks_redis ? 480 : sizeof(check->text);
    size_t room = most - *at - (asks_redis ? 8 * check->words : 0);

    if (*at >= most || strlen(value->text) >= room || check->words == CHECK_WORDS_MAX) {
        value_wrong(in, name, value, "is too long (%d words, %zu bytes in all)", CHECK_WORDS_MAX,
                    most - 1);
        return false;
    }
    strcpy(check->text + *at, value->text);
    *at += strlen(value->text) + 1;
    check->words++;
    return true;
}

static void add_words(const struct input *in, struct check_settings *check)
{
    static const char *const names[] = {"command", "key", "value", "url", "body"};
    size_t at = 0;

    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
        for (size_t i = 0; i < value_count(in, names[n]); i++)
            if (!add_word(in, names[n], value_at(in, names[n], i), check, &at))
                return;
    }
}

/* "1-10", "-5-5", "-5--1" */
static bool range_of(const char *text, int64_t *from, int64_t *to)
{
    char first[32];
    const char *dash = *text ? strchr(text + 1, '-') : NULL;

    if (!dash || (size_t)(dash - text) >= sizeof(first))
        return false;
    memcpy(first, text, (size_t)(dash - text));
    first[dash - text] = '\0';
    return text_integer(first, from) && text_integer(dash + 1, to);
}

static void check_expect(const struct input *in, struct check_settings *check)
{
    const struct value *value = value_of(in, "expect");

    if (!value)
        return;
    if (!text_copy(check->expected, sizeof(check->expected), value->text)) {
        value_wrong(in, "expect", value, "is longer than %d bytes", EXPECT_TEXT - 1);
        return;
    }
    check->expect = EXPECT_TEXT_IS;
    if (range_of(value->text, &check->expect_from, &check->expect_to)) {
        check->expect = EXPECT_RANGE;
        if (check->expect_from > check->expect_to)
            value_wrong(in, "expect", value, "is a range that begins behind its end");
    } else if (strpbrk(value->text, "*?\\")) {
        check->expect = EXPECT_GLOB;
    }
}

static void check_key(const struct input *in)
{
    const struct value *value = value_of(in, "value");

    if (value && strlen(value->text) >= EXPECT_TEXT)
        value_wrong(in, "value", value, "is longer than %d bytes", EXPECT_TEXT - 1);
}

/* Options that have no place in this kind of check, or are missing. */
static void check_places(const struct input *in, unsigned type, unsigned line)
{
    for (size_t i = 0; i < sizeof(check_options) / sizeof(check_options[0]); i++) {
        const struct value *value = value_of(in, check_options[i].name);
        bool here = check_options[i].kinds & KIND(type);

        if (!here && value)
            value_wrong(in, check_options[i].name, value, "has no place in a check of type %s",
                        check_words.word[type]);
        if (here && check_options[i].required && !value)
            complain(in->complaints, line, cfg_title(in->block), "the check has no %s",
                     check_options[i].name);
    }
}

static int copy_text(const struct input *in, const char *name, char **out)
{
    const struct value *value = value_of(in, name);

    if (!value || !*value->text)
        return 0;
    *out = strdup(value->text);
    return *out ? 0 : -ENOMEM;
}

static int check_block(const struct input *in, struct check_block *block)
{
    char path[PATH_TEXT] = "";
    const struct value *type = value_of(in, "type"), *url = value_of(in, "url");
    unsigned kind = value_word(in, "type", check_words.count, &check_words);
    struct check_settings *check = &block->settings;
    struct input tls = input_block(in, "tls");
    bool slow = kind == TYPE_LAG || kind == TYPE_HTTP || kind == TYPE_EXEC;
    int error;

    if (kind != check_words.count) {
        check->kind = kind_of_type[kind];
        check_places(in, kind, block->line);
    }
    if (!type)
        complain(in->complaints, block->line, cfg_title(in->block), "the check has no type");
    if (url && !text_starts(url->text, "http://") && !text_starts(url->text, "https://"))
        value_wrong(in, "url", url, "must begin with http:// or https://");
    add_words(in, check);
    check_status(in, check);
    check_expect(in, check);
    check_key(in);
    understand_password_file(in, path, sizeof(path));
    check->extended = value_bool(in, "extended", true);
    check->tolerance_ns = value_duration(in, "tolerance", 5 * NS_PER_S, 0, NS_PER_H);
    check->interval_ns =
        value_duration(in, "interval", slow ? SLOW_INTERVAL_NS : 0, 10 * NS_PER_MS, NS_PER_H);
    check->timeout_ns =
        value_duration(in, "timeout", slow ? SLOW_TIMEOUT_NS : 0, NS_PER_MS, NS_PER_M);
    understand_tls(&tls, &block->tls);
    if (kind != check_words.count && kind != TYPE_LAG && kind != TYPE_HTTP && tls_is_set(&tls))
        complain(in->complaints, block->line, cfg_title(in->block),
                 "tls has no place in a check of type %s: it is the endpoint's", type->text);
    else if (value_of(&tls, "enabled") || value_of(&tls, "server_name"))
        complain(in->complaints, block->line, cfg_title(in->block),
                 "a check's tls takes ca, cert, key and verify: the rest is said by its url");
    if (!REDISTEER_HTTP && (kind == TYPE_HTTP || kind == TYPE_LAG))
        complain(in->complaints, type->line, cfg_title(in->block),
                 "checks of type %s are not available in this build", type->text);
    error = copy_text(in, "username", &block->username);
    return error ? error : copy_text(in, "password_file", &block->password_file);
}

int understand_checks(const struct reading *reading, struct settings *settings)
{
    size_t count = cfg_size(reading->file, "check");
    int error = 0;

    settings->checks = calloc(count + 1, sizeof(*settings->checks));
    if (!settings->checks)
        return -ENOMEM;
    for (size_t i = 0; i < count && !error; i++) {
        struct input in = {cfg_getnsec(reading->file, "check", (unsigned)i), reading->complaints};
        const char *name = cfg_title(in.block);
        struct check_block *block = &settings->checks[settings->check_count++];

        block->line = reading->outline->checks[i];
        if (!name_is_good(name))
            complain(in.complaints, block->line, name,
                     "a check's name must be 1 to %d letters, digits, '.', '-' or '_'",
                     NAME_TEXT - 1);
        else if (words_find(&probe_words, name) >= 0)
            complain(in.complaints, block->line, name, "a built-in check has this name");
        text_copy(block->settings.name, sizeof(block->settings.name), name);
        error = check_block(&in, block);
    }
    return error;
}

#include "settings/value.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "base/text.h"
#include "policy/outcome.h"

struct input input_block(const struct input *in, const char *name)
{
    return (struct input){cfg_getsec(in->block, name), in->complaints};
}

const struct value *value_at(const struct input *in, const char *name, size_t index)
{
    return cfg_getnptr(in->block, name, (unsigned)index);
}

const struct value *value_of(const struct input *in, const char *name)
{
    return value_at(in, name, 0);
}

size_t value_count(const struct input *in, const char *name)
{
    return cfg_size(in->block, name);
}

const char *value_name(const struct input *in, const char *name, char out[static OPTION_TEXT])
{
    bool root = strcmp(cfg_name(in->block), "root") == 0;

    if (root || cfg_title(in->block))
        text_format(out, OPTION_TEXT, "%s", name);
    else
        text_format(out, OPTION_TEXT, "%s.%s", cfg_name(in->block), name);
    return out;
}

void value_wrong(const struct input *in, const char *name, const struct value *value,
                 const char *what, ...)
{
    char text[256], option[OPTION_TEXT];
    va_list arguments;

    va_start(arguments, what);
    vsnprintf(text, sizeof(text), what, arguments);
    va_end(arguments);
    complain(in->complaints, value->line, value->text, "%s %s", value_name(in, name, option), text);
}

void value_unavailable(const struct input *in, const char *name)
{
    value_wrong(in, name, value_of(in, name), "is not available in this build");
}

bool value_bool(const struct input *in, const char *name, bool otherwise)
{
    const struct value *value = value_of(in, name);

    if (!value)
        return otherwise;
    int is = cfg_parse_boolean(value->text);
    if (is < 0)
        value_wrong(in, name, value, "must be true or false");
    return is < 0 ? otherwise : is;
}

bool number_parse(const char *text, uint32_t *out)
{
    uint32_t number = 0;

    if (*text == '\0' || (*text == '0' && text[1] != '\0'))
        return false;
    for (const char *digit = text; *digit; digit++) {
        if (*digit < '0' || *digit > '9' || digit - text >= 9)
            return false;
        number = 10 * number + (uint32_t)(*digit - '0');
    }
    *out = number;
    return true;
}

uint32_t value_number(const struct input *in, const char *name, uint32_t otherwise, uint32_t least,
                      uint32_t most)
{
    const struct value *value = value_of(in, name);
    uint32_t number = 0;

    if (!value)
        return otherwise;
    if (number_parse(value->text, &number) && number >= least && number <= most)
        return number;
    value_wrong(in, name, value, "must be a whole number from %u to %u", least, most);
    return otherwise;
}

/* Digits, and up to three more after a '.'. */
static bool milli_parse(const char *text, uint32_t *out)
{
    char whole[8];
    const char *point = strchr(text, '.');
    size_t length = point ? (size_t)(point - text) : strlen(text);
    uint32_t number = 0;

    if (length >= sizeof(whole))
        return false;
    memcpy(whole, text, length);
    whole[length] = '\0';
    if (!number_parse(whole, &number) || number > 1000000)
        return false;
    *out = 1000 * number;
    if (!point)
        return true;
    uint32_t unit = 100;
    for (const char *digit = point + 1; *digit; digit++, unit /= 10) {
        if (*digit < '0' || *digit > '9' || unit == 0)
            return false;
        *out += unit * (uint32_t)(*digit - '0');
    }
    return point[1] != '\0';
}

uint32_t value_milli(const struct input *in, const char *name, uint32_t otherwise, uint32_t least,
                     uint32_t most)
{
    const struct value *value = value_of(in, name);
    uint32_t milli = 0;

    if (!value)
        return otherwise;
    if (milli_parse(value->text, &milli) && milli >= least && milli <= most)
        return milli;
    value_wrong(in, name, value, "must be a number from %u to %u, with up to three decimals",
                least / 1000, most / 1000);
    return otherwise;
}

uint32_t value_percent(const struct input *in, const char *name, uint32_t otherwise)
{
    const struct value *value = value_of(in, name);
    uint32_t basis_points = 0;

    if (!value)
        return otherwise;
    if (percent_parse(value->text, &basis_points) == 0)
        return basis_points;
    value_wrong(in, name, value, "must be a percentage from 0%% to 100%%");
    return otherwise;
}

bool duration_of(const struct input *in, const char *name, const struct value *value,
                 const char *text, uint64_t least, uint64_t most, uint64_t *ns)
{
    char from[DURATION_TEXT], to[DURATION_TEXT];
    uint64_t duration = 0;
    int error = duration_parse(text, &duration);

    if (error == -EINVAL)
        value_wrong(in, name, value, "must be a duration such as 250ms, 1s, 5m or 1h");
    else if (error || duration < least || duration > most)
        value_wrong(in, name, value, "must be from %s to %s", duration_format(least, from),
                    duration_format(most, to));
    else if (duration % NS_PER_MS)
        value_wrong(in, name, value, "must be in whole milliseconds");
    else {
        *ns = duration;
        return true;
    }
    return false;
}

uint64_t value_duration(const struct input *in, const char *name, uint64_t otherwise,
                        uint64_t least, uint64_t most)
{
    const struct value *value = value_of(in, name);
    uint64_t duration = otherwise;

    if (value)
        duration_of(in, name, value, value->text, least, most, &duration);
    return duration;
}

static void word_wrong(const struct input *in, const char *name, const struct value *value,
                       const struct words *words, size_t first)
{
    char list[160] = "";
    size_t length = 0;

    for (size_t i = first; i < words->count; i++)
        length += text_format(list + length, sizeof(list) - length, "%s%s",
                              i == first              ? ""
                              : i + 1 == words->count ? " or "
                                                      : ", ",
                              words->word[i]);
    value_wrong(in, name, value, "must be %s", list);
}

unsigned value_word(const struct input *in, const char *name, unsigned otherwise,
                    const struct words *words)
{
    const struct value *value = value_of(in, name);

    if (!value)
        return otherwise;
    int found = words_find(words, value->text);
    if (found < 0)
        word_wrong(in, name, value, words, 0);
    return found < 0 ? otherwise : (unsigned)found;
}

uint32_t value_outcomes(const struct input *in, const char *name, uint32_t otherwise)
{
    uint32_t outcomes = 0;

    if (!(cfg_getopt(in->block, name)->flags & CFGF_MODIFIED))
        return otherwise;
    for (size_t i = 0; i < value_count(in, name); i++) {
        const struct value *value = value_at(in, name, i);
        int outcome = words_find(&outcome_words, value->text);
        if (outcome <= OUTCOME_OK)
            word_wrong(in, name, value, &outcome_words, OUTCOME_REFUSED);
        else
            outcomes |= OUTCOME_BIT((unsigned)outcome);
    }
    return outcomes;
}

void value_text(const struct input *in, const char *name, char *out, size_t size)
{
    const struct value *value = value_of(in, name);

    if (value && !text_copy(out, size, value->text))
        value_wrong(in, name, value, "is longer than %zu bytes", size - 1);
}

void value_path(const struct input *in, const char *name, char *out, size_t size)
{
    const struct value *value = value_of(in, name);

    value_text(in, name, out, size);
    if (value && *value->text && *value->text != '/')
        value_wrong(in, name, value, "must be an absolute path");
}

bool name_is_good(const char *text)
{
    size_t length = strlen(text);

    if (length == 0 || length >= NAME_TEXT)
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = text_lower(text[i]);
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && !strchr("._-", c))
            return false;
    }
    return true;
}

void value_label(const struct input *in, const char *name, char *out, size_t size)
{
    const struct value *value = value_of(in, name);

    if (!value)
        return;
    if (*value->text && !name_is_good(value->text))
        value_wrong(in, name, value, "must be 1 to %d letters, digits, '.', '-' or '_', or empty",
                    NAME_TEXT - 1);
    else
        text_copy(out, size, value->text);
}

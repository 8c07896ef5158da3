#include "cli/when.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/duration.h"

const char *when_format(uint64_t wall_ns, char out[static WHEN_TEXT])
{
    time_t seconds = (time_t)(wall_ns / NS_PER_S);
    struct tm tm;
    size_t length;

    if (gmtime_r(&seconds, &tm) == NULL) {
        out[0] = '\0';
        return out;
    }
    length = strftime(out, WHEN_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + length, WHEN_TEXT - length, ".%03uZ", (unsigned)(wall_ns / NS_PER_MS % 1000));
    return out;
}

/* Exactly `digits` digits within [least, most]; moves `*text` on. */
static bool number(const char **text, int digits, int least, int most, int *out)
{
    int value = 0;

    for (; digits > 0; digits--, (*text)++) {
        if (**text < '0' || **text > '9')
            return false;
        value = value * 10 + (**text - '0');
    }
    *out = value;
    return value >= least && value <= most;
}

static bool letter(const char **text, const char *any_of)
{
    if (**text == '\0' || strchr(any_of, **text) == NULL)
        return false;
    (*text)++;
    return true;
}

/* ".123": nanoseconds. Digits beyond the ninth are dropped. */
static uint64_t fraction(const char **text)
{
    uint64_t ns = 0, unit = NS_PER_S;

    if (!letter(text, "."))
        return 0;
    for (; **text >= '0' && **text <= '9'; (*text)++) {
        unit /= 10;
        ns += unit * (uint64_t)(**text - '0');
    }
    return ns;
}

static bool offset(const char **text, int *seconds)
{
    int hours, minutes, sign = **text == '-' ? -1 : 1;

    *seconds = 0;
    if (letter(text, "Zz"))
        return true;
    if (!letter(text, "+-") || !number(text, 2, 0, 23, &hours) || !letter(text, ":") ||
        !number(text, 2, 0, 59, &minutes))
        return false;
    *seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

static int parse_moment(const char *text, uint64_t *wall_ns)
{
    struct tm tm = {0};
    int east;
    uint64_t ns;
    int64_t seconds;

    if (!number(&text, 4, 1970, 9999, &tm.tm_year) || !letter(&text, "-") ||
        !number(&text, 2, 1, 12, &tm.tm_mon) || !letter(&text, "-") ||
        !number(&text, 2, 1, 31, &tm.tm_mday) || !letter(&text, "Tt ") ||
        !number(&text, 2, 0, 23, &tm.tm_hour) || !letter(&text, ":") ||
        !number(&text, 2, 0, 59, &tm.tm_min) || !letter(&text, ":") ||
        !number(&text, 2, 0, 60, &tm.tm_sec))
        return -EINVAL;
    ns = fraction(&text);
    if (!offset(&text, &east) || *text != '\0')
        return -EINVAL;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    seconds = (int64_t)timegm(&tm) - east;
    if (seconds < 0)
        return -EINVAL;
    /* After the year 2553: never. */
    *wall_ns =
        (uint64_t)seconds < UINT64_MAX / NS_PER_S ? (uint64_t)seconds * NS_PER_S + ns : UINT64_MAX;
    return 0;
}

int when_parse(const char *text, uint64_t now_ns, uint64_t *wall_ns)
{
    uint64_t ago_ns;

    if (duration_parse(text, &ago_ns) == 0) {
        *wall_ns = ago_ns < now_ns ? now_ns - ago_ns : 0;
        return 0;
    }
    return parse_moment(text, wall_ns);
}

const char *age_format(uint64_t ms, char out[static AGE_TEXT])
{
    uint64_t s = ms / 1000;

    if (s == 0)
        snprintf(out, AGE_TEXT, "%ums", (unsigned)ms);
    else if (s < 120)
        snprintf(out, AGE_TEXT, "%us", (unsigned)s);
    else if (s < 120 * 60)
        snprintf(out, AGE_TEXT, "%um", (unsigned)(s / 60));
    else if (s < 48 * 3600)
        snprintf(out, AGE_TEXT, "%uh", (unsigned)(s / 3600));
    else
        snprintf(out, AGE_TEXT, "%llud", (unsigned long long)(s / 86400));
    return out;
}

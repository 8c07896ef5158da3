#include "base/duration.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"

#define NS_PER_MINUTE (60 * NS_PER_S)
#define NS_PER_HOUR   (60 * NS_PER_MINUTE)

enum { FRACTION_DIGITS = 6 }; /* 0.000001ms is 1 ns, and 10^6 hours in ns still fit in 64 bits */

struct unit {
    const char *name;
    uint64_t ns;
    bool readable; /* accepted in the configuration */
};

/* Longest first. */
static const struct unit units[] = {
    {"h", NS_PER_HOUR, true}, {"m", NS_PER_MINUTE, true}, {"s", NS_PER_S, true},
    {"ms", NS_PER_MS, true},  {"us", NS_PER_US, false},   {"ns", 1, false},
};
enum { UNITS = sizeof(units) / sizeof(units[0]) };

/* whole + fraction / denominator */
struct decimal {
    uint64_t whole; /* stops growing at DECIMAL_MOST, which is out of every range here */
    uint64_t fraction;
    uint64_t denominator;
};
#define DECIMAL_MOST UINT64_C(100000000000000000)

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads "12" or "12.5"; returns what follows it, or NULL. */
static const char *read_decimal(const char *text, struct decimal *decimal)
{
    *decimal = (struct decimal){.denominator = 1};
    if (!is_digit(*text))
        return NULL;
    for (; is_digit(*text); text++)
        if (decimal->whole < DECIMAL_MOST)
            decimal->whole = decimal->whole * 10 + (uint64_t)(*text - '0');
    if (*text != '.')
        return text;
    text++;
    if (!is_digit(*text))
        return NULL;
    for (unsigned digits = 0; is_digit(*text); text++) {
        if (++digits > FRACTION_DIGITS)
            return NULL;
        decimal->fraction = decimal->fraction * 10 + (uint64_t)(*text - '0');
        decimal->denominator *= 10;
    }
    return text;
}

/* The number times `unit`, at most `most`. -EINVAL when that is no whole number. */
static int scale(const struct decimal *decimal, uint64_t unit, uint64_t most, uint64_t *value)
{
    uint64_t part = decimal->fraction * unit;

    if (part % decimal->denominator != 0)
        return -EINVAL;
    part /= decimal->denominator;
    if (decimal->whole > most / unit || part > most - decimal->whole * unit)
        return -ERANGE;
    *value = decimal->whole * unit + part;
    return 0;
}

int duration_parse(const char *text, uint64_t *ns)
{
    struct decimal decimal;
    const char *name = read_decimal(text, &decimal);

    if (!name)
        return -EINVAL;
    if (text_equal(text, "0")) {
        *ns = 0;
        return 0;
    }
    for (unsigned i = 0; i < UNITS; i++)
        if (units[i].readable && text_equal(name, units[i].name))
            return scale(&decimal, units[i].ns, 1000 * NS_PER_HOUR, ns);
    return -EINVAL;
}

const char *duration_format(uint64_t ns, char out[static DURATION_TEXT])
{
    unsigned i = 0;

    if (ns == 0) {
        text_copy(out, DURATION_TEXT, "0s");
        return out;
    }
    while (ns % units[i].ns != 0) /* ends: everything is a multiple of 1 ns */
        i++;
    snprintf(out, DURATION_TEXT, "%" PRIu64 "%s", ns / units[i].ns, units[i].name);
    return out;
}

int percent_parse(const char *text, uint32_t *basis_points)
{
    struct decimal decimal;
    const char *rest = read_decimal(text, &decimal);
    uint64_t value;
    int error;

    if (!rest || !(text_equal(rest, "") || text_equal(rest, "%")))
        return -EINVAL;
    error = scale(&decimal, 100, 10000, &value);
    if (!error)
        *basis_points = (uint32_t)value;
    return error;
}

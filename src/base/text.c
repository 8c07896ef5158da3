#include "base/text.h"

#include <stdint.h>
#include <string.h>

bool text_copy(char *to, size_t size, const char *from)
{
    size_t length = strlen(from);
    bool fits = length < size;

    if (size == 0)
        return false;
    if (!fits)
        length = size - 1;
    memcpy(to, from, length);
    to[length] = '\0';
    return fits;
}

bool text_equal(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

bool text_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_integer(const char *text, int64_t *out)
{
    bool negative = *text == '-';
    uint64_t number = 0;

    text += negative;
    if (*text == '\0')
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || number > (INT64_MAX - 9) / 10)
            return false;
        number = number * 10 + (uint64_t)(*text - '0');
    }
    *out = negative ? -(int64_t)number : (int64_t)number;
    return true;
}

char text_lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c;
}

size_t text_host_name(char *to, size_t size, const char *from)
{
    size_t length = strlen(from);

    if (length > 0 && from[length - 1] == '.')
        length--;
    if (length == 0 || length >= size)
        return 0;
    for (size_t i = 0; i < length; i++)
        to[i] = text_lower(from[i]);
    to[length] = '\0';
    return length;
}

/* Where the formatter writes; what does not fit is dropped. */
struct output {
    char *to;
    size_t size;
    size_t length;
};

static void put(struct output *output, char c)
{
    if (output->length + 1 < output->size)
        output->to[output->length++] = c;
}

static void put_text(struct output *output, const char *text)
{
    if (!text)
        text = "(null)";
    while (*text)
        put(output, *text++);
}

/* A conversion such as %08llx, as far as it has been read. */
struct conversion {
    unsigned width;
    unsigned longs; /* 'l's seen */
    bool zeros;     /* pad with '0', not ' ' */
    bool size;      /* 'z' */
};

static void put_number(struct output *output, const struct conversion *conversion, uint64_t value,
                       unsigned base, bool negative)
{
    char digits[20]; /* 2^64 - 1 has 20 decimal digits */
    unsigned count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);

    unsigned used = count + negative;
    unsigned padding = conversion->width > used ? conversion->width - used : 0;

    if (negative && conversion->zeros)
        put(output, '-');
    while (padding-- > 0)
        put(output, conversion->zeros ? '0' : ' ');
    if (negative && !conversion->zeros)
        put(output, '-');
    while (count > 0)
        put(output, digits[--count]);
}

static const char *read_conversion(const char *format, struct conversion *conversion)
{
    *conversion = (struct conversion){0};
    if (*format == '0') {
        conversion->zeros = true;
        format++;
    }
    while (*format >= '0' && *format <= '9' && conversion->width < 1000)
        conversion->width = conversion->width * 10 + (unsigned)(*format++ - '0');
    for (; *format == 'l'; format++)
        conversion->longs++;
    if (*format == 'z') {
        conversion->size = true;
        format++;
    }
    return format;
}

/* A macro, because a va_list that was passed on by value cannot be read on by its owner. */
#define NEXT_SIGNED(conversion, arguments)                                                         \
    ((conversion).size         ? va_arg(arguments, ptrdiff_t)                                      \
     : (conversion).longs == 0 ? va_arg(arguments, int)                                            \
     : (conversion).longs == 1 ? va_arg(arguments, long)                                           \
                               : va_arg(arguments, long long))
#define NEXT_UNSIGNED(conversion, arguments)                                                       \
    ((conversion).size         ? va_arg(arguments, size_t)                                         \
     : (conversion).longs == 0 ? va_arg(arguments, unsigned)                                       \
     : (conversion).longs == 1 ? va_arg(arguments, unsigned long)                                  \
                               : va_arg(arguments, unsigned long long))

size_t text_vformat(char *to, size_t size, const char *format, va_list arguments)
{
    struct output output = {.to = to, .size = size};
    struct conversion conversion;
    int64_t number;

    if (size == 0)
        return 0;
    for (; *format; format++) {
        if (*format != '%') {
            put(&output, *format);
            continue;
        }
        format = read_conversion(format + 1, &conversion);
        switch (*format) {
        case 's':
            put_text(&output, va_arg(arguments, const char *));
            break;
        case 'c':
            put(&output, (char)va_arg(arguments, int));
            break;
        case 'd':
            number = NEXT_SIGNED(conversion, arguments);
            put_number(&output, &conversion, number < 0 ? 0 - (uint64_t)number : (uint64_t)number,
                       10, number < 0);
            break;
        case 'u':
            put_number(&output, &conversion, NEXT_UNSIGNED(conversion, arguments), 10, false);
            break;
        case 'x':
            put_number(&output, &conversion, NEXT_UNSIGNED(conversion, arguments), 16, false);
            break;
        case '%':
            put(&output, '%');
            break;
        default:
            /* Nobody knows how wide its argument is, so those after it are out of reach too. */
            put_text(&output, "%?");
            goto out;
        }
    }
out:
    to[output.length] = '\0';
    return output.length;
}

size_t text_format(char *to, size_t size, const char *format, ...)
{
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    length = text_vformat(to, size, format, arguments);
    va_end(arguments);
    return length;
}

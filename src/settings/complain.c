#include "settings/complain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    QUOTED_MAX = 80,
    COMPLAINTS_MAX =
        sizeof(((struct complaints *)0)->list) / sizeof(((struct complaints *)0)->list[0])
};

static void printable(char out[static QUOTED_MAX + 4], const char *text)
{
    size_t length = 0;

    for (; length < QUOTED_MAX && text[length]; length++) {
        unsigned char byte = (unsigned char)text[length];
        out[length] = byte < ' ' || byte == 0x7f ? '?' : text[length];
    }
    memcpy(out + length, text[length] ? "..." : "", text[length] ? 4 : 1);
}

void complain(struct complaints *complaints, unsigned line, const char *text, const char *what, ...)
{
    if (complaints->count == COMPLAINTS_MAX)
        return;

    struct complaint *complaint = &complaints->list[complaints->count++];
    va_list arguments;
    va_start(arguments, what);
    vsnprintf(complaint->text, sizeof(complaint->text), what, arguments);
    va_end(arguments);
    complaint->line = line;
    if (text) {
        char quoted[QUOTED_MAX + 4];
        size_t length = strlen(complaint->text);
        printable(quoted, text);
        snprintf(complaint->text + length, sizeof(complaint->text) - length, ": '%s'", quoted);
    }
}

void complaints_sort(struct complaints *complaints)
{
    for (size_t i = 1; i < complaints->count; i++) {
        struct complaint moved = complaints->list[i];
        size_t at = i;
        for (; at > 0 && complaints->list[at - 1].line > moved.line; at--)
            complaints->list[at] = complaints->list[at - 1];
        complaints->list[at] = moved;
    }
}

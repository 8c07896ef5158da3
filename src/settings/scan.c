#include "settings/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "settings/complain.h"

enum { WORD_SHOWN = 64 };

struct cursor {
    struct scan *scan;
    struct complaints *complaints;
    size_t at;
    size_t room; /* tokens allocated */
    unsigned line;
    unsigned complained; /* the last line with a misplaced sign: one complaint a line is enough */
};

static char char_at(const struct cursor *cursor, size_t at)
{
    return at < cursor->scan->length ? cursor->scan->text[at] : '\0';
}

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

static bool ends_word(char c)
{
    return c == '\0' || strchr(" \t\r\n#\"'={},", c) != NULL;
}

void scan_blank(struct scan *scan, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (scan->text[i] != '\n')
            scan->text[i] = ' ';
    }
}

static int push(struct cursor *cursor, enum token_kind kind, size_t from, bool bad)
{
    struct scan *scan = cursor->scan;

    if (scan->count == cursor->room) {
        size_t room = cursor->room ? 2 * cursor->room : 256;
        struct token *grown = realloc(scan->tokens, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        scan->tokens = grown;
        cursor->room = room;
    }
    scan->tokens[scan->count++] = (struct token){
        .kind = kind,
        .bad = bad,
        .line = cursor->line,
        .at = (uint32_t)from,
        .length = (uint32_t)(cursor->at - from),
    };
    if (bad)
        scan_blank(scan, from, cursor->at);
    return 0;
}

static void line_comment(struct cursor *cursor)
{
    size_t from = cursor->at;

    while (cursor->at < cursor->scan->length && char_at(cursor, cursor->at) != '\n')
        cursor->at++;
    scan_blank(cursor->scan, from, cursor->at);
}

static void block_comment(struct cursor *cursor)
{
    const char *text = cursor->scan->text;
    size_t from = cursor->at;
    const char *end = memmem(text + from + 2, cursor->scan->length - from - 2, "*/", 2);

    if (!end)
        complain(cursor->complaints, cursor->line, "/*", "the comment is never closed");
    cursor->at = end ? (size_t)(end + 2 - text) : cursor->scan->length;
    for (size_t i = from; i < cursor->at; i++)
        cursor->line += text[i] == '\n';
    scan_blank(cursor->scan, from, cursor->at);
}

/* What libconfuse's double quotes would change or drop. */
static bool check_double_quoted(struct cursor *cursor)
{
    char c = char_at(cursor, cursor->at);
    char next = char_at(cursor, cursor->at + 1);
    char shown[3] = {c, next, '\0'};

    if (c == '$' && next == '{') {
        complain(cursor->complaints, cursor->line, shown,
                 "the environment is not read here (single quotes keep the text as it is)");
        return false;
    }
    if (c == '\\' && !strchr("\\\"nrt$", next)) {
        complain(cursor->complaints, cursor->line, shown,
                 "no such escape in double quotes (single quotes keep the text as it is)");
        return false;
    }
    return true;
}

static int string(struct cursor *cursor)
{
    size_t from = cursor->at;
    char quote = char_at(cursor, cursor->at++);
    const char shown[2] = {quote, '\0'};
    bool good = true;

    for (;; cursor->at++) {
        char c = char_at(cursor, cursor->at);
        char next = char_at(cursor, cursor->at + 1);
        if (c == quote)
            break;
        if (c == '\0' || c == '\n' || (c == '\\' && (next == '\0' || next == '\n'))) {
            cursor->at += c == '\\';
            complain(cursor->complaints, cursor->line, shown,
                     "the string is not closed on its line");
            return push(cursor, TOKEN_STRING, from, true);
        }
        if (is_control(c) && c != '\t' && good) {
            complain(cursor->complaints, cursor->line, NULL, "a control character in a string");
            good = false;
        }
        if (quote == '"' && good)
            good = check_double_quoted(cursor);
        cursor->at += c == '\\' && (quote == '"' || next == '\'' || next == '\\');
    }
    cursor->at++;
    return push(cursor, TOKEN_STRING, from, !good);
}

/* Text without quotes. libconfuse would silently drop some of its signs and take others apart. */
static int word(struct cursor *cursor)
{
    size_t from = cursor->at;
    char sign = '\0';

    while (!ends_word(char_at(cursor, cursor->at))) {
        char c = char_at(cursor, cursor->at++);
        bool variable = c == '$' && char_at(cursor, cursor->at) == '{';
        if (!sign && (is_control(c) || variable || strchr("*+()", c)))
            sign = c;
        if (variable) {
            while (!strchr("}\n", char_at(cursor, cursor->at)))
                cursor->at++;
            cursor->at += char_at(cursor, cursor->at) == '}';
        }
    }
    if (sign && cursor->complained != cursor->line) {
        char shown[WORD_SHOWN + 1] = "";
        size_t length = cursor->at - from;
        memcpy(shown, cursor->scan->text + from, length < WORD_SHOWN ? length : WORD_SHOWN);
        if (sign == '$')
            complain(cursor->complaints, cursor->line, "${",
                     "the environment is not read here (single quotes keep the text as it is)");
        else if (is_control(sign))
            complain(cursor->complaints, cursor->line, shown, "a control character");
        else if (sign == '+' && length == 1 && char_at(cursor, cursor->at) == '=')
            complain(cursor->complaints, cursor->line,
                     "+=", "a list is given as a whole, with '='");
        else
            complain(cursor->complaints, cursor->line, shown, "text with a '%c' needs quotes",
                     sign);
        cursor->complained = cursor->line;
    }
    return push(cursor, TOKEN_WORD, from, sign != '\0');
}

static int sign(struct cursor *cursor, enum token_kind kind)
{
    return push(cursor, kind, cursor->at++, false);
}

static int next_token(struct cursor *cursor)
{
    char c = char_at(cursor, cursor->at);
    char next = char_at(cursor, cursor->at + 1);

    switch (c) {
    case '\n':
        cursor->line++;
        cursor->at++;
        return 0;
    case '\r':
        if (next != '\n')
            complain(cursor->complaints, cursor->line, "\r", "a control character");
        scan_blank(cursor->scan, cursor->at, cursor->at + 1);
        cursor->at++;
        return 0;
    case ' ':
    case '\t':
        cursor->at++;
        return 0;
    case '"':
    case '\'':
        return string(cursor);
    case '{':
        return sign(cursor, TOKEN_OPEN);
    case '}':
        return sign(cursor, TOKEN_CLOSE);
    case '=':
        return sign(cursor, TOKEN_EQUALS);
    case ',':
        return sign(cursor, TOKEN_COMMA);
    default:
        if (c == '#' || (c == '/' && next == '/'))
            line_comment(cursor);
        else if (c == '/' && next == '*')
            block_comment(cursor);
        else
            return word(cursor);
        return 0;
    }
}

int scan_text(struct scan *scan, char *text, size_t length, struct complaints *complaints)
{
    struct cursor cursor = {.scan = scan, .complaints = complaints, .line = 1};
    int error = 0;

    *scan = (struct scan){.text = text, .length = length};
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) /* the mark some editors write */
        scan_blank(scan, 0, 3);
    while (!error && cursor.at < length)
        error = next_token(&cursor);
    if (!error)
        error = push(&cursor, TOKEN_END, cursor.at, false);
    if (error)
        scan_free(scan);
    return error;
}

void scan_free(struct scan *scan)
{
    free(scan->tokens);
    scan->tokens = NULL;
    scan->count = 0;
}

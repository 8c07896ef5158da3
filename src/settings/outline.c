#include "settings/outline.h"

#include <stdio.h>
#include <string.h>

#include "settings/complain.h"

enum { TITLES_MAX = SERVICES_MAX + CHECKS_MAX, SHOWN = 64 };

struct walk {
    struct outline *outline;
    struct scan *scan;
    struct complaints *complaints;
    const struct token *token; /* the next one */
    unsigned secret_line;      /* of the last password: what follows there may be a piece of it */
};

/* The block that is being read, and those around it. */
struct frame {
    const struct frame *around;
    cfg_opt_t *options;
    const char *name;
    const struct token *title;   /* NULL when it has none */
    unsigned line;               /* where it was opened */
    unsigned first[OPTIONS_MAX]; /* line of each option's first appearance, 0 = none yet */
    const struct token *titles[TITLES_MAX];
    size_t title_count;
    cfg_opt_t *too_many; /* said once */
};

static void block(struct walk *walk, struct frame *frame);

static const char *text_of(const struct walk *walk, const struct token *token)
{
    return walk->scan->text + token->at;
}

/* A token in a complaint; never what may be a piece of a password. */
struct shown {
    char text[SHOWN + 1];
};

static struct shown show(const struct walk *walk, const struct token *token)
{
    struct shown shown = {"***"};
    bool quoted = token->kind == TOKEN_STRING && token->length >= 2;

    if (token->kind == TOKEN_END)
        memcpy(shown.text, "end of file", 12);
    else if (token->line != walk->secret_line)
        snprintf(shown.text, sizeof(shown.text), "%.*s", (int)(token->length - 2 * quoted),
                 text_of(walk, token) + quoted);
    return shown;
}

static bool at_value(const struct walk *walk)
{
    return walk->token->kind == TOKEN_WORD || walk->token->kind == TOKEN_STRING;
}

/* Over a block or list, whatever is in it; nesting does not matter to the stack. */
static void skip_braces(struct walk *walk)
{
    size_t depth = 0;

    do {
        depth += walk->token->kind == TOKEN_OPEN;
        depth -= walk->token->kind == TOKEN_CLOSE;
        walk->token++;
    } while (depth > 0 && walk->token->kind != TOKEN_END);
}

static void skip_line(struct walk *walk, unsigned line)
{
    while (walk->token->line == line && walk->token->kind != TOKEN_OPEN &&
           walk->token->kind != TOKEN_CLOSE && walk->token->kind != TOKEN_END)
        walk->token++;
    if (walk->token->line == line && walk->token->kind == TOKEN_OPEN)
        skip_braces(walk);
}

/* Over what looks like the rest of a statement that means nothing here. */
static void skip_statement(struct walk *walk, unsigned line)
{
    if (walk->token->kind == TOKEN_EQUALS) {
        walk->token++;
        if (at_value(walk))
            walk->token++;
    } else if (at_value(walk) && walk->token[1].kind == TOKEN_OPEN) {
        walk->token++;
    } else if (walk->token->kind != TOKEN_OPEN) {
        skip_line(walk, line);
        return;
    }
    if (walk->token->kind == TOKEN_OPEN)
        skip_braces(walk);
}

static void unknown(struct walk *walk, const struct frame *frame, const struct token *name)
{
    const char *text = text_of(walk, name);
    const char *nearest = grammar_nearest(frame->options, text, name->length);
    bool is_block =
        walk->token->kind == TOKEN_OPEN || (at_value(walk) && walk->token[1].kind == TOKEN_OPEN);
    struct shown shown = show(walk, name);

    for (const struct frame *outer = frame->around; outer && !nearest; outer = outer->around) {
        if (grammar_find(outer->options, text, name->length)) {
            complain(walk->complaints, name->line, shown.text,
                     "belongs in %s, not in %s (is a '}' missing above?)", outer->name,
                     frame->name);
            return;
        }
    }
    for (const cfg_opt_t *inner = frame->options; inner->name && !nearest; inner++) {
        if (grammar_is_block(inner) && grammar_find(inner->subopts, text, name->length)) {
            complain(walk->complaints, name->line, shown.text, "belongs in the block %s of %s",
                     inner->name, frame->name);
            return;
        }
    }
    complain(walk->complaints, name->line, shown.text, "unknown %s in %s%s%s%s",
             is_block ? "block" : "option", frame->name, nearest ? " (did you mean '" : "",
             nearest ? nearest : "", nearest ? "'?)" : "");
}

/* False when an option or block stands there already. */
static bool only_once(struct walk *walk, struct frame *frame, cfg_opt_t *option,
                      const struct token *name)
{
    unsigned *first = &frame->first[option - frame->options];

    if (*first) {
        complain(walk->complaints, name->line, option->name, "given twice (first on line %u)",
                 *first);
        return false;
    }
    *first = name->line;
    return true;
}

static bool same_title(const struct walk *walk, const struct token *a, const struct token *b)
{
    size_t a_quote = a->kind == TOKEN_STRING, b_quote = b->kind == TOKEN_STRING;
    size_t length = a->length - 2 * a_quote;

    return a[-1].length == b[-1].length &&
           memcmp(text_of(walk, a - 1), text_of(walk, b - 1), a[-1].length) == 0 &&
           length == b->length - 2 * b_quote &&
           memcmp(text_of(walk, a) + a_quote, text_of(walk, b) + b_quote, length) == 0;
}

/* Remembers a titled block and its line. False when it is repeated or one too many. */
static bool new_title(struct walk *walk, struct frame *frame, cfg_opt_t *option,
                      const struct token *title)
{
    struct outline *outline = walk->outline;
    struct shown shown = show(walk, title);
    size_t count = 0;

    for (size_t i = 0; i < frame->title_count; i++) {
        const struct token *other = frame->titles[i];
        count += other[-1].length == strlen(option->name) &&
                 memcmp(text_of(walk, other - 1), option->name, other[-1].length) == 0;
        if (same_title(walk, other, title)) {
            complain(walk->complaints, title->line, shown.text,
                     "%s of the same name (first on line %u)", option->name, other->line);
            return false;
        }
    }
    if (count == grammar_most(option) || frame->title_count == TITLES_MAX) {
        if (frame->too_many != option)
            complain(walk->complaints, title->line, shown.text, "more than %u of %s",
                     grammar_most(option), option->name);
        frame->too_many = option;
        return false;
    }
    frame->titles[frame->title_count++] = title;
    if (strcmp(option->name, "service") == 0)
        outline->services[outline->service_count++] = title->line;
    else if (strcmp(option->name, "endpoint") == 0)
        outline->endpoints[outline->endpoint_count++] = title->line;
    else
        outline->checks[outline->check_count++] = title->line;
    return true;
}

/* A list without '}', or an option without a value, ends where the next statement begins. */
static bool begins_statement(const struct walk *walk, const struct frame *frame, bool separated)
{
    enum token_kind next = walk->token[1].kind;

    return next == TOKEN_EQUALS || next == TOKEN_OPEN ||
           (!separated &&
            grammar_find(frame->options, text_of(walk, walk->token), walk->token->length));
}

static bool list(struct walk *walk, const struct frame *frame, const cfg_opt_t *option)
{
    const struct token *open = walk->token++;
    bool good = true, separated = true;

    while (walk->token->kind != TOKEN_CLOSE) {
        if (walk->token->kind == TOKEN_COMMA) {
            complain(walk->complaints, walk->token->line, option->name,
                     "an entry is missing before a ','");
            good = false;
            walk->token++;
            continue;
        }
        if (!at_value(walk) || begins_statement(walk, frame, separated)) {
            complain(walk->complaints, open->line, option->name, "the list is not closed by '}'");
            return false;
        }
        if (!separated && good)
            complain(walk->complaints, walk->token->line, show(walk, walk->token).text,
                     "a ',' is missing before this entry of %s", option->name);
        good = good && separated && !walk->token->bad;
        walk->token++;
        separated = walk->token->kind == TOKEN_COMMA;
        walk->token += separated;
    }
    walk->token++;
    return good;
}

/* After "name =". */
static bool value(struct walk *walk, const struct frame *frame, const cfg_opt_t *option,
                  const struct token *name)
{
    if (walk->token->kind == TOKEN_OPEN && grammar_is_list(option))
        return list(walk, frame, option);
    if (walk->token->kind == TOKEN_OPEN) {
        complain(walk->complaints, walk->token->line, option->name, "takes one value, not a list");
        skip_braces(walk);
        return false;
    }
    bool next_line = walk->token->line > name->line;
    if (!at_value(walk) || (next_line && begins_statement(walk, frame, false))) {
        complain(walk->complaints, name->line, option->name, "no value is given");
        return false;
    }
    if (strcmp(option->name, "password") == 0) {
        bool empty = walk->token->kind == TOKEN_STRING && walk->token->length == 2;
        walk->secret_line = walk->token->line;
        if (!walk->outline->password && !empty)
            walk->outline->password = walk->token->line;
    }
    if (walk->token->bad) {
        skip_line(walk, walk->token->line);
        return false;
    }
    walk->token++;
    return true;
}

static bool named_option(struct walk *walk, struct frame *frame, cfg_opt_t *option,
                         const struct token *name)
{
    if (grammar_is_block(option)) {
        complain(walk->complaints, name->line, option->name,
                 "this is a block, written %s%s { ... }", option->name,
                 grammar_is_titled(option) ? " NAME" : "");
        skip_statement(walk, name->line);
        return false;
    }
    walk->token++;
    bool good = value(walk, frame, option, name);
    return only_once(walk, frame, option, name) && good;
}

/* At the '{' of a known block. */
static bool named_block(struct walk *walk, struct frame *frame, cfg_opt_t *option,
                        const struct token *name, const struct token *title)
{
    struct frame inner = {.around = frame, .options = option->subopts, .name = option->name};
    bool good = true;

    if (grammar_is_titled(option) && !title) {
        complain(walk->complaints, name->line, option->name,
                 "the block needs a name, as in %s NAME { ... }", option->name);
        good = false;
    } else if (!grammar_is_titled(option) && title) {
        complain(walk->complaints, name->line, show(walk, title).text, "%s takes no name",
                 option->name);
        good = false;
    }
    good = good &&
           (title ? new_title(walk, frame, option, title) : only_once(walk, frame, option, name));
    inner.title = title;
    inner.line = name->line;
    walk->token++;
    block(walk, &inner);
    return good && !(title && title->bad);
}

/* One option or block; false when libconfuse must not see it. */
static bool statement(struct walk *walk, struct frame *frame)
{
    const struct token *name = walk->token++;
    cfg_opt_t *option = grammar_find(frame->options, text_of(walk, name), name->length);
    bool titled = at_value(walk) && walk->token[1].kind == TOKEN_OPEN;

    if (name->kind != TOKEN_WORD || name->bad) {
        if (!name->bad)
            complain(walk->complaints, name->line, show(walk, name).text,
                     "the name of an option or block is expected");
        walk->token = name;
        skip_line(walk, name->line);
        return false;
    }
    if (walk->token->kind != TOKEN_EQUALS && walk->token->kind != TOKEN_OPEN && !titled) {
        if (!option)
            unknown(walk, frame, name);
        else if (!walk->token->bad)
            complain(walk->complaints, name->line, option->name, "a '%c' is missing after it",
                     grammar_is_block(option) ? '{' : '=');
        skip_line(walk, name->line);
        return false;
    }
    if (!option) {
        unknown(walk, frame, name);
        skip_statement(walk, name->line);
        return false;
    }
    if (walk->token->kind == TOKEN_EQUALS)
        return named_option(walk, frame, option, name);
    if (!grammar_is_block(option)) {
        complain(walk->complaints, name->line, option->name, "a '=' is missing after it");
        skip_statement(walk, name->line);
        return false;
    }
    const struct token *title = titled ? walk->token++ : NULL;
    return named_block(walk, frame, option, name, title);
}

static void not_closed(struct walk *walk, const struct frame *frame)
{
    char text[SHOWN + 32];

    snprintf(text, sizeof(text), "%s%s%s", frame->name, frame->title ? " " : "",
             frame->title ? show(walk, frame->title).text : "");
    complain(walk->complaints, frame->line, text, "the block is not closed by '}'");
    walk->outline->whole = false;
}

static void block(struct walk *walk, struct frame *frame)
{
    for (;;) {
        const struct token *start = walk->token;
        struct outline *outline = walk->outline;
        size_t services = outline->service_count, endpoints = outline->endpoint_count,
               checks = outline->check_count;

        if (start->kind == TOKEN_END) {
            if (frame->around)
                not_closed(walk, frame);
            return;
        }
        if (start->kind == TOKEN_CLOSE && frame->around) {
            walk->token++;
            return;
        }
        if (start->kind == TOKEN_CLOSE) {
            complain(walk->complaints, start->line, "}", "no block is open here");
            walk->token++;
        } else if (statement(walk, frame)) {
            continue;
        }
        outline->service_count = services;
        outline->endpoint_count = endpoints;
        outline->check_count = checks;
        outline->whole = false;
        scan_blank(walk->scan, start->at, walk->token[-1].at + walk->token[-1].length);
    }
}

void outline_read(struct outline *outline, struct scan *scan, struct complaints *complaints)
{
    struct walk walk = {.outline = outline,
                        .scan = scan,
                        .complaints = complaints,
                        .token = scan->tokens};
    struct frame file = {.options = grammar, .name = "the file"};

    *outline = (struct outline){.whole = complaints->count == 0};
    block(&walk, &file);
}

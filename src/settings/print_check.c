#include "settings/print_check.h"

#include <inttypes.h>
#include <string.h>

#include "base/duration.h"
#include "state/words.h"
#include "settings/words.h"

void print_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '\n')
            fputs("\\n", out);
        else if (*text == '\r')
            fputs("\\r", out);
        else if (strchr("\"\\$", *text))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

void print_duration(FILE *out, const char *indent, const char *name, uint64_t ns)
{
    char buffer[DURATION_TEXT];

    fprintf(out, "%s%s = %s\n", indent, name, duration_format(ns, buffer));
}

void print_boolean(FILE *out, const char *indent, const char *name, bool value)
{
    fprintf(out, "%s%s = %s\n", indent, name, value ? "true" : "false");
}

static void text_at(FILE *out, const char *indent, const char *name, const char *value)
{
    fprintf(out, "%s%s = ", indent, name);
    print_quoted(out, value ? value : "");
    fputc('\n', out);
}

static void text(FILE *out, const char *name, const char *value)
{
    text_at(out, "    ", name, value);
}

static void tls_files(FILE *out, const char *indent, const struct tls_settings *settings)
{
    text_at(out, indent, "ca", settings->ca);
    text_at(out, indent, "cert", settings->cert);
    text_at(out, indent, "key", settings->key);
}

void print_tls(FILE *out, const char *indent, const struct tls *tls, bool whole)
{
    char in[16];

    snprintf(in, sizeof(in), "%s    ", indent);
    fprintf(out, "%stls {\n", indent);
    if (whole)
        print_boolean(out, in, "enabled", tls->enabled);
    tls_files(out, in, &tls->settings);
    if (whole)
        text_at(out, in, "server_name", tls->settings.server_name);
    print_boolean(out, in, "verify", tls->settings.verify);
    fprintf(out, "%s}\n", indent);
}

void print_words(FILE *out, const char *indent, const char *name, const char *const *words)
{
    fprintf(out, "%s%s = {", indent, name);
    for (unsigned i = 0; words[i]; i++) {
        fputs(i ? ", " : " ", out);
        print_quoted(out, words[i]);
    }
    fprintf(out, "%s}\n", words[0] ? " " : "");
}

static void command(FILE *out, const struct check_settings *check)
{
    const char *words[CHECK_WORDS_MAX + 1];

    words_of_check(check, words);
    print_words(out, "    ", "command", words);
}

static void request(FILE *out, const struct check_block *block)
{
    text(out, "url", word_of_check(&block->settings, 0));
    text(out, "username", block->username);
    text(out, "password_file", block->password_file);
}

static const char *type_of(enum probe_kind kind)
{
    switch (kind) {
    case PROBE_COMMAND:
        return "command";
    case PROBE_LAG:
        return "lag";
    case PROBE_HTTP:
        return "http";
    case PROBE_EXEC:
        return "exec";
    case PROBE_KEY:
        return "key";
    case PROBE_ROLE:
        return "role";
    case PROBE_WRITE:
        return "write";
    case PROBE_TCP:
    case PROBE_PING:
    case PROBE_ECHO:
    case PROBE_KINDS:
        break;
    }
    return "?";
}

static void kind_options(const struct check_block *block, FILE *out)
{
    const struct check_settings *check = &block->settings;

    if (check->kind == PROBE_COMMAND || check->kind == PROBE_EXEC)
        command(out, check);
    if (check->kind == PROBE_COMMAND && check->expect != EXPECT_ANY)
        text(out, "expect", check->expected);
    if (check->kind == PROBE_KEY) {
        text(out, "key", word_of_check(check, 0));
        text(out, "value", word_of_check(check, 1));
    }
    if (check->kind == PROBE_HTTP || check->kind == PROBE_LAG)
        request(out, block);
    if (check->kind == PROBE_HTTP) {
        fprintf(out, "    status = %u-%u\n", (unsigned)check->status_from,
                (unsigned)check->status_to);
        text(out, "body", word_of_check(check, 1));
    }
    if (check->kind == PROBE_LAG) {
        print_duration(out, "    ", "tolerance", check->tolerance_ns);
        print_boolean(out, "    ", "extended", check->extended);
    }
    if (check->kind == PROBE_HTTP || check->kind == PROBE_LAG)
        print_tls(out, "    ", &block->tls, false);
}

void print_check(const struct check_block *block, FILE *out)
{
    const struct check_settings *check = &block->settings;

    fprintf(out, "check %s {\n    type = %s\n", check->name, type_of(check->kind));
    kind_options(block, out);
    if (check->interval_ns)
        print_duration(out, "    ", "interval", check->interval_ns);
    if (check->timeout_ns)
        print_duration(out, "    ", "timeout", check->timeout_ns);
    fprintf(out, "}\n");
}

static const char *name_of(const struct settings *settings, uint8_t check)
{
    uint8_t built_in = (uint8_t)(check & ~CHECK_BUILT_IN);

    if (!(check & CHECK_BUILT_IN))
        return check < settings->check_count ? settings->checks[check].settings.name : "?";
    return built_in < probe_words.count ? probe_words.word[built_in] : "?";
}

void print_expression(const struct settings *settings, const struct expression *expression,
                      const char *indent, const char *name, FILE *out)
{
    fprintf(out, "%s%s = ", indent, name);
    if (expression->count == 0)
        fprintf(out, "\"\"");
    else if (expression->count == 1)
        fprintf(out, "%s", name_of(settings, expression->checks[0]));
    else {
        fprintf(out, "\"%s(",
                expression->op < policy_words.count ? policy_words.word[expression->op] : "?");
        for (unsigned i = 0; i < expression->count; i++)
            fprintf(out, "%s%s", i ? ", " : "", name_of(settings, expression->checks[i]));
        fprintf(out, ")\"");
    }
    fputc('\n', out);
}

/*
 * The configuration reader against any text: it never crashes, never leaks, and either understands
 * or complains, each complaint at a line that the text has. What it understands, it prints so that
 * it can be read again.
 *
 *     clang -fsanitize=fuzzer,address -DWITH_LIBFUZZER ...     runs for ever, from a corpus
 *     fuzz_settings [-n ROUNDS] FILE...                        a bounded number of mutations, fixed
 * seed
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz_settings: %s\n", what);
    abort();
}

static unsigned lines_of(const uint8_t *data, size_t size)
{
    unsigned lines = 1;

    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    return lines;
}

static void print_and_read_again(const struct settings *settings)
{
    static struct complaints complaints;
    struct settings *again;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    insist(out != NULL, "no memory");
    settings_print(settings, out);
    fclose(out);
    insist(settings_parse(text, size, &again, &complaints) == 0, "printed settings are not read");
    insist(again->service_count == settings->service_count, "printed settings differ");
    settings_free(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct complaints complaints;
    struct settings *settings = NULL;
    int error = settings_parse((const char *)data, size, &settings, &complaints);
    unsigned lines = lines_of(data, size);

    insist((error == 0) == (complaints.count == 0), "an error without a complaint, or a complaint "
                                                    "without an error");
    insist(error == 0 || error == -EINVAL, "an error that is none of the file's");
    for (size_t i = 0; i < complaints.count; i++) {
        insist(complaints.list[i].line >= 1, "a complaint without a line");
        insist(complaints.list[i].line <= lines, "a complaint beyond the end");
        insist(i == 0 || complaints.list[i - 1].line <= complaints.list[i].line, "not in order");
    }
    if (!error)
        print_and_read_again(settings);
    settings_free(settings);
    return 0;
}

#ifndef WITH_LIBFUZZER

enum { TEXT_MAX = 128 * 1024 };

static uint64_t seed = 42;

/* splitmix64 */
static size_t below(size_t limit)
{
    uint64_t x = seed += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (size_t)((x ^ (x >> 31)) % limit);
}

/* One change: a sign put in, a stretch taken out, moved or doubled, or a byte replaced. */
static size_t mutate(uint8_t *text, size_t size)
{
    static const char signs[] = "{}=,\"'#\n*+$\\/ \0\r()%~0:";
    size_t at = below(size + 1), length = below(40);
    uint8_t piece[40];

    if (length > size - at)
        length = size - at;
    memcpy(piece, text + at, length);
    switch (below(4)) {
    case 0:
        memmove(text + at + 1, text + at, size - at);
        text[at] = (uint8_t)signs[below(sizeof(signs) - 1)];
        return size + 1;
    case 1:
        memmove(text + at, text + at + length, size - at - length);
        return size - length;
    case 2:
        at = below(size + 1);
        memmove(text + at + length, text + at, size - at);
        memcpy(text + at, piece, length);
        return size + length;
    default:
        if (at < size)
            text[at] = (uint8_t)below(256);
        return size;
    }
}

static void run_file(const char *path, size_t rounds)
{
    static uint8_t original[TEXT_MAX], text[2 * TEXT_MAX];
    FILE *in = fopen(path, "r");
    size_t size = in ? fread(original, 1, sizeof(original), in) : 0;

    insist(size > 0, path);
    fclose(in);
    LLVMFuzzerTestOneInput(original, size);
    for (size_t i = 0; i < rounds; i++) {
        size_t changed = size;
        memcpy(text, original, size);
        for (size_t changes = 1 + below(6); changes > 0; changes--)
            changed = mutate(text, changed);
        LLVMFuzzerTestOneInput(text, changed);
    }
}

int main(int count, char **arguments)
{
    size_t rounds = 2000;
    int first = 1;

    if (count > 2 && strcmp(arguments[1], "-n") == 0) {
        rounds = strtoul(arguments[2], NULL, 10);
        first = 3;
    }
    for (int i = first; i < count; i++)
        run_file(arguments[i], rounds);
    return 0;
}

#endif

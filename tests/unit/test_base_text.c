#include "base/text.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

START_TEST(copies_are_cut_and_ended)
{
    char to[4] = "zzz";

    ck_assert(text_copy(to, sizeof(to), "abc"));
    ck_assert_str_eq(to, "abc");
    ck_assert(!text_copy(to, sizeof(to), "defg"));
    ck_assert_str_eq(to, "def");
    ck_assert(text_copy(to, 1, ""));
    ck_assert_str_eq(to, "");
    ck_assert(!text_copy(to, 0, "x"));
    ck_assert_str_eq(to, "");
}
END_TEST

START_TEST(prefixes_are_found)
{
    ck_assert(text_starts("abc", "ab"));
    ck_assert(text_starts("abc", ""));
    ck_assert(text_starts("abc", "abc"));
    ck_assert(!text_starts("abc", "abcd"));
    ck_assert(!text_starts("abc", "b"));
    ck_assert(text_equal("abc", "abc") && !text_equal("abc", "abd"));
}
END_TEST

START_TEST(lower_case_is_for_ascii_alone)
{
    for (int c = CHAR_MIN; c <= CHAR_MAX; c++) {
        int expected = c >= 'A' && c <= 'Z' ? c + 32 : c;

        ck_assert_int_eq(text_lower((char)c), expected);
    }
}
END_TEST

START_TEST(host_names_get_one_form)
{
    static const struct {
        const char *from, *to;
    } rows[] = {
        {"cache", "cache"}, {"CaChE.", "cache"},    {"a.b.", "a.b"},
        {"a..", "a."},      {"abcdefg", "abcdefg"}, {"abcdefg.", "abcdefg"},
    };
    static const char *const refused[] = {"", ".", "abcdefgh", "abcdefgh."};
    char to[8];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        ck_assert_uint_eq(text_host_name(to, sizeof(to), rows[i].from), strlen(rows[i].to));
        ck_assert_str_eq(to, rows[i].to);
    }
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        ck_assert_msg(text_host_name(to, sizeof(to), refused[i]) == 0, "'%s'", refused[i]);
}
END_TEST

/* Both formatters get the same call. */
#define AS_SNPRINTF(...)                                                                           \
    do {                                                                                           \
        char ours[200], libcs[200];                                                                \
        size_t length = text_format(ours, sizeof(ours), __VA_ARGS__);                              \
                                                                                                   \
        snprintf(libcs, sizeof(libcs), __VA_ARGS__);                                               \
        ck_assert_str_eq(ours, libcs);                                                             \
        ck_assert_uint_eq(length, strlen(ours));                                                   \
    } while (0)

START_TEST(formats_as_snprintf_does)
{
    AS_SNPRINTF("plain");
    AS_SNPRINTF("%s|%c|%%|%s", "text", 'x', "");
    AS_SNPRINTF("%d %d %d %d", 0, -1, INT_MAX, INT_MIN);
    AS_SNPRINTF("%u %u %x %x", 0u, UINT_MAX, 0xdeadbeefu, 0u);
    AS_SNPRINTF("%ld %ld %lu %lx", LONG_MIN, LONG_MAX, ULONG_MAX, ULONG_MAX);
    AS_SNPRINTF("%lld %lld %llu %llx", LLONG_MIN, LLONG_MAX, ULLONG_MAX, ULLONG_MAX);
    AS_SNPRINTF("%zu %zd", SIZE_MAX, (ssize_t)-5);
    AS_SNPRINTF("[%5d] [%05d] [%5u] [%08x] [%016llx] [%2d]", -42, -42, 7u, 0xabu, 0x12ull, 12345);
    AS_SNPRINTF("[%3d%%] %s", 50, "after");
}
END_TEST

START_TEST(formatted_text_is_cut_and_ended)
{
    char to[6] = "zzzzz";

    ck_assert_uint_eq(text_format(to, sizeof(to), "%s%d", "abc", 4567), 5);
    ck_assert_str_eq(to, "abc45");
    ck_assert_uint_eq(text_format(to, 1, "%d", 1), 0);
    ck_assert_str_eq(to, "");
    to[0] = 'z';
    ck_assert_uint_eq(text_format(to, 0, "%d", 1), 0);
    ck_assert_int_eq(to[0], 'z');
}
END_TEST

START_TEST(a_missing_string_is_no_crash)
{
    const char *volatile missing = NULL; /* out of the compiler's sight */
    char to[20];

    text_format(to, sizeof(to), "<%s>", missing);
    ck_assert_str_eq(to, "<(null)>");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        copies_are_cut_and_ended,     prefixes_are_found,       lower_case_is_for_ascii_alone,
        host_names_get_one_form,      formats_as_snprintf_does, formatted_text_is_cut_and_ended,
        a_missing_string_is_no_crash,
    };

    return unit_run("base_text", tests, COUNT_OF(tests));
}

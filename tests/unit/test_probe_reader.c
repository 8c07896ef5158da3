#include "probe/reader.h"

#include <errno.h>
#include <string.h>

#include "probe/foreign.h"
#include "probe/hiredis.h"
#include "unit.h"

/* Feeds `bytes` in pieces of `piece`, counting complete replies. The last status of reader_next().
 */
static int read_all(struct reader *reader, const char *bytes, size_t length, size_t piece,
                    struct reply *last, unsigned *replies)
{
    int status = 0;

    *replies = 0;
    for (size_t at = 0; at < length && status == 0; at += piece) {
        if (reader_feed(reader, bytes + at, length - at < piece ? length - at : piece) != 0 ||
            reader->arena.used > ARENA_SIZE) /* an assertion would be slow here */
            ck_abort_msg("no memory at byte %zu", at);
        while ((status = reader_next(reader, last)) == 1)
            ++*replies;
    }
    return status;
}

static const struct row {
    const char *bytes;
    enum reply_type type;
    const char *text;
} rows[] = {
    {"+PONG\r\n", REPLY_STATUS, "PONG"},
    {"-ERR no\r\n", REPLY_ERROR, "ERR no"},
    {"$4\r\nPONG\r\n", REPLY_STRING, "PONG"},
    {"$0\r\n\r\n", REPLY_STRING, ""},
    {"$-1\r\n", REPLY_NIL, "(nil)"},
    {":42\r\n", REPLY_INTEGER, "42"},
    {":-9223372036854775808\r\n", REPLY_INTEGER, "-9223372036854775808"},
    {"*0\r\n", REPLY_ARRAY, ""},
    {"*-1\r\n", REPLY_NIL, "(nil)"},
    {"*2\r\n:7\r\n+x\r\n", REPLY_ARRAY, "7"},
    {"*2\r\n$4\r\npong\r\n$5\r\nother\r\n", REPLY_ARRAY, "pong"},
    {"*2\r\n*1\r\n+inner\r\n+outer\r\n", REPLY_ARRAY, ""},
    {">3\r\n$7\r\nmessage\r\n$1\r\na\r\n:1\r\n", REPLY_PUSH, "message"},
};

START_TEST(replies_are_told_apart)
{
    struct reader reader = {0};
    struct reply reply;
    unsigned replies;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t piece = 1; piece <= 64; piece *= 4) {
            ck_assert_int_eq(read_all(&reader, rows[i].bytes, strlen(rows[i].bytes), piece, &reply,
                                      &replies),
                             0);
            ck_assert_msg(replies == 1, "%s: %u", rows[i].bytes, replies);
            ck_assert_msg(reply.type == rows[i].type, "%s: %d", rows[i].bytes, reply.type);
            ck_assert_str_eq(reply.text, rows[i].text);
            ck_assert_uint_eq(reply.length, strlen(rows[i].text));
            ck_assert_ptr_null(reader.arena.memory);
        }
    }
}
END_TEST

START_TEST(replies_behind_one_another_stay_apart)
{
    static const char bytes[] = "+a\r\n>1\r\n+b\r\n$1\r\nc\r\n-d\r\n";
    static const char *const texts[] = {"a", "b", "c", "d"};
    struct reader reader = {0};
    struct reply reply;

    ck_assert_int_eq(reader_feed(&reader, bytes, sizeof(bytes) - 1), 0);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        ck_assert_int_eq(reader_next(&reader, &reply), 1);
        ck_assert_str_eq(reply.text, texts[i]);
    }
    ck_assert_int_eq(reader_next(&reader, &reply), 0);
}
END_TEST

START_TEST(long_texts_are_cut)
{
    char bytes[2 * REPLY_TEXT + 3];
    struct reader reader = {0};
    struct reply reply;

    memset(bytes, 'x', sizeof(bytes));
    bytes[0] = '+';
    memcpy(bytes + sizeof(bytes) - 2, "\r\n", 2);
    ck_assert_int_eq(reader_feed(&reader, bytes, sizeof(bytes)), 0);
    ck_assert_int_eq(reader_next(&reader, &reply), 1);
    ck_assert_uint_eq(strlen(reply.text), REPLY_TEXT - 1);
    ck_assert_uint_eq(reply.length, 2 * REPLY_TEXT);
}
END_TEST

/* The status of a reply of exactly `size` bytes. */
static int read_sized(size_t size, size_t piece)
{
    static char bytes[REPLY_MAX + 2 * READER_CHUNK];
    struct reader reader = {0};
    struct reply reply;
    unsigned replies;
    int status;

    memset(bytes, 'x', size);
    bytes[0] = '+';
    memcpy(bytes + size - 2, "\r\n", 2);
    status = read_all(&reader, bytes, size, piece, &reply, &replies);
    ck_assert(status < 0 || replies == 1);
    reader_reset(&reader);
    return status;
}

START_TEST(a_reply_has_a_greatest_length)
{
    static const size_t pieces[] = {100, 1000, READER_CHUNK - 1, READER_CHUNK};

    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        ck_assert_int_eq(read_sized(REPLY_MAX / 2 + 100, pieces[i]), 0);
        ck_assert_int_eq(read_sized(REPLY_MAX - 1, pieces[i]), 0);
        ck_assert_int_eq(read_sized(REPLY_MAX, pieces[i]), 0);
        ck_assert_int_eq(read_sized(REPLY_MAX + 1, pieces[i]), -EMSGSIZE);
        ck_assert_int_eq(read_sized(REPLY_MAX + READER_CHUNK, pieces[i]), -EMSGSIZE);
    }
}
END_TEST

START_TEST(short_replies_come_without_end)
{
    static const char bytes[] = "+PONG\r\n$3\r\nabc\r\n*2\r\n:1\r\n:2\r\n+PO";
    static const char rest[] = "NG\r\n";
    struct reader reader = {0};
    struct reply reply;
    unsigned replies;

    /* Always in the middle of a reply, so that the memory is never given back. */
    for (int i = 0; i < 10000; i++) {
        ck_assert_int_eq(read_all(&reader, bytes, sizeof(bytes) - 1, 100, &reply, &replies), 0);
        ck_assert_ptr_nonnull(reader.arena.memory);
        ck_assert_int_eq(reader_feed(&reader, rest, sizeof(rest) - 1), 0);
        ck_assert_int_eq(reader_next(&reader, &reply), 1);
        ck_assert_int_eq(reader_feed(&reader, "+x", 2), 0);
        ck_assert_int_eq(reader_next(&reader, &reply), 0);
        ck_assert_int_eq(reader_feed(&reader, "\r\n+", 3), 0);
        ck_assert_int_eq(reader_next(&reader, &reply), 1);
        ck_assert_int_eq(reader_next(&reader, &reply), 0);
        ck_assert_int_eq(reader_feed(&reader, "y\r\n", 3), 0);
        ck_assert_int_eq(reader_next(&reader, &reply), 1);
    }
    reader_reset(&reader);
}
END_TEST

START_TEST(impossible_lengths_take_no_memory)
{
    static const char *const hostile[] = {
        "*2147483647\r\n",
        "*9223372036854775807\r\n",
        "$9223372036854775807\r\n",
        "$4294967295\r\n",
        "*1152921504606846976\r\n",
        "$-2\r\n",
        "*-2\r\n",
        "$99999999999999999999\r\n",
        "*2147483647\r\n*2147483647\r\n*2147483647\r\n*2147483647\r\n",
    };
    struct reply reply;
    unsigned replies;

    for (size_t i = 0; i < COUNT_OF(hostile); i++) {
        struct reader reader = {0};
        int status = read_all(&reader, hostile[i], strlen(hostile[i]), 5, &reply, &replies);

        ck_assert_msg(replies == 0, "%s", hostile[i]);
        ck_assert_msg(status == 0 || status == -EPROTO || status == -EMSGSIZE, "%s: %d", hostile[i],
                      status);
        ck_assert_uint_lt(reader.arena.used, 4096);
        reader_reset(&reader);
    }
}
END_TEST

static void endless(const char *begin, const char *more)
{
    struct reader reader = {0};
    struct reply reply;
    unsigned replies;
    size_t fed = strlen(begin);
    int status = read_all(&reader, begin, fed, fed, &reply, &replies);

    while (status == 0) {
        status = read_all(&reader, more, strlen(more), READER_CHUNK, &reply, &replies);
        fed += strlen(more);
        ck_assert_msg(fed <= REPLY_MAX + 2 * READER_CHUNK, "%s%s", begin, more);
        ck_assert_uint_eq(replies, 0);
    }
    ck_assert_msg(status == -EMSGSIZE || status == -EPROTO, "%s%s: %d", begin, more, status);
    reader_reset(&reader);
}

START_TEST(endless_replies_end)
{
    endless("$100000000\r\n", "some more of it");
    endless("+", "a line without an end");
    endless("*1000000\r\n", ":1\r\n");
    endless("*1000000\r\n", "*0\r\n");
    endless("*1000000\r\n", "$-1\r\n");
    endless("*1\r\n", "*1\r\n");
    endless("*2\r\n", "*2\r\n");
    endless(">1000000\r\n", "+x\r\n");
    endless("$", "1");
    endless("*", "0");
}
END_TEST

static void give_up(void *argument)
{
    *(int *)argument += 1;
    hiredis_assert_fail("this", "here", 1, __func__);
}

START_TEST(an_assertion_ends_one_reply_only)
{
    struct arena arena;
    int calls = 0;

    ck_assert(arena_open(&arena));
    ck_assert(!arena_run(&arena, give_up, &calls));
    ck_assert(!arena_run(&arena, give_up, &calls));
    ck_assert_int_eq(calls, 2);
    arena_close(&arena);
}
END_TEST

static void use_up(void *argument)
{
    char *first = hiredis_malloc(100), *second = hiredis_calloc(10, 10), *grown;

    (void)argument;
    memset(first, 'a', 100);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(second[i], 0);
    memset(second, 'b', 100);
    grown = hiredis_realloc(first, 1000); /* cannot grow in place */
    ck_assert(grown != first && grown[99] == 'a' && second[0] == 'b');
    ck_assert_ptr_eq(hiredis_realloc(grown, 2000), grown); /* can */
    ck_assert_ptr_null(hiredis_realloc(grown, ARENA_SIZE));
    ck_assert_ptr_null(hiredis_realloc(grown, SIZE_MAX));
    ck_assert_ptr_null(hiredis_malloc(SIZE_MAX));
    ck_assert_ptr_null(hiredis_malloc(ARENA_SIZE - 64));
    ck_assert_ptr_null(hiredis_calloc(SIZE_MAX / 2, 3));
    ck_assert_str_eq(hiredis_strdup("text"), "text");
    hiredis_free(grown);
    hiredis_free(NULL);
    while (hiredis_malloc(100))
        ;
    ck_assert_uint_eq((uintptr_t)second % _Alignof(max_align_t), 0);
}

START_TEST(the_arena_is_bounded)
{
    struct arena arena;

    ck_assert(arena_open(&arena));
    ck_assert(arena_run(&arena, use_up, NULL));
    ck_assert_uint_le(arena.used, ARENA_SIZE);
    arena_close(&arena);
}
END_TEST

START_TEST(what_is_not_redis_is_named)
{
    static const struct {
        const char *bytes;
        enum check_cause cause;
    } strangers[] = {
        {"HTTP/1.1 400 Bad Request\r\n\r\n", CHECK_HTTP},
        {"\x15\x03\x01", CHECK_TLS},
        {"\x16\x03\x03", CHECK_TLS},
        {"220 smtp.example.com\r\n", CHECK_NOT_REDIS},
        {"SSH-2.0-OpenSSH\r\n", CHECK_NOT_REDIS},
        {"HTML", CHECK_NOT_REDIS},
        {"\x15\x04", CHECK_NOT_REDIS},
        {"$abc\r\n", CHECK_NOT_REDIS},
    };

    for (size_t i = 0; i < COUNT_OF(strangers); i++) {
        for (size_t piece = 1; piece < 32; piece += 30) {
            struct reader reader = {0};
            struct reply reply;
            unsigned replies;

            ck_assert_int_eq(read_all(&reader, strangers[i].bytes, strlen(strangers[i].bytes),
                                      piece, &reply, &replies),
                             -EPROTO);
            ck_assert_msg(foreign_cause(reader.begin, reader.begin_length) == strangers[i].cause,
                          "%s", strangers[i].bytes);
            reader_reset(&reader);
        }
    }
}
END_TEST

/* Pieces of RESP and of other things, put together at random. */
static size_t random_bytes(uint64_t *seed, char *to, size_t size)
{
    static const char *const words[] = {
        "+PONG\r\n",  "-ERR x\r\n",
        ":1\r\n",     "$4\r\nPONG\r\n",
        "*2\r\n",     ">1\r\n",
        "$-1\r\n",    "*-1\r\n",
        "\r\n",       "*3\r\n*0\r\n",
        "$100\r\n",   "*100000\r\n",
        "$99999\r\n", "HTTP/",
        "*",          "$",
        "_\r\n",      "#t\r\n",
        ",1.5\r\n",   "%1\r\n",
        "(12\r\n",    "=7\r\ntxt:abc\r\n",
    };
    size_t length = 0, wanted = unit_below(seed, (unsigned)size - 40);

    while (length < wanted) {
        if (unit_below(seed, 40) == 0) {
            to[length++] = (char)unit_random(seed);
        } else {
            const char *word = words[unit_below(seed, COUNT_OF(words))];

            memcpy(to + length, word, strlen(word));
            length += strlen(word);
        }
    }
    return length;
}

START_TEST(any_bytes_read_the_same_however_they_are_cut)
{
    static char bytes[4096];
    uint64_t seed = 3;

    for (int round = 0; round < 5000; round++) {
        size_t length = random_bytes(&seed, bytes, round % 10 ? 300 : sizeof(bytes));
        struct reader whole = {0}, cut = {0};
        struct reply last_whole = {0}, last_cut = {0};
        unsigned replies_whole, replies_cut;
        int status_whole, status_cut;

        status_whole = read_all(&whole, bytes, length, READER_CHUNK, &last_whole, &replies_whole);
        status_cut =
            read_all(&cut, bytes, length, 1 + unit_below(&seed, 50), &last_cut, &replies_cut);
        ck_assert_int_eq(status_whole, status_cut);
        ck_assert_uint_eq(replies_whole, replies_cut);
        ck_assert_str_eq(last_whole.text, last_cut.text);
        ck_assert_int_eq(last_whole.type, last_cut.type);
        reader_reset(&whole);
        reader_reset(&cut);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        replies_are_told_apart,
        replies_behind_one_another_stay_apart,
        long_texts_are_cut,
        a_reply_has_a_greatest_length,
        short_replies_come_without_end,
        impossible_lengths_take_no_memory,
        endless_replies_end,
        an_assertion_ends_one_reply_only,
        the_arena_is_bounded,
        what_is_not_redis_is_named,
        any_bytes_read_the_same_however_they_are_cut,
    };

    return unit_run("probe_reader", tests, COUNT_OF(tests));
}

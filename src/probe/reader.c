#include "probe/reader.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "probe/foreign.h"
#include "probe/hiredis.h"

/* A call into hiredis, as arena_run() makes it. */
struct call {
    struct reader *reader;
    const char *bytes;
    size_t length;
    void *reply;
    int status;
};

static void note_text(struct reply *reply, const char *text, size_t length)
{
    size_t kept = length < REPLY_TEXT ? length : REPLY_TEXT - 1;

    memcpy(reply->text, text, kept);
    reply->text[kept] = '\0';
    reply->length = length;
}

static enum reply_type type_of(const redisReadTask *task)
{
    if (task->type == REDIS_REPLY_STATUS)
        return REPLY_STATUS;
    return task->type == REDIS_REPLY_ERROR ? REPLY_ERROR : REPLY_STRING;
}

static void let_hear(const struct reader *reader, const redisReadTask *task, const char *text,
                     size_t length)
{
    struct word word = {.index = (unsigned)task->idx, .length = length, .text = text};

    for (const redisReadTask *outer = task->parent; outer; outer = outer->parent)
        word.depth++;
    if (reader->hear && word.depth > 0)
        reader->hear(reader->listener, &word);
}

/* What these return stands for an object, of which only that it is not NULL matters. */
static void *note_string(const redisReadTask *task, char *text, size_t length)
{
    struct reader *reader = task->privdata;

    /* On 32 bits a length close to SIZE_MAX passes hiredis's own test. */
    if (length > REPLY_MAX + READER_CHUNK)
        return NULL;
    let_hear(reader, task, text, length);
    if (!task->parent) {
        reader->reply.type = type_of(task);
        note_text(&reader->reply, text, length);
    } else if (!task->parent->parent && task->idx == 0) {
        note_text(&reader->reply, text, length);
    } else if (!task->parent->parent && task->idx == 3) {
        size_t kept = length < REPLY_FOURTH ? length : REPLY_FOURTH - 1;

        memcpy(reader->reply.fourth, text, kept);
        reader->reply.fourth[kept] = '\0';
    }
    return reader;
}

#ifdef REDIS_REPLY_DOUBLE /* hiredis 1.0 */
static void *note_array(const redisReadTask *task, size_t elements)
#else
static void *note_array(const redisReadTask *task, int elements)
#endif
{
    struct reader *reader = task->privdata;

    (void)elements;
    if (!task->parent)
        reader->reply.type = reader->push ? REPLY_PUSH : REPLY_ARRAY;
    return reader;
}

static void *note_integer(const redisReadTask *task, long long value)
{
    struct reader *reader = task->privdata;
    char digits[24];
    size_t length = text_format(digits, sizeof(digits), "%lld", value);

    if (!task->parent)
        reader->reply.type = REPLY_INTEGER;
    if (!task->parent || (!task->parent->parent && task->idx == 0))
        note_text(&reader->reply, digits, length);
    return reader;
}

static void *note_nil(const redisReadTask *task)
{
    struct reader *reader = task->privdata;

    if (!task->parent) {
        reader->reply.type = REPLY_NIL;
        note_text(&reader->reply, "(nil)", 5);
    }
    return reader;
}

static redisReplyObjectFunctions notes = {
    .createString = note_string,
    .createArray = note_array,
    .createInteger = note_integer,
    .createNil = note_nil,
};

static void create(void *argument)
{
    struct call *call = argument;

    call->reply = redisReaderCreateWithFunctions(&notes);
}

static void feed(void *argument)
{
    struct call *call = argument;

    call->status = redisReaderFeed(call->reader->hiredis, call->bytes, call->length);
}

static void get_reply(void *argument)
{
    struct call *call = argument;

    call->status = redisReaderGetReply(call->reader->hiredis, &call->reply);
}

void reader_listen(struct reader *reader, reader_hear *hear, void *listener)
{
    reader->hear = hear;
    reader->listener = listener;
}

void reader_reset(struct reader *reader)
{
    reader_hear *hear = reader->hear;
    void *listener = reader->listener;

    arena_close(&reader->arena);
    memset(reader, 0, sizeof(*reader));
    reader_listen(reader, hear, listener);
}

static int begin_reading(struct reader *reader)
{
    struct call call = {.reader = reader};
    redisReader *hiredis;

    reader_reset(reader);
    if (!arena_open(&reader->arena))
        return -ENOMEM;
    if (!arena_run(&reader->arena, create, &call) || !call.reply) {
        reader_reset(reader);
        return -ENOMEM;
    }
    hiredis = call.reply;
    hiredis->privdata = reader;
    reader->hiredis = hiredis;
    return 0;
}

int reader_feed(struct reader *reader, const char *bytes, size_t length)
{
    struct call call = {.reader = reader, .bytes = bytes, .length = length};
    int error = reader->hiredis ? 0 : begin_reading(reader);

    if (error)
        return error;
    /* What goes wrong here stays in the reader's `err`; reader_next() tells. */
    if (!arena_run(&reader->arena, feed, &call)) {
        reader_reset(reader);
        return -ENOMEM;
    }
    reader->fed += length;
    return 0;
}

/* Looks at how the next reply begins. False: too little has come to say anything. */
static bool begin_reply(struct reader *reader, redisReader *hiredis)
{
    char *bytes = hiredis->buf + hiredis->pos;
    size_t length = hiredis->len - hiredis->pos;

    reader->start = reader->fed - length;
    reader->begin_length = length < REPLY_BEGIN ? length : REPLY_BEGIN;
    memcpy(reader->begin, bytes, reader->begin_length);
    if (foreign_unclear(reader->begin, reader->begin_length))
        return false;
    reader->reply = (struct reply){0};
    reader->push = bytes[0] == '>';
    if (reader->push) /* the same form as an array, which every version of hiredis knows */
        bytes[0] = '*';
    return true;
}

int reader_next(struct reader *reader, struct reply *out)
{
    redisReader *hiredis = reader->hiredis;
    struct call call = {.reader = reader};

    if (!hiredis)
        return 0;
    if (!hiredis->err && hiredis->ridx < 0) {
        if (hiredis->pos == hiredis->len) {
            reader_reset(reader);
            return 0;
        }
        if (!begin_reply(reader, hiredis))
            return 0;
    }
    if (!arena_run(&reader->arena, get_reply, &call))
        return -EPROTO;
    if (call.status != REDIS_OK)
        return hiredis->err == REDIS_ERR_OOM ? -EMSGSIZE : -EPROTO;
    if (reader->fed - (call.reply ? hiredis->len - hiredis->pos : 0) - reader->start > REPLY_MAX)
        return -EMSGSIZE;
    if (!call.reply)
        return 0;
    *out = reader->reply;
    return 1;
}

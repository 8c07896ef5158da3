/*
 * reader: bytes of a connection in, RESP replies out; what a check needs of them, and no more.
 *
 * hiredis's redisReader does the parsing. Here are its bounds: a reply is at most REPLY_MAX bytes,
 * no objects are built of it, and the reader exists, with its memory, only while a reply is partly
 * read. A RESP3 push (">…") is told apart from an answer whatever the version of hiredis.
 */
#ifndef PROBE_READER_H
#define PROBE_READER_H

#include <stdint.h>

#include "probe/arena.h"

enum { READER_CHUNK = 4096, REPLY_TEXT = 128, REPLY_FOURTH = 16, REPLY_BEGIN = 8 };

enum reply_type {
    REPLY_OTHER,
    REPLY_STATUS,
    REPLY_ERROR,
    REPLY_STRING,
    REPLY_INTEGER,
    REPLY_NIL,
    REPLY_ARRAY,
    REPLY_PUSH
};

struct reply {
    enum reply_type type;
    size_t length;             /* of the text before it was cut */
    char text[REPLY_TEXT];     /* of an array: its first element's; a number in digits; "(nil)" */
    char fourth[REPLY_FOURTH]; /* of an array: its fourth element's, as far as it fits */
};

/* A string inside of an array, as it is read. */
struct word {
    unsigned depth; /* 1: of the reply itself, 2: of an array in it */
    unsigned index; /* in its array */
    size_t length;
    const char *text; /* not terminated */
};

typedef void reader_hear(void *listener, const struct word *word);

struct reader {
    struct arena arena;
    void *hiredis;           /* the redisReader, NULL between replies */
    size_t fed;              /* bytes since it was created */
    size_t start;            /* of those, before the reply that is being read */
    char begin[REPLY_BEGIN]; /* how that reply begins: what it is if it is not RESP */
    size_t begin_length;
    bool push;
    struct reply reply;
    reader_hear *hear; /* NULL: nobody wants to know more than `reply` tells */
    void *listener;
};

/* Who wants to hear of every string inside of arrays. Stays until it is called again. */
void reader_listen(struct reader *reader, reader_hear *hear, void *listener);

/* Forgets everything, save who listens; a reader of zero bytes is fresh too. */
void reader_reset(struct reader *reader);

/* At most READER_CHUNK bytes; call reader_next() until it returns 0 before the next. 0 or -ENOMEM.
 */
int reader_feed(struct reader *reader, const char *bytes, size_t length);

/*
 * 1: a reply is in `out`. 0: more bytes are needed. -EPROTO: not RESP (`begin` has its first
 * bytes); -EMSGSIZE: longer than REPLY_MAX. After an error only reader_reset() is allowed.
 */
int reader_next(struct reader *reader, struct reply *out);

#endif

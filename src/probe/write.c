#include <string.h>

#include "base/text.h"
#include "probe/kind.h"

enum { KEY_TEXT = 40, TOKEN_TEXT = 17 };

/* Should the DEL never arrive. */
#define EXPIRY_MS "10000"

/* A random key: it lands on a random shard of a database that has several. */
static void texts(const struct question *question, char key[static KEY_TEXT],
                  char token[static TOKEN_TEXT])
{
    text_format(token, TOKEN_TEXT, "%016llx", (unsigned long long)question->token);
    text_format(key, KEY_TEXT, "redisteer:check:%s", token);
}

static size_t ask(char to[static COMMAND_MAX], const struct question *question)
{
    char key[KEY_TEXT], token[TOKEN_TEXT], next[COMMAND_MAX];
    const char *const set[] = {"SET", key, token, "PX", EXPIRY_MS};
    const char *const get[] = {"GET", key};
    const char *const del[] = {"DEL", key};
    size_t length, more;

    texts(question, key, token);
    length = command_write(to, 5, set);
    more = command_write(next, 2, get);
    memcpy(to + length, next, more); /* all of them are a third of COMMAND_MAX */
    length += more;
    more = command_write(next, 2, del);
    memcpy(to + length, next, more);
    return length + more;
}

static enum check_cause judge(const struct question *question, const struct reply *reply,
                              unsigned index)
{
    char key[KEY_TEXT], token[TOKEN_TEXT];
    bool right;

    texts(question, key, token);
    if (index == 0)
        right = reply->type == REPLY_STATUS && text_equal(reply->text, "OK");
    else if (index == 1)
        right = reply->type == REPLY_STRING && text_equal(reply->text, token);
    else
        right = reply->type == REPLY_INTEGER && text_equal(reply->text, "1");
    return right ? CHECK_FINE : CHECK_NOT_STORED;
}

const struct kind kind_write = {.request = ask, .judge = judge, .answers = 3};

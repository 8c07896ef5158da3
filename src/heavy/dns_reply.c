#include "heavy/dns_reply.h"

#include <stdlib.h>
#include <string.h>

#define CARES_NO_DEPRECATED
#include <ares.h>

#include "base/text.h"

enum {
    HEADER = 12,
    COUNT_OF_QUESTIONS = 4,
    COUNT_OF_ANSWERS = 6,
    AFTER_QUESTION = 4, /* type, class */
    AFTER_NAME = 10,    /* type, class, ttl, length of data */
    SRV_FIXED = 6,      /* priority, weight, port */
    TYPE_CNAME = 5,
    TYPE_SRV = 33,
    CLASS_IN = 1,
};

struct reply {
    const uint8_t *bytes;
    size_t length, at;
};

static uint16_t number16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint32_t number32(const uint8_t *bytes)
{
    return (uint32_t)number16(bytes) << 16 | number16(bytes + 2);
}

static bool has(const struct reply *reply, size_t count)
{
    return reply->length - reply->at >= count;
}

/* The name at `at`, of `*taken` bytes there. `out` may be NULL. */
static bool read_name(const struct reply *reply, size_t at, size_t *taken, char *out, size_t size)
{
    char *name;
    long length;
    bool fits;

    if (at >= reply->length || ares_expand_name(reply->bytes + at, reply->bytes, (int)reply->length,
                                                &name, &length) != ARES_SUCCESS)
        return false;
    *taken = (size_t)length;
    fits = !out || text_copy(out, size, name);
    ares_free_string(name);
    return fits;
}

static bool skip_name(struct reply *reply)
{
    size_t taken;

    if (!read_name(reply, reply->at, &taken, NULL, 0))
        return false;
    reply->at += taken;
    return true;
}

static int by_preference(const void *left, const void *right)
{
    const struct dns_host *a = left, *b = right;
    int names;

    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    names = strcmp(a->name, b->name);
    return names != 0 ? names : (a->port > b->port) - (a->port < b->port);
}

/* In its place; where there is no room, the least preferred goes. */
static void insert(struct dns_answer *answer, const struct dns_host *host)
{
    size_t at = 0;

    while (at < answer->count && by_preference(&answer->hosts[at], host) < 0)
        at++;
    if (at == DNS_HOSTS_MAX || (at < answer->count && by_preference(&answer->hosts[at], host) == 0))
        return;
    if (answer->count < DNS_HOSTS_MAX)
        answer->count++;
    memmove(&answer->hosts[at + 1], &answer->hosts[at],
            (answer->count - at - 1) * sizeof(answer->hosts[0]));
    answer->hosts[at] = *host;
}

static bool take_srv(const struct reply *reply, size_t length, struct dns_answer *answer)
{
    const uint8_t *data = reply->bytes + reply->at;
    struct dns_host host = {0};
    char target[ADDRESS_HOST_TEXT];
    size_t taken;

    if (length <= SRV_FIXED ||
        !read_name(reply, reply->at + SRV_FIXED, &taken, target, sizeof(target)) ||
        SRV_FIXED + taken > length)
        return false;
    host.priority = number16(data);
    host.weight = number16(data + 2);
    host.port = number16(data + 4);
    /* The root is nobody: the service is decidedly not offered (RFC 2782). */
    if (text_host_name(host.name, sizeof(host.name), target) > 0 && host.port > 0)
        insert(answer, &host);
    return true;
}

static bool take_record(struct reply *reply, struct dns_answer *answer)
{
    const uint8_t *fixed;
    uint16_t type, length;
    uint32_t ttl_s;

    if (!skip_name(reply) || !has(reply, AFTER_NAME))
        return false;
    fixed = reply->bytes + reply->at;
    type = number16(fixed);
    ttl_s = number32(fixed + 4);
    length = number16(fixed + 8);
    reply->at += AFTER_NAME;
    if (!has(reply, length))
        return false;
    if (number16(fixed + 2) == CLASS_IN && (type == TYPE_SRV || type == TYPE_CNAME)) {
        if (type == TYPE_SRV && !take_srv(reply, length, answer))
            return false;
        if (ttl_s < answer->ttl_s)
            answer->ttl_s = ttl_s;
    }
    reply->at += length;
    return true;
}

enum dns_cause dns_read_srv(const uint8_t *bytes, size_t length, struct dns_answer *answer)
{
    struct reply reply = {.bytes = bytes, .length = length, .at = HEADER};
    unsigned questions, answers;

    if (length < HEADER)
        return DNS_NONSENSE;
    questions = number16(bytes + COUNT_OF_QUESTIONS);
    answers = number16(bytes + COUNT_OF_ANSWERS);
    for (; questions > 0; questions--) {
        if (!skip_name(&reply) || !has(&reply, AFTER_QUESTION))
            return DNS_NONSENSE;
        reply.at += AFTER_QUESTION;
    }
    for (; answers > 0; answers--)
        if (!take_record(&reply, answer))
            return DNS_NONSENSE;
    return answer->count > 0 ? DNS_FOUND : DNS_EMPTY;
}

#include "probe/foreign.h"

#include <string.h>

static const struct sign {
    const char *bytes;
    size_t length;
    enum check_cause cause;
} signs[] = {
    {"HTTP/", 5, CHECK_HTTP},
    {"\x15\x03", 2, CHECK_TLS}, /* an alert: we did not begin with a ClientHello */
    {"\x16\x03", 2, CHECK_TLS}, /* a handshake */
};

enum { SIGNS = sizeof(signs) / sizeof(signs[0]) };

enum check_cause foreign_cause(const char *bytes, size_t length)
{
    for (size_t i = 0; i < SIGNS; i++)
        if (length >= signs[i].length && memcmp(bytes, signs[i].bytes, signs[i].length) == 0)
            return signs[i].cause;
    return CHECK_NOT_REDIS;
}

bool foreign_unclear(const char *bytes, size_t length)
{
    for (size_t i = 0; i < SIGNS; i++)
        if (length < signs[i].length && memcmp(bytes, signs[i].bytes, length) == 0)
            return true;
    return false;
}

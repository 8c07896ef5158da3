#include "base/describe.h"

#include "base/text.h"

const char *describe_ip(const struct address *address, char out[static ADDRESS_IP_TEXT])
{
    const uint8_t *ip = address->ip;
    size_t length;

    if (address_is_v4(address)) {
        text_format(out, ADDRESS_IP_TEXT, "%u.%u.%u.%u", ip[12], ip[13], ip[14], ip[15]);
        return out;
    }
    length = 0;
    for (unsigned i = 0; i < 16; i += 2)
        length += text_format(out + length, ADDRESS_IP_TEXT - length, i ? ":%x" : "%x",
                              (unsigned)ip[i] << 8 | ip[i + 1]);
    if (address->scope)
        text_format(out + length, ADDRESS_IP_TEXT - length, "%%%u", address->scope);
    return out;
}

const char *describe_address(const struct address *address, char out[static ADDRESS_TEXT])
{
    char ip[ADDRESS_IP_TEXT];
    bool v4 = address_is_v4(address);

    text_format(out, ADDRESS_TEXT, v4 ? "%s:%u" : "[%s]:%u", describe_ip(address, ip),
                address->port);
    return out;
}

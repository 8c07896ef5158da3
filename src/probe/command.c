#include "probe/command.h"

#include <string.h>

#include "base/text.h"

size_t command_write(char to[static COMMAND_MAX], unsigned count, const char *const words[])
{
    size_t length = text_format(to, COMMAND_MAX, "*%u\r\n", count);

    for (unsigned i = 0; i < count; i++) {
        size_t size = strlen(words[i]);

        if (length + size + 32 > COMMAND_MAX)
            return 0;
        length += text_format(to + length, COMMAND_MAX - length, "$%zu\r\n", size);
        memcpy(to + length, words[i], size);
        length += size;
        to[length++] = '\r';
        to[length++] = '\n';
    }
    return length;
}

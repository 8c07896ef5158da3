#include "cli/connections.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TCP_STATE_ESTABLISHED = 1 };

static int add(struct connections *connections, const struct address *remote)
{
    /* Powers of two: full exactly when the count is one. */
    if ((connections->count & (connections->count - 1)) == 0) {
        size_t room = connections->count == 0 ? 1 : connections->count * 2;
        struct address *more = reallocarray(connections->remotes, room, sizeof *more);

        if (more == NULL)
            return -ENOMEM;
        connections->remotes = more;
    }
    connections->remotes[connections->count++] = *remote;
    return 0;
}

/* The kernel prints each 32-bit word of the address in the machine's byte order. */
static bool remote_of(const char *hex, unsigned port, struct address *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    size_t words = strlen(hex) / 8;
    uint32_t word[4];

    if (words != 1 && words != 4)
        return false;
    for (size_t i = 0; i < words; i++) {
        char digits[9] = {0};

        memcpy(digits, hex + i * 8, 8);
        word[i] = (uint32_t)strtoul(digits, NULL, 16);
    }
    *out = (struct address){.port = (uint16_t)port};
    memcpy(out->ip, mapped, sizeof mapped);
    memcpy(out->ip + (words == 1 ? 12 : 0), word, words * 4);
    return true;
}

static int read_table(const char *path, struct connections *connections)
{
    FILE *file = fopen(path, "re");
    char line[512], hex[33];
    unsigned port, state;
    struct address remote;
    int error = 0;

    if (file == NULL)
        return -errno;
    while (error == 0 && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%*x %32[0-9A-Fa-f]:%x %x", hex, &port, &state) == 3 &&
            state == TCP_STATE_ESTABLISHED && remote_of(hex, port, &remote))
            error = add(connections, &remote);
    fclose(file);
    return error;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct address));
}

int connections_read(struct connections *connections)
{
    int error;

    *connections = (struct connections){0};
    error = read_table("/proc/net/tcp", connections);
    if (error == 0)
        error = read_table("/proc/net/tcp6", connections);
    if (error == -ENOENT) /* no IPv6 in this kernel */
        error = 0;
    if (error != 0)
        connections_free(connections);
    else if (connections->count > 0)
        qsort(connections->remotes, connections->count, sizeof *connections->remotes, compare);
    return error;
}

uint64_t connections_to(const struct connections *connections, const struct address *remote)
{
    struct address key = *remote;
    size_t low = 0, high = connections->count, first;
    uint64_t found = 0;

    key.scope = 0; /* the tables do not tell it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(&connections->remotes[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (first = low; first < connections->count; first++, found++)
        if (compare(&connections->remotes[first], &key) != 0)
            break;
    return found;
}

void connections_free(struct connections *connections)
{
    free(connections->remotes);
    *connections = (struct connections){0};
}

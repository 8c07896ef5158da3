/*
 * kind: what distinguishes the kinds of check: the question, and the right answer. One file each.
 */
#ifndef PROBE_KIND_H
#define PROBE_KIND_H

#include "probe/command.h"
#include "probe/reader.h"

struct kind {
    /* Length of the question. NULL: nothing is asked, a connection that is accepted is enough. */
    size_t (*request)(char to[static COMMAND_MAX], uint64_t token);
    bool (*is_right)(const struct reply *reply, uint64_t token);
};

extern const struct kind kind_tcp;
extern const struct kind kind_ping;
extern const struct kind kind_echo;

#endif

/*
 * kind: what distinguishes the kinds of check: the question, and the right answer. One file each.
 */
#ifndef PROBE_KIND_H
#define PROBE_KIND_H

#include "probe/command.h"
#include "probe/reader.h"

/* What is asked: the target, and a number that no other question has. */
struct question {
    const struct probe_target *target;
    uint64_t token;
};

struct kind {
    /*
     * Length of the question; 0: there is no room for it. NULL: nothing is asked, a connection that
     * is accepted is enough.
     */
    size_t (*request)(char to[static COMMAND_MAX], const struct question *question);
    /*
     * Judges answer number `index`, which is no error: CHECK_FINE when it is right. NULL: none of
     * them matters.
     */
    enum check_cause (*judge)(const struct question *question, const struct reply *reply,
                              unsigned index);
    unsigned answers;     /* of one question, 1..3 */
    bool alive_is_enough; /* who is refused for want of a password or right has still learnt it */
};

extern const struct kind kind_tcp;
extern const struct kind kind_ping;
extern const struct kind kind_echo;
extern const struct kind kind_role;
extern const struct kind kind_command;
extern const struct kind kind_key;
extern const struct kind kind_write;

/* In kind_role: what the answer to ROLE says. */
enum role_wanted role_of(const struct reply *reply);

#endif

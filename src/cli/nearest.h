/* nearest: which of the known words was meant by a mistyped one. */
#ifndef CLI_NEAREST_H
#define CLI_NEAREST_H

struct nearest {
    const char *text;
    const char *best; /* borrowed from the caller of nearest_offer() */
    unsigned distance;
};

struct nearest nearest_to(const char *text);
void nearest_offer(struct nearest *nearest, const char *word);

/* The word offered that is nearest to the text; NULL when none is near enough to be meant. */
const char *nearest_found(const struct nearest *nearest);

#endif

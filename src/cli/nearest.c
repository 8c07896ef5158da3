#include "cli/nearest.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

enum { WORD_MOST = 47 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* How many letters to add, drop, change or swap with their neighbour (Damerau, restricted). */
static unsigned distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    unsigned rows[3][WORD_MOST + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];

    if (na > WORD_MOST || nb > WORD_MOST)
        return UINT_MAX;
    for (unsigned j = 0; j <= nb; j++)
        last[j] = j;
    for (unsigned i = 1; i <= na; i++) {
        row[0] = i;
        for (unsigned j = 1; j <= nb; j++) {
            unsigned change = a[i - 1] != b[j - 1];

            row[j] = least(last[j - 1] + change, least(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        unsigned *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[nb];
}

struct nearest nearest_to(const char *text)
{
    return (struct nearest){.text = text, .best = NULL, .distance = UINT_MAX};
}

void nearest_offer(struct nearest *nearest, const char *word)
{
    unsigned d = distance(nearest->text, word);

    /* The beginning of a word means that word: "stat", "ev". */
    if (nearest->text[0] != '\0' && strncmp(word, nearest->text, strlen(nearest->text)) == 0)
        d = 1;
    if (d < nearest->distance) {
        nearest->distance = d;
        nearest->best = word;
    }
}

const char *nearest_found(const struct nearest *nearest)
{
    if (nearest->best == NULL)
        return NULL;
    /* Half of its letters wrong: another word. */
    return nearest->distance * 2 <= strlen(nearest->best) ? nearest->best : NULL;
}

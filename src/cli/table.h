/* table: columns that fit what is in them, for people. Cells may have a colour. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stdio.h>

enum { TABLE_COLUMNS = 12, TABLE_ROWS = 17 /* a heading and a service's endpoints */ };

enum colour { PLAIN, BOLD, DIM, GREEN, YELLOW, RED };

struct table {
    unsigned columns;
    unsigned rows;
    struct cell {
        char text[320];
        enum colour colour;
        bool right; /* numbers */
    } cells[TABLE_ROWS][TABLE_COLUMNS];
};

/* Begins the next row; cells are added from left to right. What does not fit is left out. */
void table_row(struct table *table);
void table_cell(struct table *table, enum colour colour, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, aligned to the right. */
void table_number(struct table *table, enum colour colour, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void table_print(const struct table *table, FILE *out, const char *indent, bool colours);

/* Escape sequences, or "" without colours. */
const char *colour_begin(enum colour colour, bool colours);
const char *colour_end(enum colour colour, bool colours);

/* Colours are for terminals whose user has not set NO_COLOR. */
bool colours_wanted(FILE *out);

#endif

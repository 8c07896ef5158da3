#include "cli/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

void table_row(struct table *table)
{
    table->rows++;
    table->columns = 0;
}

static struct cell *next_cell(struct table *table)
{
    if (table->rows == 0 || table->rows > TABLE_ROWS || table->columns == TABLE_COLUMNS)
        return NULL;
    return &table->cells[table->rows - 1][table->columns++];
}

static void fill(struct cell *cell, enum colour colour, bool right, const char *format,
                 va_list arguments) __attribute__((format(printf, 4, 0)));

static void fill(struct cell *cell, enum colour colour, bool right, const char *format,
                 va_list arguments)
{
    if (cell == NULL)
        return;
    vsnprintf(cell->text, sizeof cell->text, format, arguments);
    cell->colour = colour;
    cell->right = right;
}

void table_cell(struct table *table, enum colour colour, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fill(next_cell(table), colour, false, format, arguments);
    va_end(arguments);
}

void table_number(struct table *table, enum colour colour, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fill(next_cell(table), colour, true, format, arguments);
    va_end(arguments);
}

void table_print(const struct table *table, FILE *out, const char *indent, bool colours)
{
    unsigned rows = table->rows < TABLE_ROWS ? table->rows : TABLE_ROWS;
    int width[TABLE_COLUMNS] = {0};
    unsigned columns = 0;

    for (unsigned r = 0; r < rows; r++)
        for (unsigned c = 0; c < TABLE_COLUMNS; c++) {
            int length = (int)strlen(table->cells[r][c].text);

            if (length > 0 && c >= columns)
                columns = c + 1;
            if (length > width[c])
                width[c] = length;
        }
    for (unsigned r = 0; r < rows; r++) {
        fputs(indent, out);
        for (unsigned c = 0; c < columns; c++) {
            const struct cell *cell = &table->cells[r][c];
            int padding = width[c] - (int)strlen(cell->text);
            bool last = c + 1 == columns;

            fprintf(out, "%s%*s%s%s%s%*s", c == 0 ? "" : "  ", cell->right ? padding : 0, "",
                    colour_begin(cell->colour, colours), cell->text,
                    colour_end(cell->colour, colours), cell->right || last ? 0 : padding, "");
        }
        fputc('\n', out);
    }
}

const char *colour_begin(enum colour colour, bool colours)
{
    if (!colours)
        return "";
    switch (colour) {
    case BOLD:
        return "\033[1m";
    case DIM:
        return "\033[2m";
    case GREEN:
        return "\033[32m";
    case YELLOW:
        return "\033[33m";
    case RED:
        return "\033[31m";
    case PLAIN:
        break;
    }
    return "";
}

const char *colour_end(enum colour colour, bool colours)
{
    return colours && colour != PLAIN ? "\033[0m" : "";
}

bool colours_wanted(FILE *out)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fileno(out)) && (no_color == NULL || no_color[0] == '\0') && term != NULL &&
           !text_equal(term, "dumb");
}

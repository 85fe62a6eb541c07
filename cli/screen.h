/*
 * A terminal's picture in memory: rows and columns of printable ASCII with a style each. What is drawn can be
 * looked at by a test; cli/top.c alone brings it to a terminal. One thread.
 */
#ifndef WEFT_CLI_SCREEN_H
#define WEFT_CLI_SCREEN_H

#include <stdbool.h>

#include "cli/terminal.h"

enum { SCREEN_ROWS_MAX = 500 };

struct screen_cell {
    char shown;
    unsigned char style; /* enum terminal_style */
    bool is_reversed;
};

struct screen {
    unsigned rows;
    unsigned columns;
    struct screen_cell *cells;
};

/* At most SCREEN_ROWS_MAX × TERMINAL_COLUMNS_MAX. False without memory: the screen is as before. */
bool screen_resize(struct screen *screen, unsigned rows, unsigned columns);
void screen_free(struct screen *screen);

void screen_clear(struct screen *screen);

/* Writes text of any origin, inert, from a column on; what does not fit on the row is cut. Returns the column
 * behind it. */
unsigned screen_put(
    struct screen *screen, unsigned row, unsigned column, enum terminal_style style, const char *text);

/* A whole row in reverse video, or in one style. */
void screen_reverse(struct screen *screen, unsigned row);
void screen_restyle(struct screen *screen, unsigned row, enum terminal_style style);

/* The cell; row and column are inside. */
const struct screen_cell *screen_at(const struct screen *screen, unsigned row, unsigned column);

#endif

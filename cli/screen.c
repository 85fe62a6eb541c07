/* See screen.h. */
#include "cli/screen.h"

#include <stdlib.h>

#include "cli/plain_text.h"

bool screen_resize(struct screen *screen, unsigned rows, unsigned columns)
{
    rows = rows > SCREEN_ROWS_MAX ? (unsigned)SCREEN_ROWS_MAX : rows;
    columns = columns > TERMINAL_COLUMNS_MAX ? (unsigned)TERMINAL_COLUMNS_MAX : columns;
    struct screen_cell *cells = calloc((size_t)rows * columns + 1, sizeof *cells);

    if (cells == NULL) {
        return false;
    }
    struct screen made = {.rows = rows, .columns = columns, .cells = cells};
    screen_clear(&made);
    free(screen->cells);
    *screen = made;
    return true;
}

void screen_free(struct screen *screen)
{
    free(screen->cells);
    *screen = (struct screen){.cells = NULL};
}

void screen_clear(struct screen *screen)
{
    for (size_t i = 0; i < (size_t)screen->rows * screen->columns; i++) {
        screen->cells[i] = (struct screen_cell){.shown = ' ', .style = STYLE_PLAIN};
    }
}

unsigned screen_put(
    struct screen *screen, unsigned row, unsigned column, enum terminal_style style, const char *text)
{
    char shown[TERMINAL_COLUMNS_MAX + 1];

    if (row >= screen->rows || column >= screen->columns) {
        return column;
    }
    unsigned length = plain_text_cut(shown, text, screen->columns - column);
    struct screen_cell *cells = &screen->cells[(size_t)row * screen->columns + column];
    for (unsigned i = 0; i < length; i++) {
        cells[i] = (struct screen_cell){.shown = shown[i], .style = (unsigned char)style};
    }
    return column + length;
}

void screen_reverse(struct screen *screen, unsigned row)
{
    for (unsigned i = 0; row < screen->rows && i < screen->columns; i++) {
        screen->cells[(size_t)row * screen->columns + i].is_reversed = true;
    }
}

void screen_restyle(struct screen *screen, unsigned row, enum terminal_style style)
{
    for (unsigned i = 0; row < screen->rows && i < screen->columns; i++) {
        screen->cells[(size_t)row * screen->columns + i].style = (unsigned char)style;
    }
}

const struct screen_cell *screen_at(const struct screen *screen, unsigned row, unsigned column)
{
    return &screen->cells[(size_t)row * screen->columns + column];
}

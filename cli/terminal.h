/* What is known of standard output: how large it is and whether it shows colours. */
#ifndef WEFT_CLI_TERMINAL_H
#define WEFT_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

enum { TERMINAL_COLUMNS = 100, TERMINAL_COLUMNS_MIN = 40, TERMINAL_COLUMNS_MAX = 500 };

enum terminal_style { STYLE_PLAIN, STYLE_ERROR, STYLE_FAINT, STYLE_STRONG };

struct terminal {
    unsigned rows;    /* of the terminal; 0: standard output is none */
    unsigned columns; /* of the terminal, else of COLUMNS, else TERMINAL_COLUMNS */
    bool has_colours; /* a terminal, TERM is not dumb, and NO_COLOR (no-color.org) not set or empty */
};

struct terminal terminal_look(void);

/* Begins a style, or ends it with STYLE_PLAIN; nothing without colours. */
void terminal_style(const struct terminal *terminal, enum terminal_style style);

/* As cli/units.h writes it, right-aligned in `columns`. */
void terminal_duration(double seconds, int columns);

#endif

/*
 * A row of traffic as cells: which columns fit a width, and what stands in each. `weft stat` and `weft edges`
 * print them, `weft top` draws them. Every cell is inert: printable ASCII. One thread.
 */
#ifndef WEFT_CLI_TRAFFIC_TABLE_H
#define WEFT_CLI_TRAFFIC_TABLE_H

#include <stdio.h>

#include "cli/terminal.h"
#include "cli/traffic.h"

enum { TABLE_COLUMNS_MAX = 16, TABLE_CELL_BYTES = TERMINAL_COLUMNS_MAX + 1 };

struct table_column; /* what it shows: traffic_table.c */

/* Columns from left to right; a space is between two. */
struct table_layout {
    size_t count;
    const struct table_column *columns[TABLE_COLUMNS_MAX];
    unsigned widths[TABLE_COLUMNS_MAX];
};

/* Which names a row has: its destination, its route, its source; any of them. */
struct table_names {
    bool has_source;
    bool has_destination;
    bool has_route;
    bool has_caller; /* the busiest */
};

struct table_layout table_layout_of(struct table_names names, unsigned columns);

/* Fills `text` to exactly the column's width, names from the left, figures from the right. `row` NULL: the
 * title. Returns how it is to be shown. */
enum terminal_style table_cell(const struct table_layout *layout, size_t column,
    const struct traffic_row *row, char text[static TABLE_CELL_BYTES]);

/* Whether it is the column by which --sort `sort` orders. */
bool table_is_sorted_by(const struct table_layout *layout, size_t column, const char *sort);

/* A title, then at most rows_max of the rows of an answer of /api/v1/top, and how many more there are. */
void table_print(FILE *to, const struct terminal *terminal, const struct table_layout *layout,
    const json_t *answer, size_t rows_max);

/* "cart.shop" of cart in namespace shop, "cart" where the namespace is not known; as it came: not inert. */
void table_full_name(char *text, size_t text_bytes, const char *name, const char *name_space);

#endif

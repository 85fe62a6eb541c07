/* See traffic_table.h. */
#include "cli/traffic_table.h"

#include <string.h>

#include "cli/plain_text.h"
#include "cli/units.h"

enum { NAME_BYTES_SHOWN = 2 * TABLE_CELL_BYTES, NAME_COLUMNS_MIN = 4, THREE_NAMES_FROM = 100 };

enum column_kind {
    COLUMN_SOURCE,
    COLUMN_DESTINATION,
    COLUMN_ROUTE,
    COLUMN_CALLER,
    COLUMN_REPORTER,
    COLUMN_RATE,
    COLUMN_FAILED,
    COLUMN_OUTCOME,
    COLUMN_QUANTILE,
};

struct table_column {
    const char *title;
    enum column_kind kind;
    size_t at;      /* which outcome or quantile */
    unsigned width; /* 0: what is left, in parts */
    unsigned parts; /* of what is left */
    unsigned from;  /* shown on this many columns and more */
    const char *sort;
};

static const struct table_column columns[] = {
    {.title = "SOURCE", .kind = COLUMN_SOURCE, .parts = 3, .sort = ""},
    {.title = "DESTINATION", .kind = COLUMN_DESTINATION, .parts = 3, .sort = "name"},
    {.title = "ROUTE", .kind = COLUMN_ROUTE, .parts = 4, .sort = ""},
    {.title = "REPORTER", .kind = COLUMN_REPORTER, .width = 11, .from = 130, .sort = ""},
    {.title = "RATE/s", .kind = COLUMN_RATE, .width = 6, .sort = "rate"},
    {.title = "FAIL%", .kind = COLUMN_FAILED, .width = 5, .sort = "failed"},
    {.title = "5XX%",
        .kind = COLUMN_OUTCOME,
        .at = TRAFFIC_SERVER_ERROR,
        .width = 5,
        .from = 112,
        .sort = ""},
    {.title = "NONE%",
        .kind = COLUMN_OUTCOME,
        .at = TRAFFIC_NO_RESPONSE,
        .width = 5,
        .from = 112,
        .sort = ""},
    {.title = "4XX%", .kind = COLUMN_OUTCOME, .at = TRAFFIC_CLIENT_ERROR, .width = 5, .sort = ""},
    {.title = "CANC%", .kind = COLUMN_OUTCOME, .at = TRAFFIC_CANCELLED, .width = 5, .from = 120, .sort = ""},
    {.title = "P50", .kind = COLUMN_QUANTILE, .at = 0, .width = 6, .sort = "p50"},
    {.title = "P90", .kind = COLUMN_QUANTILE, .at = 1, .width = 6, .sort = "p90"},
    {.title = "P99", .kind = COLUMN_QUANTILE, .at = 2, .width = 6, .sort = "p99"},
    {.title = "P99.9", .kind = COLUMN_QUANTILE, .at = 3, .width = 6, .sort = "p99.9"},
    {.title = "BUSIEST CALLER", .kind = COLUMN_CALLER, .parts = 2, .sort = ""},
};

static bool is_shown(const struct table_column *column, struct table_names names, unsigned width)
{
    switch (column->kind) {
    case COLUMN_SOURCE:
        return names.has_source;
    case COLUMN_DESTINATION:
        return names.has_destination;
    case COLUMN_ROUTE:
        return names.has_route;
    case COLUMN_CALLER:
        return names.has_caller && (width >= THREE_NAMES_FROM || !names.has_destination || !names.has_route);
    default:
        return width >= column->from;
    }
}

/* What figures and gaps leave is for the names, the last of which takes the remainder. */
static void spread_names(struct table_layout *layout, unsigned total)
{
    unsigned used = layout->count > 0 ? (unsigned)layout->count - 1 : 0;
    unsigned parts = 0;

    for (size_t i = 0; i < layout->count; i++) {
        used += layout->columns[i]->width;
        parts += layout->columns[i]->parts;
    }
    unsigned left = total > used ? total - used : 0;
    for (size_t i = 0; i < layout->count; i++) {
        unsigned part = layout->columns[i]->parts;
        if (part == 0) {
            continue;
        }
        unsigned width = left * part / parts;
        layout->widths[i] = width > NAME_COLUMNS_MIN ? width : (unsigned)NAME_COLUMNS_MIN;
        left -= width;
        parts -= part;
    }
}

struct table_layout table_layout_of(struct table_names names, unsigned total)
{
    struct table_layout layout = {.count = 0};

    total = total > TERMINAL_COLUMNS_MAX ? (unsigned)TERMINAL_COLUMNS_MAX : total;
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        if (is_shown(&columns[i], names, total)) {
            layout.columns[layout.count] = &columns[i];
            layout.widths[layout.count++] = columns[i].width;
        }
    }
    spread_names(&layout, total);
    return layout;
}

void table_full_name(char *text, size_t text_bytes, const char *name, const char *name_space)
{
    bool is_told = name_space[0] != '\0' && strcmp(name_space, "unknown") != 0;

    (void)snprintf(text, text_bytes, "%s%s%s", name, is_told ? "." : "", is_told ? name_space : "");
}

/* ---- cells ---- */

static void put_name(char *text, unsigned width, const char *name, const char *name_space)
{
    char full[NAME_BYTES_SHOWN];

    table_full_name(full, sizeof full, name, name_space);
    plain_text_fill(text, full, width);
}

static void put_figure(char *text, unsigned width, const char *figure)
{
    (void)snprintf(text, TABLE_CELL_BYTES, "%*.*s", (int)width, (int)width, figure);
}

static double sum_of(const struct traffic_row *row)
{
    double sum = 0;

    for (size_t i = 0; i < TRAFFIC_OUTCOME_COUNT; i++) {
        sum += row->outcomes[i];
    }
    return sum;
}

static enum terminal_style put_value(
    const struct table_column *column, const struct traffic_row *row, unsigned width, char *text)
{
    char figure[UNITS_BYTES] = "-";
    double failed = traffic_failed(row->outcomes);

    switch (column->kind) {
    case COLUMN_SOURCE:
        put_name(text, width, row->source, row->source_namespace);
        return STYLE_PLAIN;
    case COLUMN_DESTINATION:
        put_name(text, width, row->destination, row->destination_namespace);
        return STYLE_PLAIN;
    case COLUMN_ROUTE:
        plain_text_fill(text, row->route, width);
        return STYLE_PLAIN;
    case COLUMN_CALLER:
        put_name(text, width, row->caller[0] != '\0' ? row->caller : "-", row->caller_namespace);
        return STYLE_PLAIN;
    case COLUMN_REPORTER:
        plain_text_fill(text, strcmp(row->origin, "scrape") == 0 ? "scrape" : row->reporter, width);
        return STYLE_PLAIN;
    case COLUMN_RATE:
        units_number(row->covered_seconds > 0 ? row->requests / row->covered_seconds : 0, figure);
        break;
    case COLUMN_FAILED:
        units_percent(failed, sum_of(row), figure);
        put_figure(text, width, figure);
        return failed > 0 ? STYLE_ERROR : STYLE_PLAIN;
    case COLUMN_OUTCOME:
        units_percent(row->outcomes[column->at], sum_of(row), figure);
        break;
    case COLUMN_QUANTILE:
        units_duration(row->quantile_seconds[column->at], figure);
        break;
    }
    put_figure(text, width, figure);
    return STYLE_PLAIN;
}

enum terminal_style table_cell(const struct table_layout *layout, size_t column,
    const struct traffic_row *row, char text[static TABLE_CELL_BYTES])
{
    const struct table_column *shown = layout->columns[column];
    unsigned width = layout->widths[column];

    if (row != NULL) {
        return put_value(shown, row, width, text);
    }
    if (shown->parts > 0 || shown->kind == COLUMN_REPORTER) {
        plain_text_fill(text, shown->title, width);
    } else {
        put_figure(text, width, shown->title);
    }
    return STYLE_STRONG;
}

bool table_is_sorted_by(const struct table_layout *layout, size_t column, const char *sort)
{
    return strcmp(layout->columns[column]->sort, sort != NULL ? sort : "rate") == 0;
}

/* Lines do not end in blanks. */
static void cut_blanks(char *text)
{
    size_t length = strlen(text);

    while (length > 0 && text[length - 1] == ' ') {
        text[--length] = '\0';
    }
}

static void print_row(FILE *to, const struct terminal *terminal, const struct table_layout *layout,
    const struct traffic_row *row)
{
    char text[TABLE_CELL_BYTES];

    for (size_t i = 0; i < layout->count; i++) {
        enum terminal_style style = table_cell(layout, i, row, text);
        if (i > 0) {
            fputc(' ', to);
        }
        if (i + 1 == layout->count) {
            cut_blanks(text);
        }
        if (style != STYLE_PLAIN) {
            terminal_style(terminal, style);
        }
        fputs(text, to);
        if (style != STYLE_PLAIN) {
            terminal_style(terminal, STYLE_PLAIN);
        }
    }
    fputc('\n', to);
}

void table_print(FILE *to, const struct terminal *terminal, const struct table_layout *layout,
    const json_t *answer, size_t rows_max)
{
    const json_t *rows = json_object_get(answer, "rows");
    double all = json_number_value(json_object_get(json_object_get(answer, "totals"), "rows"));
    size_t count = json_array_size(rows) < rows_max ? json_array_size(rows) : rows_max;

    print_row(to, terminal, layout, NULL);
    for (size_t i = 0; i < count; i++) {
        struct traffic_row row = traffic_row_of(json_array_get(rows, i));
        print_row(to, terminal, layout, &row);
    }
    if (json_array_size(rows) == 0 && !(all > 0)) {
        fputs("no requests in this window\n", to);
    } else if (all > (double)count) {
        fprintf(to, "... and %.0f more%s\n", all - (double)count,
            json_array_size(rows) > count ? "" : "; --limit shows more of them");
    }
}

/* The picture of `weft top`: top_model.h. Everything goes through screen_put or table_cell, so that no name
 * reaches the terminal as it came. */
#include <stdio.h>
#include <string.h>

#include "cli/top_model.h"
#include "cli/traffic_table.h"
#include "cli/units.h"

enum { LINE_BYTES = 512, NAME_BYTES_SHOWN = 200 };

static const char *const help_lines[] = {
    "weft top: the mesh live, as services' callers see it, in a rolling window",
    "",
    "  Up Down PgUp PgDn Home End    select a row (also j k g G)",
    "  Enter Right                   into it: a service's routes, a route's callers",
    "  c                             a service's callers, with latencies",
    "  r                             the routes of all services",
    "  Esc Backspace Left            back",
    "  s S                           sort by the next, the previous column",
    "  w W                           a longer, a shorter window: 10s 1m 5m 15m 1h",
    "  /                             filter: part of a name; Enter applies it",
    "  o                             who tells: source, destination or waypoint",
    "  Space                         pause",
    "  h ?                           this help",
    "  q Ctrl-C                      quit",
    "",
    "RATE/s requests a second, FAIL% server errors and no response, 4XX% client",
    "errors. Latencies are within 1.1 %. Callers of one route are of the last 30 to",
    "60 s, without latencies. A name that does not fit ends in ~; what is not",
    "printable ASCII is shown as ?. weft stat and weft edges print the same tables;",
    "weft why SERVICE tells why one is slow.",
    "",
    "any key: back",
};

static void put_right(
    struct screen *screen, unsigned row, enum terminal_style style, const char *text, unsigned after)
{
    unsigned length = (unsigned)strlen(text);

    if (length + after < screen->columns) {
        (void)screen_put(screen, row, screen->columns - length, style, text);
    }
}

/* ---- head ---- */

static void draw_totals(const struct top *top, double now_unix_s, struct screen *screen)
{
    static const char *const things[] = {
        [TOP_SERVICES] = "services", [TOP_ROUTES] = "routes", [TOP_CALLERS] = "callers"};
    const json_t *totals = json_object_get(top->answer, "totals");
    double covered_s = json_number_value(json_object_get(totals, "covered_seconds"));
    double requests = json_number_value(json_object_get(totals, "requests"));
    double outcomes[TRAFFIC_OUTCOME_COUNT];
    char rate[UNITS_BYTES];
    char failed[UNITS_BYTES];
    char time_text[UNITS_BYTES];
    char line[LINE_BYTES];

    traffic_outcomes(totals, outcomes);
    units_number(covered_s > 0 ? requests / covered_s : 0, rate);
    units_percent(traffic_failed(outcomes), requests, failed);
    units_time_of_day(now_unix_s, time_text);
    unsigned column = screen_put(screen, 0, 0, STYLE_STRONG, "weft top");
    (void)snprintf(
        line, sizeof line, "  last %s  by %s", traffic_windows[top->window], traffic_sorts[top->sort]);
    column = screen_put(screen, 0, column, STYLE_PLAIN, line);
    if (top->answer != NULL) {
        (void)snprintf(line, sizeof line, "  %zu %s  %s/s  %s%% failed", top_row_total(top),
            things[top_place(top)->level], rate, failed);
        column = screen_put(screen, 0, column, STYLE_PLAIN, line);
    }
    if (top->is_paused) {
        column = screen_put(screen, 0, column, STYLE_STRONG, "  PAUSED");
    }
    put_right(screen, 0, STYLE_PLAIN, time_text, column);
}

static void draw_place(const struct top *top, struct screen *screen)
{
    static const char *const names[] = {"", "source", "destination", "waypoint"};
    const struct top_place *place = top_place(top);
    char name[NAME_BYTES_SHOWN] = "all services";
    char line[LINE_BYTES];

    if (place->service != NULL) {
        table_full_name(
            name, sizeof name, place->service, place->name_space != NULL ? place->name_space : "");
    }
    unsigned column = screen_put(screen, 1, 0, STYLE_STRONG, name);
    if (place->route != NULL) {
        (void)snprintf(line, sizeof line, " > %.150s", place->route);
        column = screen_put(screen, 1, column, STYLE_STRONG, line);
    }
    if (place->level != TOP_SERVICES) {
        column = screen_put(screen, 1, column, STYLE_PLAIN,
            place->level == TOP_ROUTES ? " > routes"
            : place->route == NULL     ? " > callers"
                                       : " > callers in the last 30 to 60 s");
    }
    if (top->filter[0] != '\0') {
        column = screen_put(screen, 1, column, STYLE_PLAIN, "  filter: ");
        column = screen_put(screen, 1, column, STYLE_STRONG, top->filter);
    }
    if (top->reporter > 0) {
        (void)snprintf(line, sizeof line, "  as told by: %s", names[top->reporter]);
        (void)screen_put(screen, 1, column, STYLE_PLAIN, line);
    }
}

/* ---- list ---- */

static struct table_layout layout_of(const struct top *top)
{
    const struct top_place *place = top_place(top);
    struct table_names names = {
        .has_source = place->level == TOP_CALLERS,
        .has_destination =
            place->level == TOP_SERVICES || (place->level == TOP_ROUTES && place->service == NULL),
        .has_route = place->level == TOP_ROUTES,
        .has_caller = place->level != TOP_CALLERS,
    };

    return table_layout_of(names, top->columns);
}

static void draw_row(
    struct screen *screen, unsigned at, const struct table_layout *layout, const struct traffic_row *row)
{
    char text[TABLE_CELL_BYTES];
    unsigned column = 0;

    for (size_t i = 0; i < layout->count; i++) {
        enum terminal_style style = table_cell(layout, i, row, text);
        (void)screen_put(screen, at, column, style, text);
        column += layout->widths[i] + 1;
    }
}

/* The column that is sorted by is marked by where its title is not reversed. */
static void draw_titles(const struct top *top, const struct table_layout *layout, struct screen *screen)
{
    unsigned row = TOP_HEAD_ROWS - 1;
    unsigned column = 0;

    draw_row(screen, row, layout, NULL);
    screen_reverse(screen, row);
    for (size_t i = 0; i < layout->count; i++) {
        bool is_sorted = table_is_sorted_by(layout, i, traffic_sorts[top->sort]);
        for (unsigned c = column; is_sorted && c < column + layout->widths[i] && c < screen->columns; c++) {
            screen->cells[(size_t)row * screen->columns + c].is_reversed = false;
        }
        column += layout->widths[i] + 1;
    }
}

static void draw_list(const struct top *top, struct screen *screen)
{
    const struct top_place *place = top_place(top);
    const json_t *rows = json_object_get(top->answer, "rows");
    struct table_layout layout = layout_of(top);

    draw_titles(top, &layout, screen);
    for (size_t i = 0; i < top_list_rows(top) && place->first + i < json_array_size(rows); i++) {
        unsigned at = (unsigned)(TOP_HEAD_ROWS + i);
        struct traffic_row row = traffic_row_of(json_array_get(rows, place->first + i));
        draw_row(screen, at, &layout, &row);
        if (top->trouble[0] != '\0') {
            screen_restyle(screen, at, STYLE_FAINT);
        }
        if (place->first + i == place->selected) {
            screen_reverse(screen, at);
        }
    }
    if (top->answer == NULL && top->trouble[0] == '\0') {
        (void)screen_put(screen, TOP_HEAD_ROWS, 0, STYLE_FAINT, "asking the agent");
    } else if (top->answer != NULL && json_array_size(rows) == 0) {
        (void)screen_put(screen, TOP_HEAD_ROWS, 0, STYLE_FAINT,
            top->filter[0] != '\0' ? "nothing in this window that fits the filter"
                                   : "no requests in this window");
    }
}

/* ---- foot ---- */

static void draw_foot(const struct top *top, double now_unix_s, struct screen *screen)
{
    char line[LINE_BYTES];
    char since[UNITS_BYTES];
    unsigned row = screen->rows - 1;

    if (top->is_editing) {
        unsigned column = screen_put(screen, row, 0, STYLE_STRONG, "filter: ");
        column = screen_put(screen, row, column, STYLE_PLAIN, top->edited);
        (void)screen_put(screen, row, column, STYLE_PLAIN, "_");
    } else if (top->trouble[0] != '\0') {
        units_time_of_day(top->trouble_since_unix_s, since);
        (void)snprintf(line, sizeof line, "no answer since %s, asking again: %s", since, top->trouble);
        (void)screen_put(screen, row, 0, STYLE_ERROR, line);
    } else if (now_unix_s < top->notice_until_unix_s) {
        (void)screen_put(screen, row, 0, STYLE_STRONG, top->notice);
    } else {
        (void)screen_put(screen, row, 0, STYLE_FAINT,
            top_place(top)->level == TOP_SERVICES
                ? "Enter routes  c callers  / filter  s sort  w window  space pause  h help  q quit"
            : top_place(top)->level == TOP_ROUTES
                ? "Enter callers  Esc back  / filter  s sort  w window  space pause  h help  q quit"
                : "Esc back  / filter  s sort  w window  space pause  h help  q quit");
    }
}

void top_draw(const struct top *top, double now_unix_s, struct screen *screen)
{
    screen_clear(screen);
    if (screen->rows < TOP_ROWS_MIN || screen->columns < TOP_COLUMNS_MIN) {
        (void)screen_put(screen, 0, 0, STYLE_PLAIN, "too small a terminal; q quits");
        return;
    }
    if (top->shows_help) {
        for (unsigned i = 0; i < sizeof help_lines / sizeof help_lines[0]; i++) {
            (void)screen_put(screen, i, 0, STYLE_PLAIN, help_lines[i]);
        }
        return;
    }
    draw_totals(top, now_unix_s, screen);
    draw_place(top, screen);
    draw_list(top, screen);
    draw_foot(top, now_unix_s, screen);
}

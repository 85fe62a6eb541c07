/* State, keys and questions of `weft top`: top_model.h. Drawing is in top_draw.c. */
#include "cli/top_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/plain_text.h"
#include "cli/units.h"

static const char *const reporters[] = {NULL, "source", "destination", "waypoint"};
enum { REPORTER_CHOICES = sizeof reporters / sizeof reporters[0], TOP_LIMIT_MAX = 1000 };

static struct top_place *place_of(struct top *top)
{
    return &top->places[top->depth];
}

static size_t index_of(const char *const *words, const char *word, size_t unless)
{
    for (size_t i = 0; word != NULL && words[i] != NULL; i++) {
        if (strcmp(words[i], word) == 0) {
            return i;
        }
    }
    return unless;
}

static void clear_place(struct top_place *place)
{
    free(place->service);
    free(place->name_space);
    free(place->route);
    *place = (struct top_place){.service = NULL};
}

static char *copy_of(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

/* Fills a place; false without memory, then it is empty. */
static bool set_place(struct top_place *place, enum top_level level, const char *service,
    const char *name_space, const char *route)
{
    clear_place(place);
    *place = (struct top_place){.level = level,
        .service = copy_of(service),
        .name_space = copy_of(name_space),
        .route = copy_of(route)};
    if ((service != NULL && place->service == NULL) || (name_space != NULL && place->name_space == NULL) ||
        (route != NULL && place->route == NULL)) {
        clear_place(place);
        return false;
    }
    return true;
}

bool top_init(struct top *top, const struct traffic_filters *given)
{
    bool has_place = given->service != NULL || given->route != NULL;

    *top = (struct top){
        .given = *given,
        .window = index_of(traffic_windows, given->window, 1),
        .sort = index_of(traffic_sorts, given->sort, 0),
    };
    for (size_t i = 1; given->reporter != NULL && i < REPORTER_CHOICES; i++) {
        if (strcmp(reporters[i], given->reporter) == 0) {
            top->reporter = i;
        }
    }
    if (given->match != NULL) {
        (void)plain_text_cut(top->filter, given->match, TOP_FILTER_BYTES - 1);
    }
    return set_place(&top->places[0], has_place ? TOP_ROUTES : TOP_SERVICES, given->service,
        has_place ? given->name_space : NULL, given->route);
}

void top_deinit(struct top *top)
{
    for (size_t i = 0; i < TOP_LEVEL_COUNT; i++) {
        clear_place(&top->places[i]);
    }
    json_decref(top->answer);
    top->answer = NULL;
}

/* ---- rows ---- */

size_t top_list_rows(const struct top *top)
{
    return top->rows > TOP_HEAD_ROWS + TOP_FOOT_ROWS ? top->rows - TOP_HEAD_ROWS - TOP_FOOT_ROWS : 1;
}

size_t top_row_count(const struct top *top)
{
    return json_array_size(json_object_get(top->answer, "rows"));
}

size_t top_row_total(const struct top *top)
{
    json_int_t total = json_integer_value(json_object_get(json_object_get(top->answer, "totals"), "rows"));
    size_t count = top_row_count(top);

    return total > 0 && (size_t)total > count ? (size_t)total : count;
}

/* The selection is a row, and the row is on the screen. */
static void settle_selection(struct top *top)
{
    struct top_place *place = place_of(top);
    size_t total = top_row_total(top);
    size_t visible = top_list_rows(top);

    total = total > TOP_LIMIT_MAX ? (size_t)TOP_LIMIT_MAX : total;
    if (top->answer != NULL && place->selected >= total) {
        place->selected = total > 0 ? total - 1 : 0;
    }
    if (place->selected < place->first) {
        place->first = place->selected;
    }
    if (place->selected >= place->first + visible) {
        place->first = place->selected + 1 - visible;
    }
    if (place->selected >= top_row_count(top) && top->answer != NULL && place->selected < total) {
        top->wants_answer = true; /* it was not asked for yet */
    }
}

void top_resize(struct top *top, unsigned rows, unsigned columns)
{
    top->rows = rows;
    top->columns = columns;
    top->wants_answer = true; /* there may be room for more */
    settle_selection(top);
}

static bool is_same_row(const struct traffic_row *a, const struct traffic_row *b)
{
    return strcmp(a->destination, b->destination) == 0 &&
           strcmp(a->destination_namespace, b->destination_namespace) == 0 &&
           strcmp(a->route, b->route) == 0 && strcmp(a->source, b->source) == 0 &&
           strcmp(a->source_namespace, b->source_namespace) == 0;
}

/* Where the selected row of the old answer is in the new one; its old place when it is gone. */
static size_t follow(const struct top *top, const json_t *answer)
{
    size_t selected = top_place(top)->selected;
    const json_t *rows = json_object_get(answer, "rows");
    const json_t *old = json_array_get(json_object_get(top->answer, "rows"), selected);

    if (old == NULL || !top->follows) {
        return selected;
    }
    struct traffic_row wanted = traffic_row_of(old);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        struct traffic_row row = traffic_row_of(json_array_get(rows, i));
        if (is_same_row(&wanted, &row)) {
            return i;
        }
    }
    return selected;
}

/* ---- places ---- */

static void drop_answer(struct top *top)
{
    json_decref(top->answer);
    top->answer = NULL;
    top->follows = false;
    top->wants_answer = true;
}

static void go_down(
    struct top *top, enum top_level level, const char *service, const char *name_space, const char *route)
{
    if (top->depth + 1 < TOP_LEVEL_COUNT &&
        set_place(&top->places[top->depth + 1], level, service, name_space, route)) {
        top->depth++;
        drop_answer(top);
    }
}

static void go_up(struct top *top)
{
    if (top->depth > 0) {
        clear_place(place_of(top));
        top->depth--;
        drop_answer(top);
    } else if (top->filter[0] != '\0') {
        top->filter[0] = '\0';
        top->wants_answer = true;
    }
}

/* Into the selected row: a service's routes, a route's callers; `to_callers`: past the routes. */
static void enter(struct top *top, bool to_callers)
{
    const struct top_place *place = top_place(top);
    const json_t *from = json_array_get(json_object_get(top->answer, "rows"), place->selected);

    if (from == NULL || place->level == TOP_CALLERS) {
        return;
    }
    struct traffic_row row = traffic_row_of(from);
    bool has_route = place->level == TOP_ROUTES && !to_callers;

    go_down(top, has_route || to_callers ? TOP_CALLERS : TOP_ROUTES, row.destination,
        row.destination_namespace, has_route ? row.route : NULL);
}

/* ---- keys ---- */

static void move(struct top *top, long by)
{
    struct top_place *place = place_of(top);

    if (by < 0) {
        place->selected -= (size_t)-by < place->selected ? (size_t)-by : place->selected;
    } else {
        place->selected += (size_t)by;
    }
    top->follows = place->selected > 0;
    settle_selection(top);
}

static bool press_move(struct top *top, int key)
{
    long page = (long)top_list_rows(top);

    switch (key) {
    case TOP_KEY_UP:
    case 'k':
        move(top, -1);
        return true;
    case TOP_KEY_DOWN:
    case 'j':
        move(top, 1);
        return true;
    case TOP_KEY_PAGE_UP:
        move(top, -page);
        return true;
    case TOP_KEY_PAGE_DOWN:
        move(top, page);
        return true;
    case TOP_KEY_HOME:
    case 'g':
        move(top, -TOP_LIMIT_MAX);
        return true;
    case TOP_KEY_END:
    case 'G':
        move(top, TOP_LIMIT_MAX);
        return true;
    default:
        return false;
    }
}

static size_t step(size_t at, size_t count, bool forward)
{
    return count > 0 ? (at + (forward ? 1 : count - 1)) % count : 0;
}

static size_t count_of(const char *const *words)
{
    size_t count = 0;

    while (words[count] != NULL) {
        count++;
    }
    return count;
}

/* What is shown, and in which order. */
static bool press_view(struct top *top, int key)
{
    struct top_place *place = place_of(top);

    switch (key) {
    case 's':
    case 'S':
    case '>':
    case '<':
        top->sort = step(top->sort, count_of(traffic_sorts), key == 's' || key == '>');
        break;
    case 'w':
    case 'W':
        top->window = step(top->window, count_of(traffic_windows), key == 'w');
        break;
    case 'o':
        top->reporter = step(top->reporter, REPORTER_CHOICES, true);
        break;
    default:
        return false;
    }
    place->selected = 0;
    place->first = 0;
    top->follows = false;
    top->wants_answer = true;
    return true;
}

static void press_place(struct top *top, int key)
{
    switch (key) {
    case TOP_KEY_ENTER:
    case '\r':
    case TOP_KEY_RIGHT:
        enter(top, false);
        break;
    case 'c':
        enter(top, true);
        break;
    case 'r':
        if (top->depth == 0 && top_place(top)->level == TOP_SERVICES) {
            go_down(top, TOP_ROUTES, NULL, NULL, NULL);
        }
        break;
    case TOP_KEY_ESCAPE:
    case TOP_KEY_BACKSPACE:
    case '\b':
    case TOP_KEY_LEFT:
        go_up(top);
        break;
    default:
        break;
    }
}

/* While the filter is typed, every printable character is part of it. */
static void press_filter(struct top *top, int key)
{
    size_t length = strlen(top->edited);

    if (key == TOP_KEY_ENTER || key == '\r') {
        memcpy(top->filter, top->edited, sizeof top->filter);
        top->is_editing = false;
        place_of(top)->selected = 0;
        place_of(top)->first = 0;
        top->follows = false;
        top->wants_answer = true;
    } else if (key == TOP_KEY_ESCAPE) {
        top->is_editing = false;
    } else if ((key == TOP_KEY_BACKSPACE || key == '\b') && length > 0) {
        top->edited[length - 1] = '\0';
    } else if (key == 'U' - '@') { /* Ctrl-U */
        top->edited[0] = '\0';
    } else if (key >= ' ' && key <= '~' && length + 1 < sizeof top->edited) {
        top->edited[length] = (char)key;
        top->edited[length + 1] = '\0';
    }
}

void top_press(struct top *top, int key)
{
    if (top->is_editing) {
        press_filter(top, key);
        return;
    }
    if (top->shows_help) {
        top->shows_help = false;
        top->quits = key == 'q';
        return;
    }
    switch (key) {
    case 'q':
        top->quits = true;
        return;
    case 'h':
    case '?':
        top->shows_help = true;
        return;
    case ' ':
        top->is_paused = !top->is_paused;
        top->wants_answer = !top->is_paused;
        return;
    case '/':
        top->is_editing = true;
        memcpy(top->edited, top->filter, sizeof top->edited);
        return;
    default:
        break;
    }
    if (!press_move(top, key) && !press_view(top, key)) {
        press_place(top, key);
    }
}

/* ---- question and answer ---- */

bool top_question(struct top *top, char path[static TRAFFIC_PATH_BYTES])
{
    static const enum traffic_by by[] = {[TOP_SERVICES] = TRAFFIC_BY_DESTINATION,
        [TOP_ROUTES] = TRAFFIC_BY_ROUTE,
        [TOP_CALLERS] = TRAFFIC_BY_EDGE};
    const struct top_place *place = top_place(top);
    size_t limit = place->first + top_list_rows(top);
    struct traffic_filters filters = {
        .window = traffic_windows[top->window],
        .sort = traffic_sorts[top->sort],
        .reporter = reporters[top->reporter],
        .match = top->filter[0] != '\0' ? top->filter : NULL,
        .route = place->route,
        .destination = place->service,
        .destination_namespace = place->service != NULL ? place->name_space : NULL,
        .name_space = place->service == NULL ? top->given.name_space : NULL,
        .limit = limit > TOP_LIMIT_MAX ? (unsigned long)TOP_LIMIT_MAX : (unsigned long)limit,
    };

    if (top->given.limit > 0 && filters.limit > top->given.limit) {
        filters.limit = top->given.limit;
    }
    unsigned age_ms_max = top->wants_answer ? TOP_AGE_KEY_MS : TOP_AGE_MS;

    top->wants_answer = false;
    return traffic_path(path, by[place->level], &filters, age_ms_max);
}

static void give_notice(struct top *top, double now_unix_s, const char *text)
{
    char time_text[UNITS_BYTES];

    units_time_of_day(now_unix_s, time_text);
    (void)snprintf(top->notice, sizeof top->notice, "%s %s", time_text, text);
    top->notice_until_unix_s = now_unix_s + TOP_NOTICE_SECONDS;
}

void top_take(struct top *top, json_t *answer, double now_unix_s)
{
    double start_unix_s = json_number_value(json_object_get(answer, "agent_start_unix_seconds"));
    bool began_anew = top->agent_start_unix_s > 0 && start_unix_s > top->agent_start_unix_s;

    if (began_anew) {
        give_notice(top, now_unix_s, "the agent was started anew: its windows begin there");
    } else if (top->trouble[0] != '\0') {
        give_notice(top, now_unix_s, "the agent answers again");
    }
    top->trouble[0] = '\0';
    top->agent_start_unix_s = start_unix_s;
    top->answered_unix_s = now_unix_s;
    place_of(top)->selected = follow(top, answer);
    json_decref(top->answer);
    top->answer = answer;
    settle_selection(top);
}

void top_fail(struct top *top, const char *reason, double now_unix_s)
{
    if (top->trouble[0] == '\0') {
        top->trouble_since_unix_s = now_unix_s;
    }
    (void)snprintf(top->trouble, sizeof top->trouble, "%.*s", (int)strcspn(reason, "\n"), reason);
}

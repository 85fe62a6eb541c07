/*
 * `weft top` without its terminal: what is looked at, what keys do, what to ask next, what came of it, and
 * how it is drawn. No input or output, so tests press keys and look at the picture. One thread.
 *
 *   services ──Enter──► routes of one ──Enter──► callers of one route        Esc, Backspace, ←: back
 *       └───────c────────► callers of one           r: the routes of all services
 */
#ifndef WEFT_CLI_TOP_MODEL_H
#define WEFT_CLI_TOP_MODEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "cli/screen.h"
#include "cli/traffic.h"

enum {
    TOP_FILTER_BYTES = 64,
    TOP_MESSAGE_BYTES = 256,
    TOP_ROWS_MIN = 8, /* a smaller terminal is told so */
    TOP_COLUMNS_MIN = 60,
    TOP_HEAD_ROWS = 3, /* totals, place, titles */
    TOP_FOOT_ROWS = 1,
    TOP_NOTICE_SECONDS = 10,
    TOP_AGE_MS = 900,      /* a round of flips this young will do: one that a scrape made, for instance */
    TOP_AGE_KEY_MS = 5000, /* after a key the same data in another order will do */
};

enum top_key {
    TOP_KEY_ENTER = '\n',
    TOP_KEY_ESCAPE = 27,
    TOP_KEY_BACKSPACE = 127,
    TOP_KEY_UP = 256,
    TOP_KEY_DOWN,
    TOP_KEY_LEFT,
    TOP_KEY_RIGHT,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_END,
};

enum top_level { TOP_SERVICES, TOP_ROUTES, TOP_CALLERS, TOP_LEVEL_COUNT };

/* Where one is: what was gone into, NULL for nothing, and the place to come back to. */
struct top_place {
    enum top_level level;
    char *service;
    char *name_space;
    char *route;
    size_t selected;
    size_t first; /* row at the top of the list */
};

struct top {
    struct traffic_filters given; /* by options; texts are borrowed */
    size_t window;                /* index of traffic_windows */
    size_t sort;                  /* of traffic_sorts */
    size_t reporter;              /* 0: who answers by default; else one of the three */
    char filter[TOP_FILTER_BYTES];
    char edited[TOP_FILTER_BYTES];
    bool is_editing;
    bool shows_help;
    bool is_paused;
    bool follows; /* the selection stays with its row, as it was moved */
    struct top_place places[TOP_LEVEL_COUNT];
    size_t depth; /* of the place shown */
    unsigned rows;
    unsigned columns;
    json_t *answer; /* the last of this place, or NULL */
    double agent_start_unix_s;
    double answered_unix_s;
    char trouble[TOP_MESSAGE_BYTES]; /* "": none */
    double trouble_since_unix_s;
    char notice[TOP_MESSAGE_BYTES];
    double notice_until_unix_s;
    bool wants_answer; /* a key changed the question */
    bool quits;
};

/* Begins at the service or route that the filters name. False without memory. */
bool top_init(struct top *top, const struct traffic_filters *given);
void top_deinit(struct top *top);

void top_resize(struct top *top, unsigned rows, unsigned columns);

/* An ASCII character or one of enum top_key. */
void top_press(struct top *top, int key);

/* The path to ask: only the rows that are shown; wants_answer is off again. False when the names are too
 * long. An answer to an earlier question may not be taken once a key has set wants_answer. */
bool top_question(struct top *top, char path[static TRAFFIC_PATH_BYTES]);

/* Takes the answer to top_question. An agent that began anew is noticed, and one that is back. */
void top_take(struct top *top, json_t *answer, double now_unix_s);

/* The question failed; what was known stays, marked as old. */
void top_fail(struct top *top, const char *reason, double now_unix_s);

void top_draw(const struct top *top, double now_unix_s, struct screen *screen);

/* How many rows of the list fit. */
size_t top_list_rows(const struct top *top);

/* The rows of the answer, and of all that the agent has. */
size_t top_row_count(const struct top *top);
size_t top_row_total(const struct top *top);

static inline const struct top_place *top_place(const struct top *top)
{
    return &top->places[top->depth];
}

#endif

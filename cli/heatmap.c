/* `weft heatmap SERVICE`: latency over time in the terminal, from /api/v1/heatmap. One thread. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/plain_text.h"
#include "cli/terminal.h"

enum {
    PATH_BYTES = 1024,
    COLUMN_COUNT_MAX = 64,
    INDEX_MIN = -80, /* buckets of scale 2: 2^-20 s … */
    INDEX_MAX = 48,  /* … 2^12 s */
    ROW_COUNT = INDEX_MAX - INDEX_MIN + 1,
    LABEL_COLUMNS = 9,
    COLUMN_WIDTH_MAX = 6,
};

struct heatmap_options {
    struct answer_options answer;
    const char *service;
    const char *window;
    const char *source;
    const char *route;
    const char *reporter;
};

static const char shades[] = " .:-=+*#%@";
enum { SHADE_COUNT = sizeof shades - 1 };

struct heatmap {
    const json_t *columns;
    size_t column_count;
    unsigned width;                             /* of a column */
    double counts[COLUMN_COUNT_MAX][ROW_COUNT]; /* row 0 also has what took no measurable time */
    double totals[COLUMN_COUNT_MAX];
    int first_row, last_row; /* with requests; first > last: none at all */
};

static double number_of(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static void add_count(struct heatmap *map, size_t column, int row, double count)
{
    if (count <= 0) {
        return;
    }
    row = row < 0 ? 0 : row >= ROW_COUNT ? ROW_COUNT - 1 : row;
    map->counts[column][row] += count;
    map->totals[column] += count;
    map->first_row = row < map->first_row ? row : map->first_row;
    map->last_row = row > map->last_row ? row : map->last_row;
}

static void read_column(struct heatmap *map, size_t column, const json_t *from)
{
    const json_t *buckets = json_object_get(from, "buckets");

    add_count(map, column, 0, number_of(from, "zero_count"));
    for (size_t i = 0; i < json_array_size(buckets); i++) {
        const json_t *bucket = json_array_get(buckets, i);
        double index = json_number_value(json_array_get(bucket, 0));
        index = index < INDEX_MIN ? INDEX_MIN : index > INDEX_MAX ? INDEX_MAX : index;
        add_count(map, column, (int)index - INDEX_MIN, json_number_value(json_array_get(bucket, 1)));
    }
}

static void read_answer(struct heatmap *map, const json_t *answer)
{
    const json_t *columns = json_object_get(answer, "columns");
    size_t count = json_array_size(columns);
    size_t skipped = count > COLUMN_COUNT_MAX ? count - COLUMN_COUNT_MAX : 0; /* the oldest */

    *map = (struct heatmap){.columns = columns, .first_row = ROW_COUNT, .last_row = -1};
    map->column_count = count - skipped;
    for (size_t i = 0; i < map->column_count; i++) {
        read_column(map, i, json_array_get(columns, i + skipped));
    }
    unsigned room = terminal_look().columns - LABEL_COLUMNS - 2;
    map->width = map->column_count > 0 ? room / (unsigned)map->column_count : 1;
    map->width = map->width < 1 ? 1 : map->width > COLUMN_WIDTH_MAX ? COLUMN_WIDTH_MAX : map->width;
}

/* Dark by the square root of the share, so that a tail is seen. */
static char shade_of(const struct heatmap *map, size_t column, int row)
{
    double count = map->counts[column][row];

    if (count <= 0) {
        return ' ';
    }
    int shade = 1 + (int)(sqrt(count / map->totals[column]) * (SHADE_COUNT - 1));
    return shades[shade < SHADE_COUNT ? shade : SHADE_COUNT - 1];
}

static void print_rows(const struct heatmap *map)
{
    for (int row = map->last_row; row >= map->first_row; row--) {
        terminal_duration(exp2((row + INDEX_MIN + 1) / 4.0), LABEL_COLUMNS);
        printf(" |");
        for (size_t i = 0; i < map->column_count; i++) {
            for (unsigned j = 0; j < map->width; j++) {
                fputc(shade_of(map, i, row), stdout);
            }
        }
        printf("|\n");
    }
}

static bool has_failures(const json_t *column)
{
    const json_t *outcomes = json_object_get(column, "outcomes");

    return number_of(outcomes, "server_error") > 0 || number_of(outcomes, "no_response") > 0;
}

static void print_failures(const struct heatmap *map)
{
    size_t skipped = json_array_size(map->columns) - map->column_count;

    printf("%*s  ", LABEL_COLUMNS, "failed");
    for (size_t i = 0; i < map->column_count; i++) {
        bool failed = has_failures(json_array_get(map->columns, i + skipped));
        printf("%-*s", (int)map->width, failed ? "x" : " ");
    }
    printf("\n");
}

static void print_age(double seconds)
{
    if (seconds < 120) {
        printf("%.0f s", seconds);
    } else {
        printf("%.0f min", seconds / 60);
    }
}

static void print_map(const char *service, const json_t *answer)
{
    struct heatmap map; /* 66 KiB */
    const char *reporter = json_string_value(json_object_get(answer, "reporter"));
    double requests = 0;

    read_answer(&map, answer);
    for (size_t i = 0; i < map.column_count; i++) {
        requests += map.totals[i];
    }
    plain_text_write(stdout, service, 64);
    printf(": %.0f requests, as its %s saw them\n", requests,
        reporter != NULL && strcmp(reporter, "source") == 0 ? "callers" : "own side");
    if (map.last_row < map.first_row) {
        return;
    }
    print_rows(&map);
    print_failures(&map);
    printf("%*s  from ", LABEL_COLUMNS, "");
    print_age(number_of(
        json_array_get(map.columns, json_array_size(map.columns) - map.column_count), "seconds_ago"));
    printf(" ago until now\n");
}

static int show(void *user, const json_t *answer)
{
    const struct heatmap_options *options = user;

    print_map(options->service, answer);
    return EXIT_SUCCESS;
}

static const struct option_row rows[] = {
    {.name = "window",
        .value = "W",
        .help = "10s, 1m, 5m, 15m (default) or 1h",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct heatmap_options, window)},
    {.name = "source",
        .value = "NAME",
        .help = "only from this caller",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct heatmap_options, source)},
    {.name = "route",
        .value = "ROUTE",
        .help = "only of this route (not together with --source)",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct heatmap_options, route)},
    {.name = "reporter",
        .value = "SIDE",
        .help = "source or destination (default: the callers', where they report)",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct heatmap_options, reporter)},
    {.name = NULL},
};

static const char about[] =
    "Shows how the latency of a service's requests was spread, over time: a row for each range of "
    "latencies,\n"
    "a column for each part of the window (10 s each in the last minute, longer before), darker for more of\n"
    "the column's requests:  . : - = + * # % @   A point is at least one request. An x below a column says\n"
    "that requests failed.\n";

int cmd_heatmap(int argc, char **argv)
{
    struct heatmap_options options = {.window = "15m"};
    const char *operands[OPERANDS_MAX];
    char path[PATH_BYTES] = "/api/v1/heatmap";
    const struct command_line line = {
        .name = "heatmap",
        .operands = "SERVICE",
        .about = about,
        .groups = {{rows, &options}, {answer_watch_rows, &options.answer}, {answer_rows, &options.answer}},
        .examples = "  weft heatmap cart\n"
                    "  weft heatmap cart --route '/items/{id}' --window 1h\n",
        .exit_codes = "Exit code 0; 1 when no agent answers; 2 for wrong usage.\n",
        .operands_min = 1,
        .operands_max = 1,
    };
    int code = options_read(&line, argc, argv, operands);

    if (code != OPTIONS_GO_ON) {
        return code;
    }
    options.service = operands[0];
    if (!answers_add_argument(&line, path, sizeof path, "destination", options.service) ||
        !answers_add_argument(&line, path, sizeof path, "window", options.window) ||
        !answers_add_argument(&line, path, sizeof path, "source", options.source) ||
        !answers_add_argument(&line, path, sizeof path, "route", options.route) ||
        !answers_add_argument(&line, path, sizeof path, "reporter", options.reporter)) {
        return EXIT_USAGE;
    }
    struct answers answers = {
        .command = line.name, .options = &options.answer, .path = path, .show = show, .user = &options};
    return answers_run(&answers);
}

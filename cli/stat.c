/*
 * `weft stat [SERVICE]` and `weft edges [SERVICE]`: tables of traffic, from /api/v1/top. The family that
 * `weft top` shows live. One thread.
 */
#include "cli/stat.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/terminal.h"
#include "cli/traffic_table.h"

enum { AROUND_ROWS = 5 }; /* what --watch and the table have besides their rows */

struct stat_options {
    struct traffic_filters filters;
    struct answer_options answer;
    bool by_route;
};

static const char notes[] =
    "RATE/s is requests a second, FAIL% those that ended in a server error or without a response, 4XX% "
    "client\n"
    "errors; P50 ... P99.9 are latencies within 1.1 %. A name that does not fit ends in ~; what is not\n"
    "printable ASCII is shown as ?. On a wide terminal (or with COLUMNS=160) there are more columns. "
    "NO_COLOR is\n"
    "respected; in a pipe there are no escapes at all.\n";

static const char exit_codes[] = "Exit code 0; 1 when no agent answers; 2 for wrong usage.\n";

struct table_view {
    enum traffic_by by;
    bool fills_screen; /* with --watch on a terminal: what does not fit would push the rest out of it */
};

static int show(void *user, const json_t *answer)
{
    const struct table_view *view = user;
    struct terminal terminal = terminal_look();
    struct table_names names = {
        .has_source = view->by == TRAFFIC_BY_EDGE,
        .has_destination = true,
        .has_route = view->by == TRAFFIC_BY_ROUTE,
        .has_caller = view->by != TRAFFIC_BY_EDGE,
    };
    struct table_layout layout = table_layout_of(names, terminal.columns);

    bool is_cut = view->fills_screen && terminal.rows > AROUND_ROWS;
    table_print(stdout, &terminal, &layout, answer, is_cut ? terminal.rows - AROUND_ROWS : SIZE_MAX);
    return EXIT_SUCCESS;
}

int stat_run(const char *command, enum traffic_by by, const struct traffic_filters *filters,
    const struct answer_options *options)
{
    char path[TRAFFIC_PATH_BYTES];

    if (by == TRAFFIC_BY_DESTINATION && filters->route != NULL) {
        by = TRAFFIC_BY_ROUTE;
    }
    if (!traffic_path(path, by, filters, 0)) {
        fprintf(stderr, "weft %s: the names are too long\n", command);
        return EXIT_USAGE;
    }
    struct table_view view = {.by = by, .fills_screen = options->watch_seconds > 0};
    struct answers answers = {
        .command = command, .options = options, .path = path, .show = show, .user = &view};
    return answers_run(&answers);
}

static int run(
    const struct command_line *line, struct stat_options *options, enum traffic_by by, int argc, char **argv)
{
    const char *operands[OPERANDS_MAX];
    int code = options_read(line, argc, argv, operands);

    if (code != OPTIONS_GO_ON) {
        return code;
    }
    if (operands[0] != NULL) {
        options->filters.service = operands[0];
    }
    return stat_run(
        line->name, options->by_route ? TRAFFIC_BY_ROUTE : by, &options->filters, &options->answer);
}

int cmd_stat(int argc, char **argv)
{
    static const struct option_row rows[] = {
        {.name = "routes",
            .help = "a row for each route (also with --route)",
            .kind = OPTION_FLAG,
            .offset = offsetof(struct stat_options, by_route)},
        {.name = NULL},
    };
    struct stat_options options = {.by_route = false};
    const struct command_line line = {
        .name = "stat",
        .operands = "[SERVICE]",
        .about = "Shows each service that is called: rate, outcomes and latencies in a rolling window, and "
                 "who calls\n"
                 "it most. `weft top` shows the same live, `weft edges` who calls whom.\n",
        .groups = {{traffic_rows, &options.filters}, {rows, &options}, {answer_watch_rows, &options.answer},
            {answer_rows, &options.answer}},
        .notes = notes,
        .examples = "  weft stat\n"
                    "  weft stat cart --routes --window 5m --sort p99\n"
                    "  weft stat --namespace shop --watch\n"
                    "  weft stat --json | jq '.rows[] | {destination, requests}'\n",
        .exit_codes = exit_codes,
        .operands_max = 1,
    };

    return run(&line, &options, TRAFFIC_BY_DESTINATION, argc, argv);
}

int cmd_edges(int argc, char **argv)
{
    struct stat_options options = {.by_route = false};
    const struct command_line line = {
        .name = "edges",
        .operands = "[SERVICE]",
        .about =
            "Shows who calls whom: rate, outcomes and latencies of each edge in a rolling window. With "
            "--route\n"
            "they are of the last 30 to 60 seconds, without latencies: a route's are kept for all callers\n"
            "together (weft stat --route).\n",
        .groups = {{traffic_rows, &options.filters}, {traffic_edge_rows, &options.filters},
            {answer_watch_rows, &options.answer}, {answer_rows, &options.answer}},
        .notes = notes,
        .examples = "  weft edges\n"
                    "  weft edges cart --sort failed --limit 10\n"
                    "  weft edges --source frontend --window 15m\n"
                    "  weft edges --watch 5 --json | jq -c '.rows[0]'\n",
        .exit_codes = exit_codes,
        .operands_max = 1,
    };

    return run(&line, &options, TRAFFIC_BY_EDGE, argc, argv);
}

/*
 * `weft stat [SERVICE]` and `weft edges [SERVICE]`: tables of traffic, from /api/v1/top. The family that
 * `weft top` shows live. One thread.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "cli/traffic.h"
#include "cli/traffic_table.h"

struct stat_options {
    struct traffic_filters filters;
    struct answer_options answer;
    bool by_route;
    enum traffic_by by;
};

static const char notes[] =
    "RATE/s is requests a second, FAIL% those that ended in a server error or without a response, 4XX% "
    "client\n"
    "errors; P50 ... P99.9 are latencies within 1.1 %. A name that does not fit ends in ~; what is not\n"
    "printable ASCII is shown as ?. On a wide terminal (or with COLUMNS=160) there are more columns. "
    "NO_COLOR is\n"
    "respected; in a pipe there are no escapes at all.\n";

static const char exit_codes[] = "Exit code 0; 1 when no agent answers; 2 for wrong usage.\n";

static struct table_names names_of(const struct stat_options *options)
{
    return (struct table_names){
        .has_source = options->by == TRAFFIC_BY_EDGE,
        .has_destination = true,
        .has_route = options->by == TRAFFIC_BY_ROUTE,
        .has_caller = options->by != TRAFFIC_BY_EDGE,
    };
}

static int show(void *user, const json_t *answer)
{
    const struct stat_options *options = user;
    struct terminal terminal = terminal_look();
    struct table_layout layout = table_layout_of(names_of(options), terminal.columns);

    table_print(stdout, &terminal, &layout, answer);
    return EXIT_SUCCESS;
}

static int run(const struct command_line *line, struct stat_options *options, int argc, char **argv)
{
    const char *operands[OPERANDS_MAX];
    char path[TRAFFIC_PATH_BYTES];
    int code = options_read(line, argc, argv, operands);

    if (code != OPTIONS_GO_ON) {
        return code;
    }
    if (operands[0] != NULL) {
        options->filters.service = operands[0];
    }
    if (options->by == TRAFFIC_BY_DESTINATION && (options->by_route || options->filters.route != NULL)) {
        options->by = TRAFFIC_BY_ROUTE;
    }
    if (!traffic_path(path, options->by, &options->filters, 0)) {
        fprintf(stderr, "weft %s: the names are too long\n", line->name);
        return EXIT_USAGE;
    }
    struct answers answers = {
        .command = line->name, .options = &options->answer, .path = path, .show = show, .user = options};
    return answers_run(&answers);
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
    struct stat_options options = {.by = TRAFFIC_BY_DESTINATION};
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

    return run(&line, &options, argc, argv);
}

int cmd_edges(int argc, char **argv)
{
    struct stat_options options = {.by = TRAFFIC_BY_EDGE};
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

    return run(&line, &options, argc, argv);
}

/* `weft stat`: one table of edges, from /api/v1/edges. One thread. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "cli/plain_text.h"

enum { PATH_BYTES = 1024, NAME_COLUMNS = 24, QUANTILE_COUNT = 3 };

static const char help[] =
    "usage: weft stat [OPTION…]\n"
    "Shows each edge with its rate, outcomes and latencies in a rolling window.\n\n"
    "  --window W              10s, 1m (default), 5m, 15m or 1h\n"
    "  --reporter SIDE         source or destination (default: both)\n"
    "  --source NAME  --destination NAME\n"
    "  --json                  the API's answer as it is\n"
    "  --api PATH|URL          the agent's API (else WEFT_API, else the usual places)\n"
    "Exit code 0, or 1 when no agent answers; 2 for wrong usage.\n";

static double number_of(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static void print_quantile(const json_t *quantiles, size_t index)
{
    const json_t *entry = json_array_get(quantiles, index);

    if (entry == NULL) {
        printf(" %10s", "-");
    } else {
        printf(" %8.2fms", number_of(entry, "seconds") * 1e3);
    }
}

static void print_edge(const json_t *edge)
{
    const json_t *outcomes = json_object_get(edge, "outcomes");
    double requests = number_of(edge, "requests");
    double covered_seconds = number_of(edge, "covered_seconds");
    double failed = number_of(outcomes, "server_error") + number_of(outcomes, "no_response");

    plain_text_print(stdout, json_string_value(json_object_get(edge, "source")), NAME_COLUMNS);
    plain_text_print(stdout, json_string_value(json_object_get(edge, "destination")), NAME_COLUMNS);
    plain_text_print(stdout, json_string_value(json_object_get(edge, "reporter")), 12);
    printf("%9.1f/s %6.2f%%", covered_seconds > 0 ? requests / covered_seconds : 0,
        requests > 0 ? failed * 100 / requests : 0);
    for (size_t i = 0; i < QUANTILE_COUNT; i++) {
        print_quantile(json_object_get(edge, "quantiles"), i);
    }
    printf("\n");
}

static void print_table(const json_t *answer)
{
    const json_t *edges = json_object_get(answer, "edges");

    plain_text_print(stdout, "SOURCE", NAME_COLUMNS);
    plain_text_print(stdout, "DESTINATION", NAME_COLUMNS);
    plain_text_print(stdout, "REPORTER", 12);
    printf("%11s %7s %10s %10s %10s\n", "RATE", "FAILED", "P50", "P90", "P99");
    for (size_t i = 0; i < json_array_size(edges); i++) {
        print_edge(json_array_get(edges, i));
    }
}

int cmd_stat(int argc, char **argv)
{
    static const struct option options[] = {
        {"window", required_argument, NULL, 'w'},
        {"reporter", required_argument, NULL, 'r'},
        {"source", required_argument, NULL, 's'},
        {"destination", required_argument, NULL, 'd'},
        {"json", no_argument, NULL, 'j'},
        {"api", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    char path[PATH_BYTES] = "/api/v1/edges?q=0.5,0.9,0.99";
    char reason[API_REASON_BYTES];
    const char *api = NULL;
    bool as_json = false;
    int index = 0;
    int option;

    while ((option = getopt_long(argc, argv, "h", options, &index)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_SUCCESS;
        }
        if (option == 'j') {
            as_json = true;
        } else if (option == 'a') {
            api = optarg;
        } else if (option == '?' || !api_add_argument(path, sizeof path, options[index].name, optarg)) {
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "weft stat: unexpected '%s'; --help tells more\n", argv[optind]);
        return EXIT_USAGE;
    }
    json_t *answer = api_get(api, path, reason);
    if (answer == NULL) {
        fprintf(stderr, "weft stat: %s\n", reason);
        return EXIT_FAILURE;
    }
    if (as_json) {
        (void)json_dumpf(answer, stdout, JSON_INDENT(2));
        printf("\n");
    } else {
        print_table(answer);
    }
    json_decref(answer);
    return EXIT_SUCCESS;
}

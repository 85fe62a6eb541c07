/* `weft COMMAND [OPTION…]`: finds the command and runs it. One thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"top", cmd_top, "services, routes and callers, live, full screen"},
    {"stat", cmd_stat, "services: rates, outcomes, latencies, busiest callers"},
    {"edges", cmd_edges, "who calls whom: rates, outcomes, latencies"},
    {"why", cmd_why, "why a service is slow, ranked"},
    {"slow", cmd_slow, "the slowest traces of the last minutes"},
    {"trace", cmd_trace, "one trace as a tree with bars"},
    {"heatmap", cmd_heatmap, "latency over time"},
    {"tap", cmd_tap, "requests as they arrive"},
    {"ledger", cmd_ledger, "what became of every record"},
    {"config", cmd_config, "the configuration that the agent runs with"},
    {"demo", cmd_demo, "simulate a mesh, to try the agent out"},
    {"emit", cmd_emit, "send spans and counters to the agent"},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(FILE *to)
{
    fputs("usage: weft COMMAND [OPTION…]\n\ncommands (each has --help):\n", to);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
    }
    fputs("  version    print the version\n", to);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        puts("weft " WEFT_VERSION);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "weft: no command '%s'; weft --help lists them\n", argv[1]);
    return EXIT_USAGE;
}

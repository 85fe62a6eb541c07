/* `weft ledger`: what became of every record, from /api/v1/ledger. One thread. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "cli/plain_text.h"

enum { WAIT_STEP_MS = 250, WAIT_SECONDS_MAX = 86400 };

static const char help[] =
    "usage: weft ledger [OPTION…]\n"
    "Shows what became of every record: received = aggregated + attempts + not a request + superseded + "
    "dropped\n"
    "+ in flight,\n"
    "and for each destination: handed over = sent + queued + dropped.\n\n"
    "  --wait SECONDS          ask again until nothing is in flight, at most so long\n"
    "  --exported              with --wait: until nothing is queued for a destination either\n"
    "  --json                  the API's answer as it is\n"
    "  --api PATH|URL          the agent's API (else WEFT_API, else the usual places)\n"
    "Exit code 0; 1 when no agent answers, or when --wait ran out; 2 for wrong usage.\n";

struct ledger_options {
    const char *api;
    double wait_seconds; /* below 0: do not wait */
    bool exported;
    bool as_json;
};

static json_int_t integer_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void print_reasons(const json_t *row)
{
    const char *reason;
    json_t *count;
    json_t *reasons = json_object_get(row, "dropped_by_reason");

    json_object_foreach(reasons, reason, count)
    {
        printf("    dropped %-28s %14lld\n", reason, (long long)json_integer_value(count));
    }
}

static void print_row(const json_t *row, const char *const *columns)
{
    for (; *columns != NULL; columns++) {
        printf(" %14lld", (long long)integer_of(row, *columns));
    }
    printf("\n");
    print_reasons(row);
}

static void print_ledger(const json_t *answer)
{
    static const char *const record_columns[] = {
        "received", "aggregated", "attempts", "not_a_request", "superseded", "dropped", "in_flight", NULL};
    static const char *const export_columns[] = {"handed_over", "sent", "queued", "dropped", NULL};
    const json_t *records = json_object_get(answer, "records");
    const json_t *destinations = json_object_get(answer, "destinations");

    printf("%-12s %14s %14s %14s %14s %14s %14s %14s\n", "RECORDS", "RECEIVED", "AGGREGATED", "ATTEMPTS",
        "NOT A REQUEST", "SUPERSEDED", "DROPPED", "IN FLIGHT");
    for (size_t i = 0; i < json_array_size(records); i++) {
        const json_t *row = json_array_get(records, i);
        plain_text_print(stdout, json_string_value(json_object_get(row, "signal")), 12);
        print_row(row, record_columns);
    }
    if (json_array_size(destinations) == 0) {
        return;
    }
    printf("\n%-24s%-9s %14s %14s %14s %14s\n", "DESTINATION", "SIGNAL", "HANDED OVER", "SENT", "QUEUED",
        "DROPPED");
    for (size_t i = 0; i < json_array_size(destinations); i++) {
        const json_t *row = json_array_get(destinations, i);
        plain_text_print(stdout, json_string_value(json_object_get(row, "destination")), 24);
        plain_text_print(stdout, json_string_value(json_object_get(row, "signal")), 9);
        print_row(row, export_columns);
    }
}

/* The most that a destination was handed of a signal. */
static json_int_t handed_over_of(const json_t *destinations, const char *signal)
{
    json_int_t handed_over = 0;

    for (size_t i = 0; i < json_array_size(destinations); i++) {
        const json_t *row = json_array_get(destinations, i);
        json_int_t count = integer_of(row, "handed_over");
        if (strcmp(json_string_value(json_object_get(row, "signal")), signal) == 0 && count > handed_over) {
            handed_over = count;
        }
    }
    return handed_over;
}

/* Spans and log records offered by shards and not counted by every destination yet are under way, too. */
static bool is_settled(const json_t *answer, bool exported)
{
    const json_t *destinations = json_object_get(answer, "destinations");
    const json_t *export = json_object_get(answer, "export");

    if (integer_of(answer, "in_flight") != 0) {
        return false;
    }
    for (size_t i = 0; exported && i < json_array_size(destinations); i++) {
        if (integer_of(json_array_get(destinations, i), "queued") != 0) {
            return false;
        }
    }
    return !exported || (handed_over_of(destinations, "spans") >= integer_of(export, "offered_spans") &&
                            handed_over_of(destinations, "logs") >= integer_of(export, "offered_logs"));
}

static double now_seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The last answer, or NULL with a reason. *ret_settled: whether there was nothing left to wait for. */
static json_t *ask(const struct ledger_options *options, bool *ret_settled, char *reason)
{
    double end_seconds = now_seconds() + options->wait_seconds;
    const struct timespec step = {.tv_nsec = WAIT_STEP_MS * 1000000l};

    for (;;) {
        json_t *answer = api_get(options->api, "/api/v1/ledger", reason);
        *ret_settled = answer != NULL && is_settled(answer, options->exported);
        if (*ret_settled || now_seconds() >= end_seconds || (answer == NULL && options->wait_seconds < 0)) {
            return answer;
        }
        json_decref(answer);
        (void)nanosleep(&step, NULL);
    }
}

/* False for a value that makes no sense. */
static bool parse_seconds(const char *text, double *ret_seconds)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !(seconds >= 0 && seconds <= WAIT_SECONDS_MAX)) {
        return false;
    }
    *ret_seconds = seconds;
    return true;
}

static int parse(int argc, char **argv, struct ledger_options *options)
{
    static const struct option names[] = {
        {"wait", required_argument, NULL, 'w'},
        {"exported", no_argument, NULL, 'e'},
        {"json", no_argument, NULL, 'j'},
        {"api", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "h", names, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_SUCCESS;
        }
        if (option == 'w' && !parse_seconds(optarg, &options->wait_seconds)) {
            fprintf(stderr, "weft ledger: --wait: expected seconds, 0 to %d\n", WAIT_SECONDS_MAX);
            return EXIT_USAGE;
        }
        options->exported = options->exported || option == 'e';
        options->as_json = options->as_json || option == 'j';
        options->api = option == 'a' ? optarg : options->api;
        if (option == '?') {
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "weft ledger: unexpected '%s'; --help tells more\n", argv[optind]);
        return EXIT_USAGE;
    }
    return -1;
}

int cmd_ledger(int argc, char **argv)
{
    struct ledger_options options = {.wait_seconds = -1};
    char reason[API_REASON_BYTES];
    bool settled;
    int code = parse(argc, argv, &options);

    if (code >= 0) {
        return code;
    }
    json_t *answer = ask(&options, &settled, reason);
    if (answer == NULL) {
        fprintf(stderr, "weft ledger: %s\n", reason);
        return EXIT_FAILURE;
    }
    if (options.as_json) {
        (void)json_dumpf(answer, stdout, JSON_INDENT(2));
        printf("\n");
    } else {
        print_ledger(answer);
    }
    json_decref(answer);
    return options.wait_seconds >= 0 && !settled ? EXIT_FAILURE : EXIT_SUCCESS;
}

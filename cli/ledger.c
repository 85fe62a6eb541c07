/* `weft ledger`: what became of every record, from /api/v1/ledger. One thread. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/plain_text.h"

enum { WAIT_STEP_MS = 250, WAIT_SECONDS_MAX = 86400 };

struct ledger_options {
    struct answer_options answer;
    double wait_seconds; /* below 0: do not wait */
    bool exported;
    bool settled; /* by the last answer */
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

/* The last answer, or NULL with a reason: with --wait the one after which nothing is left to wait for. */
static json_t *ask(void *user, char *reason)
{
    struct ledger_options *options = user;
    double end_seconds = now_seconds() + options->wait_seconds;
    const struct timespec step = {.tv_nsec = WAIT_STEP_MS * 1000000l};

    for (;;) {
        json_t *answer = api_get(options->answer.api, "/api/v1/ledger", reason);
        options->settled = answer != NULL && is_settled(answer, options->exported);
        if (options->settled || now_seconds() >= end_seconds ||
            (answer == NULL && options->wait_seconds < 0)) {
            return answer;
        }
        json_decref(answer);
        (void)nanosleep(&step, NULL);
    }
}

static int show(void *user, const json_t *answer)
{
    (void)user;
    print_ledger(answer);
    return EXIT_SUCCESS;
}

static const struct option_row rows[] = {
    {.name = "wait",
        .value = "SECONDS",
        .help = "ask again until nothing is in flight, at most so long",
        .kind = OPTION_SECONDS,
        .offset = offsetof(struct ledger_options, wait_seconds),
        .most = WAIT_SECONDS_MAX},
    {.name = "exported",
        .help = "with --wait: until nothing is queued for a destination either",
        .kind = OPTION_FLAG,
        .offset = offsetof(struct ledger_options, exported)},
    {.name = NULL},
};

int cmd_ledger(int argc, char **argv)
{
    struct ledger_options options = {.wait_seconds = -1};
    const char *operands[OPERANDS_MAX];
    const struct command_line line = {
        .name = "ledger",
        .operands = "",
        .about = "Shows what became of every record: received = aggregated + attempts + not a request + "
                 "superseded +\n"
                 "dropped + in flight, and for each destination: handed over = sent + queued + dropped.\n",
        .groups = {{rows, &options}, {answer_watch_rows, &options.answer}, {answer_rows, &options.answer}},
        .examples = "  weft ledger\n"
                    "  weft ledger --wait 30 --exported\n"
                    "  weft ledger --json | jq .balanced\n",
        .exit_codes = "Exit code 0; 1 when no agent answers, or when --wait ran out; 2 for wrong usage.\n",
    };
    int code = options_read(&line, argc, argv, operands);

    if (code != OPTIONS_GO_ON) {
        return code;
    }
    struct answers answers = {
        .command = line.name, .options = &options.answer, .ask = ask, .show = show, .user = &options};
    code = answers_run(&answers);
    return code == EXIT_SUCCESS && options.wait_seconds >= 0 && !options.settled ? EXIT_FAILURE : code;
}

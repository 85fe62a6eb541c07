/*
 * `weft tap`: requests as they arrive, from the stream /api/v1/tap, one JSON object a line:
 *
 *   {"time_unix_ns":"…","reporter":…,"source":…,"destination":…,"route":…,"method":…,"response_code":…,
 *    "grpc_status":…,"outcome":…,"response_flags":"UO,URX","duration_seconds":…,"attempts":…,"trace_id":…}
 *
 * Members that a request does not tell are left out; {"dropped":N} says that N were lost, as reader or agent
 * were too slow; {"left_out":N} that N were let through by the filters and are more than the rate, which the
 * agent sees to. One thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/plain_text.h"
#include "cli/terminal.h"

enum {
    PATH_BYTES = 2048,
    NAME_COLUMNS = 20,
    ROUTE_COLUMNS = 28,
    DURATION_COLUMNS = 9,
    RATE = 10,
    RATE_MAX = 100000
};

struct tap {
    struct answer_options answer;
    const char *service;
    const char *source;
    const char *destination;
    const char *route;
    const char *reporter;
    const char *min_duration;
    const char *max_duration;
    const char *flags;
    bool errors;
    unsigned long rate;      /* lines a second */
    unsigned long count_max; /* 0: for ever */
    unsigned long shown_count;
    struct terminal terminal;
};

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void print_time(const json_t *request)
{
    const char *text = text_of(request, "time_unix_ns");
    unsigned long long unix_ns = text != NULL ? strtoull(text, NULL, 10) : 0;
    time_t second_s = (time_t)(unix_ns / 1000000000);
    struct tm local;

    if (localtime_r(&second_s, &local) == NULL) {
        memset(&local, 0, sizeof local);
    }
    printf("%02d:%02d:%02d.%03llu ", local.tm_hour, local.tm_min, local.tm_sec, unix_ns / 1000000 % 1000);
}

/* The HTTP status, or a gRPC status as "g14"; "-" without a response. */
static void print_status(const json_t *request)
{
    const json_t *grpc = json_object_get(request, "grpc_status");
    long long code = json_integer_value(json_object_get(request, "response_code"));
    char text[16] = "-";

    if (json_is_integer(grpc)) {
        (void)snprintf(text, sizeof text, "g%lld", (long long)json_integer_value(grpc) % 1000);
    } else if (code > 0) {
        (void)snprintf(text, sizeof text, "%lld", code % 10000);
    }
    printf("%5s", text);
}

static void print_request(const struct tap *tap, const json_t *request)
{
    const char *outcome = text_of(request, "outcome");
    const char *flags = text_of(request, "response_flags");
    const char *trace_id = text_of(request, "trace_id");
    long long attempts = json_integer_value(json_object_get(request, "attempts"));
    bool is_ok = outcome == NULL || strcmp(outcome, "ok") == 0;

    terminal_style(&tap->terminal, is_ok ? STYLE_PLAIN : STYLE_ERROR);
    print_time(request);
    plain_text_print(stdout, text_of(request, "source"), NAME_COLUMNS);
    plain_text_print(stdout, text_of(request, "destination"), NAME_COLUMNS);
    plain_text_print(stdout, text_of(request, "method"), 8);
    plain_text_print(stdout, text_of(request, "route"), ROUTE_COLUMNS);
    print_status(request);
    terminal_duration(json_number_value(json_object_get(request, "duration_seconds")), DURATION_COLUMNS);
    if (attempts > 1) {
        printf("  %lld retr%s", attempts - 1, attempts == 2 ? "y" : "ies");
    }
    if (flags != NULL && flags[0] != '\0') {
        printf("  ");
        plain_text_write(stdout, flags, NAME_COLUMNS);
    }
    if (trace_id != NULL) {
        printf("  ");
        plain_text_write(stdout, trace_id, 34);
    }
    terminal_style(&tap->terminal, STYLE_PLAIN);
    printf("\n");
}

static void say_missing(const struct tap *tap, json_int_t count, const char *why)
{
    terminal_style(&tap->terminal, STYLE_FAINT);
    printf("             … %" JSON_INTEGER_FORMAT "%s\n", count, why);
    terminal_style(&tap->terminal, STYLE_PLAIN);
}

static void show_line(struct tap *tap, const char *text, size_t length)
{
    json_t *request = json_loadb(text, length, 0, NULL);
    const json_t *dropped = json_object_get(request, "dropped");
    const json_t *left_out = json_object_get(request, "left_out");

    if (json_is_integer(dropped)) {
        say_missing(tap, json_integer_value(dropped), " dropped: they could not be sent in time");
    } else if (json_is_integer(left_out)) {
        say_missing(tap, json_integer_value(left_out), " more");
    } else if (json_is_object(request)) {
        print_request(tap, request);
        tap->shown_count++;
    }
    json_decref(request);
}

/* Counts of what is missing are no requests. */
static bool is_request(const char *text, size_t length)
{
    static const char begin[] = "{\"time_unix_ns\"";

    return length >= sizeof begin - 1 && memcmp(text, begin, sizeof begin - 1) == 0;
}

static bool on_line(void *user, const char *text, size_t length)
{
    struct tap *tap = user;

    if (length == 0) {
        return true; /* the agent shows that it is alive */
    }
    if (tap->answer.as_json) {
        (void)fwrite(text, 1, length, stdout);
        printf("\n");
        tap->shown_count += is_request(text, length);
    } else {
        show_line(tap, text, length);
    }
    return fflush(stdout) == 0 && (tap->count_max == 0 || tap->shown_count < tap->count_max);
}

static const struct option_row rows[] = {
    {.name = "service",
        .value = "NAME",
        .help = "its requests and its calls; NAME or NAME.NAMESPACE",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct tap, service)},
    {.name = "source",
        .value = "NAME",
        .help = "only calls by this service",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct tap, source)},
    {.name = "destination",
        .value = "NAME",
        .help = "only calls of this service",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct tap, destination)},
    {.name = "route",
        .value = "ROUTE",
        .help = "only this route",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct tap, route)},
    {.name = "reporter",
        .value = "SIDE",
        .help = "source, destination or waypoint (default: all)",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct tap, reporter)},
    {.name = "min-duration",
        .value = "D",
        .help = "of at least this: 250ms",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct tap, min_duration)},
    {.name = "max-duration",
        .value = "D",
        .help = "of at most this",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct tap, max_duration)},
    {.name = "flags",
        .value = "FLAGS",
        .help = "with any of these response flags: UO,UT",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct tap, flags)},
    {.name = "error",
        .help = "only failed ones",
        .kind = OPTION_FLAG,
        .offset = offsetof(struct tap, errors)},
    {.name = "rate",
        .value = "N",
        .help = "lines a second (default 10)",
        .kind = OPTION_COUNT,
        .offset = offsetof(struct tap, rate),
        .most = RATE_MAX},
    {.name = "count",
        .value = "N",
        .help = "ends after so many lines",
        .kind = OPTION_COUNT,
        .offset = offsetof(struct tap, count_max),
        .most = RATE_MAX},
    {.name = NULL},
};

static bool make_path(const struct command_line *line, const struct tap *tap, char *path)
{
    return answers_add_argument(line, path, PATH_BYTES, "service", tap->service) &&
           answers_add_argument(line, path, PATH_BYTES, "source", tap->source) &&
           answers_add_argument(line, path, PATH_BYTES, "destination", tap->destination) &&
           answers_add_argument(line, path, PATH_BYTES, "route", tap->route) &&
           answers_add_argument(line, path, PATH_BYTES, "reporter", tap->reporter) &&
           answers_add_argument(line, path, PATH_BYTES, "min_duration", tap->min_duration) &&
           answers_add_argument(line, path, PATH_BYTES, "max_duration", tap->max_duration) &&
           answers_add_argument(line, path, PATH_BYTES, "flags", tap->flags) &&
           answers_add_argument(line, path, PATH_BYTES, "error", tap->errors ? "true" : NULL);
}

int cmd_tap(int argc, char **argv)
{
    struct tap tap = {.rate = RATE, .terminal = terminal_look()};
    const char *operands[OPERANDS_MAX];
    char path[PATH_BYTES] = "/api/v1/tap";
    char reason[API_REASON_BYTES];
    char rate[24];
    const struct command_line line = {
        .name = "tap",
        .operands = "",
        .about = "Shows requests as they arrive, at most so many a second as a person can read; ends with "
                 "Ctrl-C.\n"
                 "What was let through by the filters and not shown is counted.\n",
        .groups = {{rows, &tap}, {answer_rows, &tap.answer}},
        .notes = "With --json all that the filters let through is printed, as JSON lines.\n",
        .examples = "  weft tap --service cart\n"
                    "  weft tap --destination db --min-duration 50ms\n"
                    "  weft tap --error --json | jq -r .trace_id\n",
        .exit_codes = "Exit code 0 when the agent ends it; 1 when no agent answers; 2 for wrong usage.\n",
    };
    int code = options_read(&line, argc, argv, operands);

    if (code != OPTIONS_GO_ON) {
        return code;
    }
    (void)snprintf(rate, sizeof rate, "%lu", tap.rate);
    if (!make_path(&line, &tap, path) ||
        !answers_add_argument(&line, path, PATH_BYTES, "rate", tap.answer.as_json ? "all" : rate)) {
        return EXIT_USAGE;
    }
    int error = api_stream(tap.answer.api, path, on_line, &tap, reason);
    if (error < 0) {
        fprintf(stderr, "weft tap: %s\n", reason);
    }
    return error < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

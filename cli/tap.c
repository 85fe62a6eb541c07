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
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/api.h"
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

static const char help[] =
    "usage: weft tap [OPTION…]\n"
    "Shows requests as they arrive, at most so many a second as a person can read; ends with Ctrl-C.\n"
    "What was let through by the filters and not shown is counted.\n\n"
    "  --service NAME          its requests and its calls; NAME or NAME.NAMESPACE\n"
    "  --source NAME  --destination NAME  --route ROUTE\n"
    "  --reporter SIDE         source, destination or waypoint (default: all)\n"
    "  --min-duration D  --max-duration D    that took so long: 250ms\n"
    "  --flags FLAGS           with any of these response flags: UO,UT\n"
    "  --error                 only failed ones\n"
    "  --rate N                lines a second (default 10)\n"
    "  --count N               ends after so many lines\n"
    "  --json                  all that the filters let through, as JSON lines\n"
    "  --api PATH|URL          the agent's API (else WEFT_API, else the usual places)\n\n"
    "examples:\n"
    "  weft tap --service cart\n"
    "  weft tap --destination db --min-duration 50ms\n"
    "  weft tap --error --json | jq -r .trace_id\n"
    "Exit code 0 when the agent ends it; 1 when no agent answers; 2 for wrong usage.\n";

struct tap {
    const char *api;
    bool as_json;
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
    if (tap->as_json) {
        (void)fwrite(text, 1, length, stdout);
        printf("\n");
        tap->shown_count += is_request(text, length);
    } else {
        show_line(tap, text, length);
    }
    return fflush(stdout) == 0 && (tap->count_max == 0 || tap->shown_count < tap->count_max);
}

static bool take_number(const char *name, unsigned long *ret_number)
{
    char *end;
    unsigned long number = strtoul(optarg, &end, 10);

    if (end == optarg || *end != '\0' || number == 0 || number > RATE_MAX) {
        fprintf(stderr, "weft tap: --%s expects a number from 1 to %d\n", name, RATE_MAX);
        return false;
    }
    *ret_number = number;
    return true;
}

/* Returns whether the option made sense. `name`: of a filter, as the API calls it. */
static bool take_option(int option, const char *name, struct tap *tap, char *path)
{
    switch (option) {
    case 'j':
        tap->as_json = true;
        return true;
    case 'a':
        tap->api = optarg;
        return true;
    case 'r':
        return take_number("rate", &tap->rate);
    case 'n':
        return take_number("count", &tap->count_max);
    case 'e':
        return api_add_argument(path, PATH_BYTES, "error", "true");
    case 'm':
        return api_add_argument(path, PATH_BYTES, "min_duration", optarg);
    case 'M':
        return api_add_argument(path, PATH_BYTES, "max_duration", optarg);
    case 'f':
        return api_add_argument(path, PATH_BYTES, name, optarg);
    default:
        return false;
    }
}

int cmd_tap(int argc, char **argv)
{
    static const struct option known[] = {
        {"service", required_argument, NULL, 'f'},
        {"source", required_argument, NULL, 'f'},
        {"destination", required_argument, NULL, 'f'},
        {"route", required_argument, NULL, 'f'},
        {"reporter", required_argument, NULL, 'f'},
        {"flags", required_argument, NULL, 'f'},
        {"min-duration", required_argument, NULL, 'm'},
        {"max-duration", required_argument, NULL, 'M'},
        {"error", no_argument, NULL, 'e'},
        {"rate", required_argument, NULL, 'r'},
        {"count", required_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},
        {"api", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct tap tap = {.rate = RATE, .terminal = terminal_look()};
    char path[PATH_BYTES] = "/api/v1/tap";
    char reason[API_REASON_BYTES];
    char rate[24];
    int index = 0;
    int option;

    while ((option = getopt_long(argc, argv, "h", known, &index)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_SUCCESS;
        }
        if (!take_option(option, known[index].name, &tap, path)) {
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "weft tap: unexpected '%s'; --help tells more\n", argv[optind]);
        return EXIT_USAGE;
    }
    (void)snprintf(rate, sizeof rate, "%lu", tap.rate);
    if (!api_add_argument(path, PATH_BYTES, "rate", tap.as_json ? "all" : rate)) {
        fputs("weft tap: the filters are too long\n", stderr);
        return EXIT_USAGE;
    }
    int error = api_stream(tap.api, path, on_line, &tap, reason);
    if (error < 0) {
        fprintf(stderr, "weft tap: %s\n", reason);
    }
    return error < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

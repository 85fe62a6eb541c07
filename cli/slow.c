/* `weft slow [SERVICE]`: the slowest traces that the agent holds, from /api/v1/traces. One thread. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "cli/plain_text.h"
#include "cli/spans.h"
#include "cli/terminal.h"

enum {
    PATH_BYTES = 2048,
    SHOWN_COUNT = 20,
    SHOWN_COUNT_MAX = 1000,
    ASKED_COUNT = 200, /* traces that one search gives; the slowest of those are shown */
    DURATION_COLUMNS = 9,
    AGE_COLUMNS = 8,
    ID_COLUMNS = 34,
    NAME_COLUMNS = 22,
};

static const char help[] =
    "usage: weft slow [OPTION…] [SERVICE]\n"
    "Shows the slowest traces that the agent (and its peers) still hold; of a service, those in which its\n"
    "own spans are slowest. Without --min it looks for 1s and more, then 100ms, 10ms and all.\n\n"
    "  --min DURATION          spans of at least this: 250ms, 1.5s\n"
    "  --since DURATION        started no longer ago than this: 5m\n"
    "  --route ROUTE           a route or a span's name\n"
    "  --error                 only with an error\n"
    "  --count N               how many (default 20)\n"
    "  --json                  the API's answer as it is: OTLP JSON\n"
    "  --api PATH|URL          the agent's API (else WEFT_API, else the usual places)\n\n"
    "examples:\n"
    "  weft slow\n"
    "  weft slow cart --since 5m --error\n"
    "  weft trace $(weft slow cart --count 1 | awk 'NR == 2 { print $2 }')\n"
    "Exit code 0, also when there is none; 1 when no agent answers; 2 for wrong usage.\n";

struct slow_options {
    const char *api;
    const char *service; /* NULL: any */
    bool has_minimum;
    bool as_json;
    size_t count;
};

/* A trace in the table: its span that says how slow it is. */
struct slow_trace {
    const char *trace_id;
    const struct shown_span *slowest; /* of the service; without one the first span */
    uint64_t duration_ns;
    size_t span_count;
    size_t error_count;
};

static uint64_t duration_ns(const struct shown_span *span)
{
    return span->end_unix_ns - span->start_unix_ns;
}

/* "cart" is the service's spans, and "cart.shop" those of cart in namespace shop. */
static bool is_of(const struct shown_span *span, const char *service)
{
    size_t length = service != NULL ? strlen(service) : 0;

    return service == NULL || (strncmp(span->service, service, length) == 0 &&
                                  (span->service[length] == '\0' || span->service[length] == '.'));
}

static int by_trace(const void *x, const void *y)
{
    const struct shown_span *const *a = x;
    const struct shown_span *const *b = y;
    int order = strcmp((*a)->trace_id, (*b)->trace_id);

    return order != 0 ? order : (*a > *b) - (*a < *b);
}

static int by_duration(const void *x, const void *y)
{
    const struct slow_trace *a = x;
    const struct slow_trace *b = y;

    if (a->duration_ns != b->duration_ns) {
        return a->duration_ns > b->duration_ns ? -1 : 1;
    }
    return strcmp(a->trace_id, b->trace_id);
}

static void add_span(struct slow_trace *trace, const struct shown_span *span, const char *service)
{
    trace->span_count++;
    trace->error_count += span->is_error;
    if (trace->slowest == NULL ||
        (is_of(span, service) &&
            (!is_of(trace->slowest, service) || duration_ns(span) > duration_ns(trace->slowest)))) {
        trace->slowest = span;
        trace->duration_ns = duration_ns(span);
    }
}

/* Traces with their slowest span first; their number, or -1 without memory. */
static long gather(const struct shown_spans *spans, const char *service, struct slow_trace **ret_traces)
{
    const struct shown_span **order = malloc((spans->count + 1) * sizeof *order);
    struct slow_trace *traces = calloc(spans->count + 1, sizeof *traces);
    long count = -1;

    if (order != NULL && traces != NULL) {
        for (size_t i = 0; i < spans->count; i++) {
            order[i] = &spans->items[i];
        }
        qsort(order, spans->count, sizeof *order, by_trace);
        count = 0;
        for (size_t i = 0; i < spans->count; i++) {
            if (count == 0 || strcmp(traces[count - 1].trace_id, order[i]->trace_id) != 0) {
                traces[count++].trace_id = order[i]->trace_id;
            }
            add_span(&traces[count - 1], order[i], service);
        }
        qsort(traces, (size_t)count, sizeof *traces, by_duration);
    }
    free(order);
    *ret_traces = traces;
    return count;
}

static void print_age(uint64_t start_unix_ns)
{
    time_t now_s = time(NULL);
    time_t start_s = (time_t)(start_unix_ns / 1000000000);
    long age_s = now_s > start_s ? (long)(now_s - start_s) : 0;
    char text[32];

    (void)snprintf(text, sizeof text, "%ld%s",
        age_s < 120    ? age_s
        : age_s < 7200 ? age_s / 60
                       : age_s / 3600,
        age_s < 120    ? "s"
        : age_s < 7200 ? "m"
                       : "h");
    printf("%*s", AGE_COLUMNS, text);
}

static int print_table(const json_t *answer, const struct slow_options *options)
{
    struct shown_spans spans;
    struct slow_trace *traces = NULL;
    struct terminal terminal = terminal_look();
    long count = -1;

    if (spans_read(answer, &spans)) {
        count = gather(&spans, options->service, &traces);
    }
    if (count < 0) {
        fprintf(stderr, "weft slow: out of memory\n");
        free(traces);
        spans_free(&spans);
        return EXIT_FAILURE;
    }
    printf("%*s  ", DURATION_COLUMNS, "TIME");
    plain_text_print(stdout, "TRACE", ID_COLUMNS);
    plain_text_print(stdout, "SERVICE", NAME_COLUMNS);
    plain_text_print(stdout, "SPAN", NAME_COLUMNS);
    printf("%6s %6s%*s\n", "SPANS", "ERRORS", AGE_COLUMNS, "AGE");
    for (size_t i = 0; i < (size_t)count && i < options->count; i++) {
        const struct slow_trace *trace = &traces[i];
        terminal_style(&terminal, trace->error_count > 0 ? STYLE_ERROR : STYLE_PLAIN);
        terminal_duration((double)trace->duration_ns / 1e9, DURATION_COLUMNS);
        printf("  ");
        plain_text_print(stdout, trace->trace_id, ID_COLUMNS);
        plain_text_print(stdout, trace->slowest->service, NAME_COLUMNS);
        plain_text_print(stdout, trace->slowest->name, NAME_COLUMNS);
        printf("%6zu %6zu", trace->span_count, trace->error_count);
        print_age(trace->slowest->start_unix_ns);
        terminal_style(&terminal, STYLE_PLAIN);
        printf("\n");
    }
    spans_print_warnings(answer);
    free(traces);
    spans_free(&spans);
    return EXIT_SUCCESS;
}

/* How many traces an answer has, at most `enough`: to see whether to look among faster ones. */
static bool has_enough(const json_t *answer, size_t enough)
{
    struct shown_spans spans;
    struct slow_trace *traces = NULL;
    long count = spans_read(answer, &spans) ? gather(&spans, NULL, &traces) : -1;

    free(traces);
    spans_free(&spans);
    return count < 0 || (size_t)count >= enough;
}

/* The answer to show, or NULL with a reason. */
static json_t *ask(const char *path, const struct slow_options *options, char *reason)
{
    static const char *const minima[] = {"1s", "100ms", "10ms"};
    enum { MINIMUM_COUNT = sizeof minima / sizeof minima[0] };

    for (size_t i = 0; i < MINIMUM_COUNT && !options->has_minimum; i++) {
        char narrowed[PATH_BYTES];
        (void)snprintf(narrowed, sizeof narrowed, "%s", path);
        if (!api_add_argument(narrowed, sizeof narrowed, "min_duration", minima[i])) {
            break;
        }
        json_t *answer = api_get(options->api, narrowed, reason);
        if (answer == NULL || has_enough(answer, options->count)) {
            return answer;
        }
        json_decref(answer);
    }
    return api_get(options->api, path, reason);
}

static bool take_count(const char *text, size_t *ret_count)
{
    char *end;
    unsigned long count = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || count == 0 || count > SHOWN_COUNT_MAX) {
        fprintf(stderr, "weft slow: --count expects a number from 1 to %d\n", SHOWN_COUNT_MAX);
        return false;
    }
    *ret_count = count;
    return true;
}

/* Returns whether the option made sense. */
static bool take_option(int option, struct slow_options *options, char *path)
{
    switch (option) {
    case 'j':
        options->as_json = true;
        return true;
    case 'a':
        options->api = optarg;
        return true;
    case 'n':
        return take_count(optarg, &options->count);
    case 'm':
        options->has_minimum = true;
        return api_add_argument(path, PATH_BYTES, "min_duration", optarg);
    case 's':
        return api_add_argument(path, PATH_BYTES, "since", optarg);
    case 'r':
        return api_add_argument(path, PATH_BYTES, "route", optarg);
    case 'e':
        return api_add_argument(path, PATH_BYTES, "error", "true");
    default:
        return false;
    }
}

int cmd_slow(int argc, char **argv)
{
    static const struct option known[] = {
        {"min", required_argument, NULL, 'm'},
        {"since", required_argument, NULL, 's'},
        {"route", required_argument, NULL, 'r'},
        {"error", no_argument, NULL, 'e'},
        {"count", required_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},
        {"api", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct slow_options options = {.count = SHOWN_COUNT};
    char path[PATH_BYTES] = "/api/v1/traces";
    char reason[API_REASON_BYTES];
    int option;

    while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_SUCCESS;
        }
        if (!take_option(option, &options, path)) {
            return EXIT_USAGE;
        }
    }
    options.service = optind < argc ? argv[optind] : NULL;
    if (optind + 1 < argc) {
        fprintf(stderr, "weft slow: unexpected '%s'; --help tells more\n", argv[optind + 1]);
        return EXIT_USAGE;
    }
    char limit[24];
    (void)snprintf(
        limit, sizeof limit, "%zu", options.count > ASKED_COUNT ? options.count : (size_t)ASKED_COUNT);
    if ((options.service != NULL && !api_add_argument(path, sizeof path, "service", options.service)) ||
        !api_add_argument(path, sizeof path, "limit", limit)) {
        return EXIT_USAGE;
    }
    json_t *answer = ask(path, &options, reason);
    if (answer == NULL) {
        fprintf(stderr, "weft slow: %s\n", reason);
        return EXIT_FAILURE;
    }
    int code = EXIT_SUCCESS;
    if (options.as_json) {
        (void)json_dumpf(answer, stdout, JSON_INDENT(2));
        printf("\n");
    } else {
        code = print_table(answer, &options);
    }
    json_decref(answer);
    return code;
}

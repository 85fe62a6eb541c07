/* `weft slow [SERVICE]`: the slowest traces that the agent holds, from /api/v1/traces. One thread. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/answers.h"
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

struct slow_options {
    struct answer_options answer;
    const char *service; /* NULL: any */
    const char *min;
    const char *since;
    const char *route;
    bool errors;
    unsigned long count;
    const char *path; /* of the question without a duration */
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
static json_t *ask(void *user, char *reason)
{
    const struct slow_options *options = user;
    static const char *const minima[] = {"1s", "100ms", "10ms"};
    enum { MINIMUM_COUNT = sizeof minima / sizeof minima[0] };

    for (size_t i = 0; i < MINIMUM_COUNT && options->min == NULL; i++) {
        char narrowed[PATH_BYTES];
        (void)snprintf(narrowed, sizeof narrowed, "%s", options->path);
        if (!api_add_argument(narrowed, sizeof narrowed, "min_duration", minima[i])) {
            break;
        }
        json_t *answer = api_get(options->answer.api, narrowed, reason);
        if (answer == NULL || has_enough(answer, options->count)) {
            return answer;
        }
        json_decref(answer);
    }
    return api_get(options->answer.api, options->path, reason);
}

static int show(void *user, const json_t *answer)
{
    return print_table(answer, user);
}

static const struct option_row rows[] = {
    {.name = "min",
        .value = "DURATION",
        .help = "spans of at least this: 250ms, 1.5s",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct slow_options, min)},
    {.name = "since",
        .value = "DURATION",
        .help = "started no longer ago than this: 5m",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct slow_options, since)},
    {.name = "route",
        .value = "ROUTE",
        .help = "a route or a span's name",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct slow_options, route)},
    {.name = "error",
        .help = "only with an error",
        .kind = OPTION_FLAG,
        .offset = offsetof(struct slow_options, errors)},
    {.name = "count",
        .value = "N",
        .help = "how many (default 20)",
        .kind = OPTION_COUNT,
        .offset = offsetof(struct slow_options, count),
        .most = SHOWN_COUNT_MAX},
    {.name = NULL},
};

static bool make_path(const struct command_line *line, const struct slow_options *options, char *path)
{
    char limit[24];

    (void)snprintf(limit, sizeof limit, "%lu",
        options->count > ASKED_COUNT ? options->count : (unsigned long)ASKED_COUNT);
    return answers_add_argument(line, path, PATH_BYTES, "service", options->service) &&
           answers_add_argument(line, path, PATH_BYTES, "min_duration", options->min) &&
           answers_add_argument(line, path, PATH_BYTES, "since", options->since) &&
           answers_add_argument(line, path, PATH_BYTES, "route", options->route) &&
           answers_add_argument(line, path, PATH_BYTES, "error", options->errors ? "true" : NULL) &&
           answers_add_argument(line, path, PATH_BYTES, "limit", limit);
}

int cmd_slow(int argc, char **argv)
{
    struct slow_options options = {.count = SHOWN_COUNT};
    const char *operands[OPERANDS_MAX];
    char path[PATH_BYTES] = "/api/v1/traces";
    const struct command_line line = {
        .name = "slow",
        .operands = "[SERVICE]",
        .about = "Shows the slowest traces that the agent (and its peers) still hold; of a service, those in "
                 "which its\n"
                 "own spans are slowest. Without --min it looks for 1s and more, then 100ms, 10ms and all.\n",
        .groups = {{rows, &options}, {answer_watch_rows, &options.answer}, {answer_rows, &options.answer}},
        .examples = "  weft slow\n"
                    "  weft slow cart --since 5m --error\n"
                    "  weft trace $(weft slow cart --count 1 | awk 'NR == 2 { print $2 }')\n",
        .exit_codes = "Exit code 0, also when there is none; 1 when no agent answers; 2 for wrong usage.\n",
        .operands_max = 1,
    };
    int code = options_read(&line, argc, argv, operands);

    if (code != OPTIONS_GO_ON) {
        return code;
    }
    options.service = operands[0];
    options.path = path;
    if (!make_path(&line, &options, path)) {
        return EXIT_USAGE;
    }
    struct answers answers = {
        .command = line.name, .options = &options.answer, .ask = ask, .show = show, .user = &options};
    return answers_run(&answers);
}

/*
 * `weft emit`: sends spans and counters from a shell through libweft, and waits until the agent has
 * acknowledged them. One thread, beside libweft's own.
 */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/span_fields.h"
#include "weft/weft.h"

enum { COUNTERS_MAX = 64, TIMEOUT_MS = 5000 };

static const char help[] =
    "usage: weft emit [OPTION…]\n"
    "Sends spans to the agent and waits until it has acknowledged them.\n\n"
    "  --socket PATH           the agent's socket (else WEFT_SOCKET, else the usual places)\n"
    "  --reporter SIDE         source (default), destination or waypoint\n"
    "  --source NAME  --source-namespace NAME  --destination NAME  --destination-namespace NAME\n"
    "  --route PATTERN  --method METHOD  --protocol http1|http2|http3|grpc|tcp\n"
    "  --code STATUS           HTTP status (default 200; 0: no response)  --grpc-status 0…16\n"
    "  --duration TIME         12.5ms, 3us, 2s (default 10ms)  --attempts N\n"
    "  --request-bytes N  --response-bytes N  --flags BITS\n"
    "  --trace-id HEX  --span-id HEX  --parent-id HEX  --start-unix-ns N   (else random ids, and now less "
    "the duration)\n"
    "  --count N               spans to send (default 1; 0 with --counter alone)\n"
    "  --rate N                spans a second (default: as fast as they go)\n"
    "  --stdin                 one span a line: a JSON object, or CSV whose first line names the columns; "
    "the names are\n"
    "                          those of the options, with _ for -; options give what a line leaves out\n"
    "  --counter NAME=VALUE    a counter of that name with that value; may be given again\n"
    "  --workload NAME  --workload-namespace NAME   who is said to send\n"
    "  --timeout TIME          for the acknowledgement (default 5s)\n"
    "  --compress              compress with zstd\n"
    "  --json                  print what became of the records as JSON\n\n"
    "examples:\n"
    "  weft emit --source web --destination cart --route '/cart/{id}' --code 503 --count 20\n"
    "  weft emit --stdin < spans.csv\n"
    "  weft emit --count 0 --counter orders_total=12 --workload cart\n\n"
    "Exit code 0 when all was acknowledged and nothing was rejected or dropped, else 1; 2 for wrong usage.\n";

struct emit {
    struct weft_client *client;
    struct span_draft draft; /* what the options say */
    uint64_t count;
    double rate;
    bool from_stdin;
    bool json;
    uint64_t timeout_ns;
    const char *counters[COUNTERS_MAX];
    size_t counter_count;
    uint64_t random;
    uint64_t sent;
    struct timespec start;
};

enum {
    OPTION_SOCKET = 1,
    OPTION_COUNT,
    OPTION_RATE,
    OPTION_STDIN,
    OPTION_COUNTER,
    OPTION_WORKLOAD,
    OPTION_NAMESPACE,
    OPTION_TIMEOUT,
    OPTION_COMPRESS,
    OPTION_JSON,
    OPTION_HELP,
    OPTION_FIELD, /* a span's field of the same name */
};

static const struct option long_options[] = {
    {"socket", required_argument, NULL, OPTION_SOCKET},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"stdin", no_argument, NULL, OPTION_STDIN},
    {"counter", required_argument, NULL, OPTION_COUNTER},
    {"workload", required_argument, NULL, OPTION_WORKLOAD},
    {"workload-namespace", required_argument, NULL, OPTION_NAMESPACE},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"compress", no_argument, NULL, OPTION_COMPRESS},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, OPTION_HELP},
    {"reporter", required_argument, NULL, OPTION_FIELD},
    {"source", required_argument, NULL, OPTION_FIELD},
    {"source-namespace", required_argument, NULL, OPTION_FIELD},
    {"destination", required_argument, NULL, OPTION_FIELD},
    {"destination-namespace", required_argument, NULL, OPTION_FIELD},
    {"route", required_argument, NULL, OPTION_FIELD},
    {"method", required_argument, NULL, OPTION_FIELD},
    {"protocol", required_argument, NULL, OPTION_FIELD},
    {"code", required_argument, NULL, OPTION_FIELD},
    {"grpc-status", required_argument, NULL, OPTION_FIELD},
    {"attempts", required_argument, NULL, OPTION_FIELD},
    {"request-bytes", required_argument, NULL, OPTION_FIELD},
    {"response-bytes", required_argument, NULL, OPTION_FIELD},
    {"duration", required_argument, NULL, OPTION_FIELD},
    {"start-unix-ns", required_argument, NULL, OPTION_FIELD},
    {"flags", required_argument, NULL, OPTION_FIELD},
    {"trace-id", required_argument, NULL, OPTION_FIELD},
    {"span-id", required_argument, NULL, OPTION_FIELD},
    {"parent-id", required_argument, NULL, OPTION_FIELD},
    {NULL, 0, NULL, 0},
};

static bool fail(const char *what, const char *text)
{
    fprintf(stderr, "weft emit: %s '%s'\n", what, text);
    return false;
}

static bool parse_count(const char *text, uint64_t *ret_count)
{
    char *end;

    errno = 0;
    uint64_t count = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || text[0] == '-') {
        return fail("not a count:", text);
    }
    *ret_count = count;
    return true;
}

static bool parse_rate(const char *text, double *ret_rate)
{
    char *end;
    double rate = strtod(text, &end);

    if (end == text || *end != '\0' || !(rate > 0) || rate > 1e9) {
        return fail("not a rate:", text);
    }
    *ret_rate = rate;
    return true;
}

/* What does not need the client. Span fields follow once it is open, since their strings are interned. */
static bool take_option(struct emit *emit, struct weft_options *options, int option)
{
    assert(options != NULL); /* the first pass over the options has them */
    switch (option) {
    case OPTION_SOCKET:
        options->socket_path = optarg;
        return true;
    case OPTION_COUNT:
        return parse_count(optarg, &emit->count);
    case OPTION_RATE:
        return parse_rate(optarg, &emit->rate);
    case OPTION_STDIN:
        emit->from_stdin = true;
        return true;
    case OPTION_COUNTER:
        if (emit->counter_count == COUNTERS_MAX || strchr(optarg, '=') == NULL) {
            return fail("not NAME=VALUE, or too many:", optarg);
        }
        emit->counters[emit->counter_count++] = optarg;
        return true;
    case OPTION_WORKLOAD:
        options->workload = optarg;
        return true;
    case OPTION_NAMESPACE:
        options->workload_namespace = optarg;
        return true;
    case OPTION_TIMEOUT:
        return parse_duration(optarg, &emit->timeout_ns) || fail("not a time:", optarg);
    case OPTION_COMPRESS:
        options->compression_level = 1;
        return true;
    case OPTION_JSON:
        emit->json = true;
        return true;
    default:
        return option == OPTION_FIELD;
    }
}

static bool take_field(struct emit *emit, const char *option_name, const char *text)
{
    char name[32];

    snprintf(name, sizeof name, "%s", option_name);
    for (char *at = name; *at != '\0'; at++) {
        *at = *at == '-' ? '_' : *at;
    }
    return span_field_set(emit->client, &emit->draft, name, text) == 0 || fail("value does not fit:", text);
}

/* Both passes over the options: 0, or EXIT_USAGE, or -1 for --help. */
static int parse_options(struct emit *emit, struct weft_options *options, int argc, char **argv)
{
    int option;
    int index = 0;

    optind = 0; /* glibc: start anew */
    while ((option = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        if (option == OPTION_HELP) {
            return -1;
        }
        bool fits = emit->client == NULL     ? take_option(emit, options, option)
                    : option == OPTION_FIELD ? take_field(emit, long_options[index].name, optarg)
                                             : true;
        if (!fits) {
            return EXIT_USAGE;
        }
    }
    if (optind != argc) {
        fail("unexpected", argv[optind]);
        return EXIT_USAGE;
    }
    return 0;
}

static uint64_t next_random(struct emit *emit)
{
    emit->random ^= emit->random << 13;
    emit->random ^= emit->random >> 7;
    emit->random ^= emit->random << 17;
    return emit->random;
}

static uint64_t unix_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void wait_for_turn(const struct emit *emit)
{
    if (emit->rate <= 0) {
        return;
    }
    double after_s = (double)emit->sent / emit->rate;
    struct timespec until = emit->start;
    until.tv_sec += (time_t)after_s;
    until.tv_nsec += (long)((after_s - (double)(time_t)after_s) * 1e9);
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

/* Ids and start that were not told are made now. A full buffer is waited for: this is no proxy. */
static void send_span(struct emit *emit, const struct span_draft *draft)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    struct weft_span span = draft->span;
    uint64_t waited_ns = 0;

    wait_for_turn(emit);
    for (size_t i = 0; i < sizeof span.trace_id && !draft->has_trace_id; i++) {
        span.trace_id[i] = (uint8_t)(next_random(emit) >> 32);
    }
    for (size_t i = 0; i < sizeof span.span_id && !draft->has_span_id; i++) {
        span.span_id[i] = (uint8_t)(next_random(emit) >> 32);
    }
    if (span.start_time_unix_ns == 0) {
        span.start_time_unix_ns = unix_now_ns() - span.duration_ns;
    }
    emit->sent++;
    while (weft_record_span(emit->client, &span) != 0 && waited_ns < emit->timeout_ns) {
        nanosleep(&pause, NULL);
        waited_ns += 1000000;
    }
}

static bool take_csv_line(
    struct emit *emit, char *line, char *columns[static SPAN_COLUMNS_MAX], int column_count)
{
    char *values[SPAN_COLUMNS_MAX];
    struct span_draft draft = emit->draft;

    if (csv_cut(line, values) != column_count) {
        return fail("CSV line does not have as many fields as the first:", line);
    }
    for (int i = 0; i < column_count; i++) {
        if (values[i][0] != '\0' && span_field_set(emit->client, &draft, columns[i], values[i]) != 0) {
            return fail("value does not fit:", values[i]);
        }
    }
    send_span(emit, &draft);
    return true;
}

static bool take_json_line(struct emit *emit, const char *line)
{
    char why[160];
    struct span_draft draft = emit->draft;

    if (span_from_json(emit->client, &draft, line, why, sizeof why) != 0) {
        return fail("JSON line:", why);
    }
    send_span(emit, &draft);
    return true;
}

/* The first line of CSV: *columns points into `header`, which the caller keeps. */
static int take_csv_header(char *header, char *columns[static SPAN_COLUMNS_MAX])
{
    int count = csv_cut(header, columns);

    for (int i = 0; i < count; i++) {
        if (!span_field_exists(columns[i])) {
            fail("no field", columns[i]);
            return WEFT_ERROR_INVALID;
        }
    }
    return count;
}

/* Lines until the end of input; false at the first that is wrong (those before it are sent). */
static bool send_stdin(struct emit *emit, FILE *input)
{
    char *columns[SPAN_COLUMNS_MAX];
    int column_count = 0;
    char *header = NULL;
    char *line = NULL;
    size_t line_bytes = 0;
    bool fine = true;
    ssize_t length;

    while (fine && (length = getline(&line, &line_bytes, input)) >= 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (length > SPAN_LINE_BYTES_MAX) {
            fine = fail("line too long:", "--stdin");
        } else if (line[0] == '\0') {
            continue;
        } else if (line[0] == '{') {
            fine = take_json_line(emit, line);
        } else if (header == NULL) {
            header = line; /* columns point into it */
            line = NULL;
            line_bytes = 0;
            column_count = take_csv_header(header, columns);
            fine = column_count > 0;
        } else {
            fine = take_csv_line(emit, line, columns, column_count);
        }
    }
    free(header);
    free(line);
    return fine;
}

static bool send_counter(struct emit *emit, const char *text)
{
    struct weft_counter *counter;
    uint64_t value;
    char name[256];
    const char *equals = strchr(text, '=');

    snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
    const struct weft_metric metric = {.name = name};
    if (!parse_count(equals + 1, &value)) {
        return false;
    }
    if (weft_counter_new(emit->client, &metric, &counter) != 0) {
        return fail("not a counter:", text);
    }
    weft_counter_add(counter, value);
    return true;
}

static void print_stats(const struct emit *emit, const struct weft_stats *stats)
{
    static const char json_format[] =
        "{\"sent\":%" PRIu64 ",\"acknowledged\":%" PRIu64 ",\"rejected\":%" PRIu64 ",\"dropped\":%" PRIu64
        ",\"points\":%" PRIu64 ",\"points_acknowledged\":%" PRIu64 ",\"points_rejected\":%" PRIu64
        ",\"batches\":%" PRIu64 ",\"errors\":%" PRIu64 "}\n";

    if (emit->json) {
        printf(json_format, emit->sent, stats->acknowledged_spans, stats->rejected_spans,
            emit->sent > stats->recorded_spans ? emit->sent - stats->recorded_spans : 0, stats->sent_points,
            stats->acknowledged_points, stats->rejected_points, stats->batches, stats->errors);
    }
    if (stats->last_error[0] != '\0') {
        fprintf(stderr, "weft emit: %s\n", stats->last_error);
    }
}

static bool send_all(struct emit *emit)
{
    for (size_t i = 0; i < emit->counter_count; i++) {
        if (!send_counter(emit, emit->counters[i])) {
            return false;
        }
    }
    if (emit->from_stdin) {
        return send_stdin(emit, stdin);
    }
    for (uint64_t i = 0; i < emit->count; i++) {
        send_span(emit, &emit->draft);
    }
    return true;
}

static int run(struct emit *emit, int argc, char **argv)
{
    struct weft_stats stats;

    span_field_set(emit->client, &emit->draft, "reporter", "source");
    span_field_set(emit->client, &emit->draft, "code", "200");
    span_field_set(emit->client, &emit->draft, "duration", "10ms");
    int code = parse_options(emit, NULL, argc, argv);
    if (code != 0) {
        return code;
    }
    bool fine = send_all(emit);
    int error = weft_flush(emit->client, (uint32_t)(emit->timeout_ns / 1000000));
    weft_stats(emit->client, &stats);
    print_stats(emit, &stats);
    if (error != 0) {
        fprintf(stderr, "weft emit: %" PRIu64 " of %" PRIu64 " spans acknowledged in time\n",
            stats.acknowledged_spans, emit->sent);
    }
    bool whole = error == 0 && stats.acknowledged_spans == emit->sent && stats.rejected_spans == 0 &&
                 stats.rejected_points == 0 && stats.acknowledged_points >= emit->counter_count;
    return fine && whole ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_emit(int argc, char **argv)
{
    struct emit emit = {.count = UINT64_MAX, .timeout_ns = TIMEOUT_MS * UINT64_C(1000000)};
    struct weft_options options;

    weft_options_init(&options);
    options.workload = "weft-emit";
    options.batch_interval_ms = 20;
    int code = parse_options(&emit, &options, argc, argv);
    if (code != 0) {
        fputs(help, code < 0 ? stdout : stderr);
        return code < 0 ? EXIT_SUCCESS : code;
    }
    if (emit.count == UINT64_MAX) {
        emit.count = emit.counter_count > 0 ? 0 : 1;
    }
    options.close_timeout_ms = 0; /* run has waited */
    clock_gettime(CLOCK_MONOTONIC, &emit.start);
    if (getrandom(&emit.random, sizeof emit.random, 0) != (ssize_t)sizeof emit.random) {
        emit.random = unix_now_ns();
    }
    emit.random |= 1;
    int error = weft_open(&options, &emit.client);
    if (error != 0) {
        fprintf(stderr, "weft emit: cannot make a client: %s\n",
            error == WEFT_ERROR_INVALID ? "the socket's path or a name is too long"
                                        : "out of memory or descriptors");
        return EXIT_FAILURE;
    }
    code = run(&emit, argc, argv);
    weft_close(emit.client);
    return code;
}

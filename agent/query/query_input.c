/* Arguments: their texts to values, with what was expected when they make no sense. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "query/query_internal.h"

static const double default_quantiles[] = {0.5, 0.9, 0.99, 0.999};

void query_reject(struct query_input *input, const char *argument, const char *message)
{
    if (input->bad_argument == NULL) {
        input->bad_argument = argument;
        (void)snprintf(input->message, sizeof input->message, "%s", message);
    }
}

const char *query_text(const struct query_input *input, const char *name)
{
    for (size_t i = 0; i < input->argument_count; i++) {
        if (strcmp(input->arguments[i].name, name) == 0) {
            return input->arguments[i].value;
        }
    }
    return NULL;
}

uint64_t query_number(struct query_input *input, const char *name, uint64_t unless, uint64_t most)
{
    const char *text = query_text(input, name);
    uint64_t number = 0;

    if (text == NULL) {
        return unless;
    }
    for (const char *at = text; at == text || *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || number > most / 10) {
            query_reject(input, name, "expected a whole number, not as large");
            return unless;
        }
        number = number * 10 + (uint64_t)(*at - '0');
    }
    if (number > most) {
        query_reject(input, name, "expected a whole number, not as large");
        return unless;
    }
    return number;
}

static enum window_span parse_window(struct query_input *input)
{
    const char *text = query_text(input, "window");
    enum window_span span = WINDOW_1M;

    if (text != NULL && window_span_of(slice_of_string(text), &span) < 0) {
        query_reject(input, "window", "expected 10s, 1m, 5m, 15m or 1h");
    }
    return span;
}

const char *query_window_name(enum window_span span)
{
    static const char *const names[WINDOW_SPAN_COUNT] = {
        [WINDOW_10S] = "10s",
        [WINDOW_1M] = "1m",
        [WINDOW_5M] = "5m",
        [WINDOW_15M] = "15m",
        [WINDOW_1H] = "1h",
    };

    return names[span];
}

static size_t parse_quantiles(struct query_input *input, double quantiles[static QUERY_QUANTILE_COUNT_MAX])
{
    const char *text = query_text(input, "q");
    size_t count = 0;

    if (text == NULL) {
        memcpy(quantiles, default_quantiles, sizeof default_quantiles);
        return sizeof default_quantiles / sizeof default_quantiles[0];
    }
    for (;;) {
        char *end;
        double q = strtod(text, &end);
        if (end == text || !isfinite(q) || q < 0 || q > 1 || (*end != ',' && *end != '\0')) {
            query_reject(input, "q", "expected numbers from 0 to 1 with commas in between");
            return 0;
        }
        if (count == QUERY_QUANTILE_COUNT_MAX) {
            query_reject(input, "q", "expected at most 16 numbers");
            return 0;
        }
        quantiles[count++] = q;
        if (*end == '\0') {
            return count;
        }
        text = end + 1;
    }
}

bool query_reporter(struct query_input *input, enum reporter *ret_reporter)
{
    const char *text = query_text(input, "reporter");

    if (text == NULL) {
        return false;
    }
    for (int reporter = 0; reporter < REPORTER_COUNT; reporter++) {
        if (strcmp(text, reporter_name((enum reporter)reporter)) == 0) {
            *ret_reporter = (enum reporter)reporter;
            return true;
        }
    }
    query_reject(input, "reporter", "expected source, destination or waypoint");
    return false;
}

struct query_scan *query_scan_new(struct query_input *input)
{
    struct query_scan *scan = calloc(1, sizeof *scan);

    if (scan == NULL) {
        return NULL;
    }
    scan->quantile_count = parse_quantiles(input, scan->quantiles);
    scan->span = parse_window(input);
    if (input->bad_argument != NULL) {
        free(scan);
        return NULL;
    }
    return scan;
}

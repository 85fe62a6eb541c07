/* /api/v1/latency: quantiles of one edge, one destination or one route, in seconds. */
#include <stdlib.h>
#include <string.h>

#include "aggregate/series_key.h"
#include "core/error.h"
#include "query/query_internal.h"

static struct slice filter_text(const struct query_input *input, const char *name)
{
    const char *text = query_text(input, name);

    return text != NULL ? slice_of_string(text) : slice_of(NULL, 0);
}

/* `of`: durations, or what only joined spans tell. */
static uint8_t time_of(struct query_input *input)
{
    const char *text = query_text(input, "of");

    if (text == NULL || strcmp(text, "duration") == 0) {
        return 0;
    }
    if (strcmp(text, "self") == 0) {
        return TIME_OF_SERVICE;
    }
    if (strcmp(text, "network") == 0) {
        return TIME_OF_NETWORK;
    }
    query_reject(input, "of", "expected duration, self or network");
    return 0;
}

const char *query_latency_reporter(const struct latency_filter *filter)
{
    return filter->time_of != 0 ? "joined" : reporter_name(filter->reporter);
}

int query_latency_look_up(const struct query_sources *sources, struct query_input *input,
    struct latency_filter *filter, struct query_scan *scan, struct window_values *values)
{
    bool given = query_reporter(input, &filter->reporter);

    filter->time_of = time_of(input);
    if (given && filter->time_of != 0) {
        query_reject(input, "reporter", "self and network times have no reporter");
    }
    if (input->bad_argument != NULL) {
        return 0;
    }
    if (!given) {
        filter->reporter = REPORTER_SOURCE;
    }
    int found = aggregator_latency(sources->aggregator, filter, scan->span, &scan->flat, values);
    if (found == 0 && !given && filter->time_of == 0) {
        filter->reporter = REPORTER_DESTINATION;
        found = aggregator_latency(sources->aggregator, filter, scan->span, &scan->flat, values);
    }
    if (found == WERR_UNSUPPORTED) {
        query_reject(input, "route",
            "windows are kept by source and destination, or by destination and route: "
            "leave out source or route");
    }
    return found;
}

struct latency_filter query_latency_filter(struct query_input *input)
{
    struct latency_filter filter = {
        .source = filter_text(input, "source"),
        .source_namespace = filter_text(input, "source_namespace"),
        .destination = filter_text(input, "destination"),
        .destination_namespace = filter_text(input, "destination_namespace"),
        .route = filter_text(input, "route"),
        .mesh = filter_text(input, "mesh"),
    };

    if (filter.destination.ptr == NULL && filter.source.ptr == NULL) {
        query_reject(input, "destination", "expected a source or a destination");
    }
    return filter;
}

json_t *query_latency(const struct query_sources *sources, struct query_input *input)
{
    struct latency_filter filter = query_latency_filter(input);
    struct window_values values = {.covered_ns = 0};
    uint64_t total;

    struct query_scan *scan = query_scan_new(input);
    if (scan == NULL) {
        return NULL;
    }
    (void)query_latency_look_up(sources, input, &filter, scan, &values);
    json_t *answer = NULL;
    if (input->bad_argument == NULL) {
        json_t *outcomes = query_json_outcomes(&values, &total);
        answer = json_pack("{s:s,s:s,s:f,s:I,s:o,s:o}", "window", query_window_name(scan->span), "reporter",
            query_latency_reporter(&filter), "covered_seconds", (double)values.covered_ns / 1e9, "requests",
            (json_int_t)total, "outcomes", outcomes, "quantiles", query_json_quantiles(scan));
    }
    free(scan);
    return answer;
}

/* /api/v1/edges and /api/v1/services: who calls whom, how often, how well, how fast. */
#include <stdlib.h>
#include <string.h>

#include "query/query_internal.h"

/* What an edge of the walk is compared with; NULL: anything. */
struct edge_filter {
    bool has_reporter;
    enum reporter reporter;
    const char *source;
    const char *destination;
    const char *mesh;
    const char *origin;
};

static const char *origin_of(const struct edge_view *edge)
{
    return edge->is_scraped ? "scrape" : "records";
}

static bool is_text(struct slice text, const char *wanted)
{
    return wanted == NULL || slice_equal(text, slice_of_string(wanted));
}

static bool passes(const struct edge_filter *filter, const struct edge_view *edge)
{
    return (!filter->has_reporter || edge->reporter == filter->reporter) &&
           is_text(edge->source, filter->source) && is_text(edge->destination, filter->destination) &&
           is_text(edge->mesh, filter->mesh) &&
           (filter->origin == NULL || strcmp(filter->origin, origin_of(edge)) == 0);
}

static json_t *edge_json(const struct edge_view *edge, const struct query_scan *scan)
{
    uint64_t total;
    json_t *outcomes = query_json_outcomes(&edge->values, &total);

    return json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:I,s:o,s:f,s:o}", "origin", origin_of(edge), "reporter",
        reporter_name(edge->reporter), "source", query_json_text(edge->source), "source_namespace",
        query_json_text(edge->source_namespace), "destination", query_json_text(edge->destination),
        "destination_namespace", query_json_text(edge->destination_namespace), "mesh",
        query_json_text(edge->mesh), "requests", (json_int_t)total, "outcomes", outcomes, "covered_seconds",
        (double)edge->values.covered_ns / 1e9, "quantiles", query_json_quantiles(scan));
}

json_t *query_edges(const struct query_sources *sources, struct query_input *input)
{
    struct edge_filter filter = {.source = query_text(input, "source"),
        .destination = query_text(input, "destination"),
        .mesh = query_text(input, "mesh"),
        .origin = query_text(input, "origin")};
    struct edge_view edge;
    uint32_t cursor = 0;

    filter.has_reporter = query_reporter(input, &filter.reporter);
    if (filter.origin != NULL && strcmp(filter.origin, "records") != 0 &&
        strcmp(filter.origin, "scrape") != 0) {
        query_reject(input, "origin", "expected records or scrape");
    }
    struct query_scan *scan = query_scan_new(input);
    if (scan == NULL) {
        return NULL;
    }
    json_t *list = json_array();
    while (json_array_size(list) < QUERY_LIMIT_MAX &&
           aggregator_next_edge(sources->aggregator, &cursor, scan->span, &scan->flat, &edge) > 0) {
        if (passes(&filter, &edge)) {
            (void)json_array_append_new(list, edge_json(&edge, scan));
        }
    }
    enum window_span span = scan->span;
    free(scan);
    return json_pack("{s:s,s:o}", "window", query_window_name(span), "edges", list);
}

/* What a service received in the window, as its callers say, or as it says itself where no caller reports. */
static json_t *inbound_json(
    const struct query_sources *sources, const struct service_view *service, struct query_scan *scan)
{
    struct latency_filter filter = {
        .reporter = REPORTER_DESTINATION,
        .destination = service->name,
        .destination_namespace = service->name_space,
        .mesh = service->mesh,
    };
    struct window_values values = {.covered_ns = 0};
    uint64_t total;

    if (aggregator_latency(sources->aggregator, &filter, scan->span, &scan->flat, &values) == 0) {
        filter.reporter = REPORTER_SOURCE;
        (void)aggregator_latency(sources->aggregator, &filter, scan->span, &scan->flat, &values);
    }
    json_t *outcomes = query_json_outcomes(&values, &total);
    return json_pack("{s:o,s:o,s:o,s:s,s:I,s:o,s:o}", "name", query_json_text(service->name), "namespace",
        query_json_text(service->name_space), "mesh", query_json_text(service->mesh), "reporter",
        reporter_name(filter.reporter), "requests", (json_int_t)total, "outcomes", outcomes, "quantiles",
        query_json_quantiles(scan));
}

json_t *query_services(const struct query_sources *sources, struct query_input *input)
{
    const char *mesh = query_text(input, "mesh");
    struct service_view service;
    uint32_t cursor = 0;

    struct query_scan *scan = query_scan_new(input);
    if (scan == NULL) {
        return NULL;
    }
    json_t *list = json_array();
    while (json_array_size(list) < QUERY_LIMIT_MAX &&
           aggregator_next_service(sources->aggregator, &cursor, &service) > 0) {
        if (is_text(service.mesh, mesh)) {
            (void)json_array_append_new(list, inbound_json(sources, &service, scan));
        }
    }
    enum window_span span = scan->span;
    free(scan);
    return json_pack("{s:s,s:o}", "window", query_window_name(span), "services", list);
}

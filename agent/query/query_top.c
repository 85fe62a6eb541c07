/*
 * /api/v1/top: destinations, routes or edges, ranked and cut. Latencies are read of the rows that are shown,
 * and of all only when they decide the order. The aggregator's thread.
 */
#include "query/query_top.h"

#include <stdlib.h>
#include <string.h>

#include "histogram/quantile.h"

/* ---- the question ---- */

static enum top_by read_by(struct query_input *input)
{
    static const char *const names[] = {
        [TOP_BY_DESTINATION] = "destination", [TOP_BY_ROUTE] = "route", [TOP_BY_EDGE] = "edge"};
    const char *text = query_text(input, "by");

    for (size_t i = 0; text != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            return (enum top_by)i;
        }
    }
    if (text != NULL) {
        query_reject(input, "by", "expected destination, route or edge");
    }
    return TOP_BY_DESTINATION;
}

static void read_sort(struct query_input *input, struct top_question *question)
{
    static const struct {
        const char *name;
        enum top_sort sort;
        double quantile;
    } names[] = {
        {"rate", TOP_SORT_RATE, 0},
        {"failed", TOP_SORT_FAILED, 0},
        {"p50", TOP_SORT_QUANTILE, 0.5},
        {"p90", TOP_SORT_QUANTILE, 0.9},
        {"p99", TOP_SORT_QUANTILE, 0.99},
        {"p99.9", TOP_SORT_QUANTILE, 0.999},
        {"name", TOP_SORT_NAME, 0},
    };
    const char *text = query_text(input, "sort");

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (text == NULL || strcmp(text, names[i].name) == 0) {
            question->sort = names[i].sort;
            question->sort_quantile = names[i].quantile;
            return;
        }
    }
    query_reject(input, "sort", "expected rate, failed, p50, p90, p99, p99.9 or name");
}

struct top_question top_question_read(struct query_input *input)
{
    struct top_question question = {
        .by = read_by(input),
        .limit = query_number(input, "limit", TOP_ROWS_DEFAULT, QUERY_LIMIT_MAX),
        .service = query_text(input, "service"),
        .name_space = query_text(input, "namespace"),
        .source = query_text(input, "source"),
        .source_namespace = query_text(input, "source_namespace"),
        .destination = query_text(input, "destination"),
        .destination_namespace = query_text(input, "destination_namespace"),
        .route = query_text(input, "route"),
        .mesh = query_text(input, "mesh"),
        .match = query_text(input, "match"),
    };

    read_sort(input, &question);
    question.has_reporter = query_reporter(input, &question.reporter);
    (void)query_number(input, "max_age_ms", 0, QUERY_AGE_MS_MAX);
    if (question.by == TOP_BY_DESTINATION && question.route != NULL) {
        query_reject(input, "route", "goes with by=route or by=edge");
    }
    if (question.by == TOP_BY_ROUTE && (question.source != NULL || question.source_namespace != NULL)) {
        query_reject(input, "source", "a route's windows are of all callers: by=edge with route tells them");
    }
    return question;
}

/* ---- order ---- */

static void read_latencies(
    const struct aggregator *aggregator, const struct top_row *row, struct query_scan *scan)
{
    histogram_flat_reset(&scan->flat);
    for (size_t i = 0; i < row->count; i++) {
        aggregator_traffic_latencies(aggregator, &row->first[i], scan->span, &scan->flat);
    }
}

static double order_of(const struct aggregator *aggregator, const struct top_question *question,
    const struct top_row *row, struct query_scan *scan)
{
    const uint64_t *outcomes = row->values.outcomes;
    double failed = (double)(outcomes[OUTCOME_SERVER_ERROR] + outcomes[OUTCOME_NO_RESPONSE]);
    double requests = 0;
    double value = 0;

    for (int i = 0; i < OUTCOME_COUNT; i++) {
        requests += (double)outcomes[i];
    }
    switch (question->sort) {
    case TOP_SORT_RATE:
        return requests / (double)(row->values.covered_ns + 1);
    case TOP_SORT_FAILED:
        return requests > 0 ? failed / requests : 0;
    case TOP_SORT_QUANTILE:
        read_latencies(aggregator, row, scan);
        (void)quantile_seconds(&scan->flat, question->sort_quantile, &value);
        return value;
    case TOP_SORT_NAME:
        break;
    }
    return 0;
}

static int compare_texts(struct slice a, struct slice b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter > 0 ? memcmp(a.ptr, b.ptr, shorter) : 0;

    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

/* Of equal rows those with more requests first, then by name, so that nothing moves without a reason. */
static int by_order(const void *x, const void *y, void *user)
{
    const struct aggregator *aggregator = user;
    const struct top_row *a = x;
    const struct top_row *b = y;
    const uint32_t ids_a[] = {a->key.destination, a->key.destination_namespace, a->key.route, a->key.source,
        a->key.source_namespace};
    const uint32_t ids_b[] = {b->key.destination, b->key.destination_namespace, b->key.route, b->key.source,
        b->key.source_namespace};

    if (a->order < b->order || a->order > b->order) {
        return a->order > b->order ? -1 : 1;
    }
    for (size_t i = 0; i < sizeof ids_a / sizeof ids_a[0]; i++) {
        int order =
            compare_texts(aggregator_text(aggregator, ids_a[i]), aggregator_text(aggregator, ids_b[i]));
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

static void sort_rows(const struct aggregator *aggregator, const struct top_question *question,
    struct top_rows *rows, struct query_scan *scan)
{
    for (size_t i = 0; i < rows->count; i++) {
        rows->items[i].order = order_of(aggregator, question, &rows->items[i], scan);
    }
    qsort_r(rows->items, rows->count, sizeof *rows->items, by_order, (void *)(uintptr_t)aggregator);
}

/* ---- the answer ---- */

static json_t *name_of(const struct aggregator *aggregator, uint32_t id)
{
    return query_json_text(aggregator_text(aggregator, id));
}

static json_t *row_json(const struct aggregator *aggregator, const struct top_question *question,
    const struct top_row *row, struct query_scan *scan)
{
    uint64_t total;
    json_t *outcomes = query_json_outcomes(&row->values, &total);

    read_latencies(aggregator, row, scan);
    json_t *json = json_pack("{s:s,s:s,s:o,s:o,s:o,s:I,s:o,s:f,s:o}", "origin",
        row->is_scraped ? "scrape" : "records", "reporter", reporter_name((enum reporter)row->key.reporter),
        "destination", name_of(aggregator, row->key.destination), "destination_namespace",
        name_of(aggregator, row->key.destination_namespace), "mesh",
        query_json_text(aggregator_mesh_text(aggregator, row->key.mesh)), "requests", (json_int_t)total,
        "outcomes", outcomes, "covered_seconds", (double)row->values.covered_ns / 1e9, "quantiles",
        query_json_quantiles(scan));

    if (row->key.route != INTERNED_NONE) {
        (void)json_object_set_new(json, "route", name_of(aggregator, row->key.route));
    }
    if (question->by == TOP_BY_EDGE) {
        (void)json_object_set_new(json, "source", name_of(aggregator, row->key.source));
        (void)json_object_set_new(json, "source_namespace", name_of(aggregator, row->key.source_namespace));
    }
    if (row->caller_requests > 0) {
        (void)json_object_set_new(json, "callers", json_integer(row->caller_count));
        (void)json_object_set_new(json, "busiest_caller",
            json_pack("{s:o,s:o,s:I}", "source", name_of(aggregator, row->caller), "source_namespace",
                name_of(aggregator, row->caller_namespace), "requests", (json_int_t)row->caller_requests));
    }
    return json;
}

static json_t *totals_json(const struct top_rows *rows)
{
    struct window_values sum = {.covered_ns = 0};
    uint64_t total;

    for (size_t i = 0; i < rows->count; i++) {
        for (int o = 0; o < OUTCOME_COUNT; o++) {
            sum.outcomes[o] += rows->items[i].values.outcomes[o];
        }
        if (rows->items[i].values.covered_ns > sum.covered_ns) {
            sum.covered_ns = rows->items[i].values.covered_ns;
        }
    }
    json_t *outcomes = query_json_outcomes(&sum, &total);
    return json_pack("{s:I,s:I,s:o,s:f}", "rows", (json_int_t)rows->count, "requests", (json_int_t)total,
        "outcomes", outcomes, "covered_seconds", (double)sum.covered_ns / 1e9);
}

json_t *query_top(const struct query_sources *sources, struct query_input *input)
{
    const struct aggregator *aggregator = sources->aggregator;
    struct top_question question = top_question_read(input);
    struct query_scan *scan = query_scan_new(input);
    struct top_rows rows;
    json_t *list = NULL;

    if (scan == NULL) {
        return NULL;
    }
    if (top_rows_read(aggregator, &question, scan->span, &rows)) {
        sort_rows(aggregator, &question, &rows, scan);
        list = json_array();
        for (size_t i = 0; i < rows.count && i < question.limit; i++) {
            (void)json_array_append_new(list, row_json(aggregator, &question, &rows.items[i], scan));
        }
    }
    enum window_span span = scan->span;
    json_t *totals = totals_json(&rows);
    top_rows_free(&rows);
    free(scan);
    return json_pack("{s:s,s:f,s:o,s:o}", "window", query_window_name(span), "agent_start_unix_seconds",
        (double)aggregator_start_unix_ns(aggregator) / 1e9, "totals", totals, "rows", list);
}

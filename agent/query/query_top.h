/*
 * What /api/v1/top is asked, and the rows it sorts: for its two files alone. A row is a destination, a route
 * or an edge, whichever `by` says; fields of its key that it does not name are 0.
 */
#ifndef WEFT_QUERY_QUERY_TOP_H
#define WEFT_QUERY_QUERY_TOP_H

#include "aggregate/traffic_view.h"
#include "query/query_internal.h"

enum top_by { TOP_BY_DESTINATION, TOP_BY_ROUTE, TOP_BY_EDGE };

enum top_sort { TOP_SORT_RATE, TOP_SORT_FAILED, TOP_SORT_QUANTILE, TOP_SORT_NAME };

enum { TOP_ROWS_DEFAULT = 1000 };

/* Texts are NULL where anything will do. */
struct top_question {
    enum top_by by;
    enum top_sort sort;
    double sort_quantile;
    size_t limit;
    bool has_reporter;
    enum reporter reporter;
    const char *service; /* the destination; of an edge, either end */
    const char *name_space;
    const char *source;
    const char *source_namespace;
    const char *destination;
    const char *destination_namespace;
    const char *route;
    const char *mesh;
    const char *match; /* part of any name of the row, in ASCII without regard to case */
};

struct top_row {
    struct edge_key key;
    bool is_scraped;
    struct window_values values;
    const struct traffic *first; /* what it adds up */
    size_t count;
    uint32_t caller; /* the busiest, when caller_requests > 0 */
    uint32_t caller_namespace;
    uint64_t caller_requests;
    uint32_t caller_count;
    double order; /* larger comes first */
};

struct top_rows {
    struct traffic *traffic;
    struct top_row *items;
    size_t count;
};

/* Reads the question; bad arguments are rejected in `input`. */
struct top_question top_question_read(struct query_input *input);

/*
 * The rows that the question is about, unsorted, without latencies. Of each destination one reporter answers:
 * the one asked for, else its callers', else its own, else a waypoint's; what proxies count themselves
 * stands in where no record tells. False without memory; top_rows_free in either case.
 */
bool top_rows_read(const struct aggregator *aggregator, const struct top_question *question,
    enum window_span span, struct top_rows *rows);
void top_rows_free(struct top_rows *rows);

#endif

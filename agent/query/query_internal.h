/* What the query API's files share; for them alone. */
#ifndef WEFT_QUERY_QUERY_INTERNAL_H
#define WEFT_QUERY_QUERY_INTERNAL_H

#include <jansson.h>

#include "aggregate/view.h"
#include "core/slice.h"
#include "query/query.h"

enum { QUERY_QUANTILE_COUNT_MAX = 16, QUERY_MESSAGE_BYTES = 160, QUERY_LIMIT_MAX = 100000 };

/* A request's arguments, and the first thing that is wrong with them. */
struct query_input {
    const struct query_argument *arguments;
    size_t argument_count;
    const char *bad_argument; /* NULL: none */
    char message[QUERY_MESSAGE_BYTES];
};

/* Each answers with a JSON object, or NULL when memory ran out or input->bad_argument is set. */
json_t *query_services(const struct query_sources *sources, struct query_input *input);
json_t *query_edges(const struct query_sources *sources, struct query_input *input);
json_t *query_latency(const struct query_sources *sources, struct query_input *input);
json_t *query_heatmap(const struct query_sources *sources, struct query_input *input);
json_t *query_top(const struct query_sources *sources, struct query_input *input);
json_t *query_ledger(const struct query_sources *sources, struct query_input *input);

/* Marks the input as bad; the first call counts. */
void query_reject(struct query_input *input, const char *argument, const char *message);

/* The argument's value, or NULL. */
const char *query_text(const struct query_input *input, const char *name);

/* A whole number from 0 to `most`, `unless` where it is not given; bad otherwise. */
uint64_t query_number(struct query_input *input, const char *name, uint64_t unless, uint64_t most);

const char *query_window_name(enum window_span span);

/* `reporter`: source or destination. False when it is not given. */
bool query_reporter(struct query_input *input, enum reporter *ret_reporter);

/* What an answer with quantiles needs: the arguments `q` and `window`, and room for one histogram. */
struct query_scan {
    double quantiles[QUERY_QUANTILE_COUNT_MAX];
    size_t quantile_count;
    enum window_span span;
    struct histogram_flat flat;
};

/* Looks at these arguments after all others. NULL when any is bad, or memory ran out; else for free(). */
struct query_scan *query_scan_new(struct query_input *input);

/* Which latencies are asked for; bad when neither a source nor a destination is named. */
struct latency_filter query_latency_filter(struct query_input *input);

/* Who answers, as it is shown: of self and network times "joined", as the spans of several tell them. */
const char *query_latency_reporter(const struct latency_filter *filter);

/*
 * Reads them into scan->flat and `values`, and says in filter->reporter who answers. Without `reporter` the
 * caller's side does, and the destination's where no caller reports: a caller saw the network as well, and
 * the two must never be added. How many windows fitted; an error when input->bad_argument is set.
 */
int query_latency_look_up(const struct query_sources *sources, struct query_input *input,
    struct latency_filter *filter, struct query_scan *scan, struct window_values *values);

/* JSON pieces. Texts are UTF-8 already: the agent interns nothing else. */
json_t *query_json_text(struct slice text);
json_t *query_json_outcomes(const struct window_values *values, uint64_t *ret_total);
json_t *query_json_quantiles(const struct query_scan *scan); /* of its histogram */

#endif

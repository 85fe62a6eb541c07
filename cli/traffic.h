/*
 * The family of `weft top`, `weft stat` and `weft edges`: one set of filters, one question, one kind of row.
 * One thread.
 */
#ifndef WEFT_CLI_TRAFFIC_H
#define WEFT_CLI_TRAFFIC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "cli/options.h"

enum {
    TRAFFIC_PATH_BYTES = 4096,
    TRAFFIC_QUANTILES = 4, /* p50, p90, p99, p99.9 */
    TRAFFIC_LIMIT = 1000,
    TRAFFIC_LIMIT_MAX = 100000,
};

enum traffic_by { TRAFFIC_BY_DESTINATION, TRAFFIC_BY_ROUTE, TRAFFIC_BY_EDGE };

enum traffic_outcome {
    TRAFFIC_OK,
    TRAFFIC_CLIENT_ERROR,
    TRAFFIC_SERVER_ERROR,
    TRAFFIC_NO_RESPONSE,
    TRAFFIC_CANCELLED,
    TRAFFIC_OUTCOME_COUNT
};

/* NULL: any, and "" is a namespace that is not told; limit 0: TRAFFIC_LIMIT. */
struct traffic_filters {
    const char *window;
    const char *service;
    const char *name_space;
    const char *route;
    const char *reporter;
    const char *source;
    const char *destination;
    const char *destination_namespace;
    const char *match;
    const char *sort;
    unsigned long limit;
};

/* Options of the filters. --source, which a route's rows do not know, is in traffic_edge_rows. */
extern const struct option_row traffic_rows[];
extern const struct option_row traffic_edge_rows[];

/* The values of --window and --sort, NULL-terminated, in the order in which a key steps through them. */
extern const char *const traffic_windows[];
extern const char *const traffic_sorts[];

/* The path of the question; max_age_ms 0: as fresh as can be. False when the names are too long for it. */
bool traffic_path(char path[static TRAFFIC_PATH_BYTES], enum traffic_by by,
    const struct traffic_filters *filters, unsigned max_age_ms);

/* One row of the answer; texts are borrowed from it and may be anything: cli/plain_text.h shows them. */
struct traffic_row {
    const char *reporter;
    const char *origin;
    const char *source;
    const char *source_namespace;
    const char *destination;
    const char *destination_namespace;
    const char *route;
    double requests;
    double covered_seconds;
    double outcomes[TRAFFIC_OUTCOME_COUNT];
    double quantile_seconds[TRAFFIC_QUANTILES]; /* below 0: none */
    const char *caller;                         /* "": not known */
    const char *caller_namespace;
    double caller_requests;
};

struct traffic_row traffic_row_of(const json_t *row);

/* Failed: server errors and no response, as everywhere in weft. */
double traffic_failed(const double outcomes[TRAFFIC_OUTCOME_COUNT]);

/* The outcomes of a row or of the totals. */
void traffic_outcomes(const json_t *object, double ret_outcomes[TRAFFIC_OUTCOME_COUNT]);

#endif

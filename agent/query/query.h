/*
 * The query API: paths and arguments in, JSON out. Runs on the aggregator's thread, after the shards have
 * handed over what they counted, so that an answer holds everything acknowledged before it was asked for.
 */
#ifndef WEFT_QUERY_QUERY_H
#define WEFT_QUERY_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/metrics.h"

struct aggregator;

enum { QUERY_ARGUMENT_COUNT_MAX = 16, QUERY_AGE_MS_MAX = 60000 };

struct query_argument {
    const char *name;
    const char *value; /* percent-decoded */
};

struct query_sources {
    struct aggregator *aggregator;
    const struct metric_registry *registry;
    const struct clock *clock;
};

/* Whether some path of the API matches; path as the request has it, without the query string. */
bool query_knows(const char *path);

/*
 * How old that may be which the question is answered with, in milliseconds, by its argument `max_age_ms`; 0:
 * it wants a round of flips. Whoever asks again and again spares the shards most of them.
 */
uint64_t query_age_ms_max(const char *path, const struct query_argument *arguments, size_t argument_count);

/*
 * Answers into `out` (JSON, application/json) and returns the HTTP status: 200, 400 with
 * {"error":{"message","argument"}} for an unknown, missing or bad argument, 404 for an unknown path, 500 when
 * memory ran out.
 */
unsigned query_run(const struct query_sources *sources, const char *path,
    const struct query_argument *arguments, size_t argument_count, struct buffer *out);

#endif

/*
 * GET /api/dependencies?endTs=&lookback=&service=: who calls whom, in Jaeger's form, from the windows of this
 * node, not from the traces that it happens to hold: all requests count. Times are milliseconds; a lookback
 * picks the shortest window that covers it, at most an hour, and windows end now, whatever endTs says.
 *
 * Of an edge that both sides report the caller's count is taken. Who is not known is no service, and left
 * out. Names as trace_jaeger.h has them. Runs on the aggregator's thread.
 */
#ifndef WEFT_QUERY_QUERY_DEPENDENCIES_H
#define WEFT_QUERY_QUERY_DEPENDENCIES_H

#include "query/query.h"

bool query_dependencies_knows(const char *path);

/* As query_run; errors have Jaeger's form. */
unsigned query_dependencies_run(const struct query_sources *sources, const char *path,
    const struct query_argument *arguments, size_t argument_count, struct buffer *out);

#endif

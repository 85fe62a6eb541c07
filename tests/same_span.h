/* Whether two readings of a span say the same; for tests that read it in two ways. */
#ifndef WEFT_TESTS_SAME_SPAN_H
#define WEFT_TESTS_SAME_SPAN_H

#include <string.h>

#include "decode/span.h"

static inline bool same_span_value(const struct span_value *a, const struct span_value *b)
{
    return a->is_integer == b->is_integer && (!a->is_integer || a->integer == b->integer) &&
           slice_equal(a->text, b->text);
}

/* attributes: bits of those whose values are compared. */
static inline bool same_attributes(const struct span *a, const struct span *b, uint64_t attributes)
{
    if (a->attribute_set != b->attribute_set) {
        return false;
    }
    for (uint64_t set = a->attribute_set & attributes; set != 0; set &= set - 1) {
        if (!same_span_value(&a->attribute[__builtin_ctzll(set)], &b->attribute[__builtin_ctzll(set)])) {
            return false;
        }
    }
    return true;
}

/* All but resource, scope and what is known of patterns. */
static inline bool same_span(const struct span *a, const struct span *b)
{
    return slice_equal(a->name, b->name) && slice_equal(a->tracestate, b->tracestate) &&
           memcmp(a->trace_id, b->trace_id, sizeof a->trace_id) == 0 &&
           memcmp(a->span_id, b->span_id, sizeof a->span_id) == 0 &&
           memcmp(a->parent_id, b->parent_id, sizeof a->parent_id) == 0 &&
           a->start_unix_ns == b->start_unix_ns && a->end_unix_ns == b->end_unix_ns && a->kind == b->kind &&
           a->status == b->status && a->needs_rewrite == b->needs_rewrite && slice_equal(a->raw, b->raw) &&
           same_attributes(a, b, UINT64_MAX);
}

static inline bool same_resource(const struct span_resource *a, const struct span_resource *b)
{
    return slice_equal(a->service_name, b->service_name) &&
           slice_equal(a->service_namespace, b->service_namespace) &&
           slice_equal(a->k8s_namespace, b->k8s_namespace) && slice_equal(a->workload, b->workload) &&
           slice_equal(a->sdk_name, b->sdk_name) && slice_equal(a->node, b->node);
}

#endif

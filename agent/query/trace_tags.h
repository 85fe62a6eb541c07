/*
 * Jaeger's tags of a span or a process: typed pairs, made of OTLP's attributes and of what a span says
 * besides. For trace_jaeger.c and trace_match.c, which write and compare them.
 */
#ifndef WEFT_QUERY_TRACE_TAGS_H
#define WEFT_QUERY_TRACE_TAGS_H

#include "query/json_text.h"
#include "query/trace_model.h"

/* Each stops and returns true as soon as `each` does. */
typedef bool trace_tag_fn(void *user, struct slice key, const struct trace_value *value);

bool trace_each_span_tag(
    const struct trace_group *group, const struct trace_span *span, trace_tag_fn *each, void *user);
bool trace_each_process_tag(const struct trace_group *group, trace_tag_fn *each, void *user);
bool trace_each_event_tag(struct slice event, trace_tag_fn *each, void *user);

/* A value as text: a text as it is, numbers in decimal, lists and maps as JSON, bytes in base64. */
void trace_value_text(struct buffer *out, const struct trace_value *value);

/* A value as JSON, lists and maps too. */
void trace_value_json(struct buffer *out, const struct trace_value *value);

#endif

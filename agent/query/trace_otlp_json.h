/*
 * Traces as OTLP JSON (opentelemetry-proto docs/specification.md, "JSON Protobuf Encoding"): hex ids, 64-bit
 * integers as strings, enums as numbers, bytes as base64, lowerCamelCase keys. Fields that hold their default
 * are left out, as ProtoJSON does; fields that the tables do not know are not shown. Written by the tables
 * that otlp_json.c reads by.
 *
 * Pure; runs on the thread that owns the buffer. Errors stick to it.
 */
#ifndef WEFT_QUERY_TRACE_OTLP_JSON_H
#define WEFT_QUERY_TRACE_OTLP_JSON_H

#include "query/json_text.h"
#include "query/trace_model.h"

/* Appends the ResourceSpans of a finished model, one for each resource and scope, to an array. */
void trace_otlp_json_spans(struct json_list *resource_spans, const struct trace_model *model);

/* Each model's warnings as strings of an array. */
void trace_json_warnings(struct json_list *warnings, const struct trace_model *model);

#endif

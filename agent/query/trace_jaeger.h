/*
 * Answers as Jaeger gives them, so that its UI, Grafana's data source and Kiali work against an agent: the
 * UI's model of a trace (jaegertracing/jaeger internal/uimodel), lists of services, operations and
 * dependencies, errors, and the third API's wrapping of OTLP. From OTLP to Jaeger's model as OpenTelemetry's
 * translator does it (opentelemetry-collector-contrib pkg/translator/jaeger): tags `span.kind`, `error`,
 * `otel.status_code`, `otel.status_description`, `otel.scope.name`, `otel.scope.version`, `w3c.tracestate`.
 *
 * Names of services. A resource that tells a namespace (service.namespace, else k8s.namespace.name) is shown
 * as NAME.NAMESPACE, unless its name ends so already; else as NAME. Two namespaces may each have a `cart`,
 * which are two services here, and Jaeger has but one name for each; and it is the form that Kiali asks for.
 * A search takes both forms.
 *
 * Different: times never fall below 0; a number that JSON cannot hold is a string; a span that shares its id
 * with the client's gets one of its own, as Jaeger's adjuster does it; what is missing is said in `warnings`.
 *
 * Pure; runs on the thread that owns the buffer. Errors stick to it.
 */
#ifndef WEFT_QUERY_TRACE_JAEGER_H
#define WEFT_QUERY_TRACE_JAEGER_H

#include "query/json_text.h"
#include "query/trace_model.h"
#include "query/trace_names.h"
#include "query/trace_query.h"

/* A service's name as it is shown, to the end of a buffer. */
void trace_service_name(struct buffer *out, const struct trace_group *group);

/* The same of a name and a namespace; either may be empty. */
void trace_service_name_of(struct buffer *out, struct slice name, struct slice name_space);

/* Whether `wanted` is the service's name, as it is shown or without its namespace. */
bool trace_is_service(const struct trace_group *group, struct slice wanted);

/* What Jaeger calls a kind: "client", "server", …; empty when it is not told. */
struct slice trace_kind_name(enum span_kind kind);

/*
 * Whether a span is what the query looks for: service, operation (its name or `http.route`) and tags. A tag
 * is the span's, its process's or of one of its events; values are compared as text. Times, errors and flags
 * are for those who have them at hand.
 */
bool trace_span_matches(
    const struct trace_query *query, const struct trace_group *group, const struct trace_span *span);

/* Whether any span of the trace does. */
bool trace_model_matches(const struct trace_query *query, const struct trace_model *model);

/* A finished trace, in a list of them. */
void trace_jaeger_put(struct json_list *traces, const struct trace_model *model);

/* What `errors` says of ids that were asked for and not found. */
void trace_jaeger_put_missing(
    struct buffer *out, const uint8_t (*missing)[TRACE_MODEL_ID_BYTES], size_t missing_count);

/* A list of names: services, or operations without their kinds. For all endpoints that give one. */
void trace_jaeger_names(struct buffer *out, enum trace_endpoint endpoint, const struct trace_names *names);

/* An error in the form of the endpoint; message as it is. */
void trace_error(struct buffer *out, const struct trace_query *query, unsigned status, const char *message);

#endif

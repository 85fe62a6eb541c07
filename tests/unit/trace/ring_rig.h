/*
 * A ring with all that it borrows, and OTLP messages put into it as a shard would: scanned, span by span.
 * What comes out is read by protobuf-c, which shares nothing with the agent's own reader. Everything is
 * static inline: each test program has its own copy.
 */
#ifndef WEFT_TESTS_UNIT_TRACE_RING_RIG_H
#define WEFT_TESTS_UNIT_TRACE_RING_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/budget.h"
#include "core/error.h"
#include "core/limits.h"
#include "decode/otlp_trace.h"
#include "decode/wire_write.h"
#include "opentelemetry/collector.pb-c.h"
#include "trace/ring.h"
#include "trace/ring_internal.h"

#define RIG_NOW_UNIX_NS 1700000000000000000ull
#define RIG_MS_NS 1000000ull
enum { RIG_MESSAGE_BYTES_MAX = 1 << 26 };

struct ring_rig {
    struct limits limits;
    struct budget budget;
    struct redaction redaction;
    struct otlp_trace_scanner scanner;
    struct clock_manual clock;
    struct metric_cells *cells;
    struct interner *interner;
    struct ring *ring;
    uint32_t shop; /* interned names */
    uint32_t cart;
    uint32_t route;
    /* of the message that is put in */
    struct ring_note note;
    uint32_t stored_count;
    uint32_t seen_count;
};

static inline void ring_rig_init_as(
    struct ring_rig *rig, uint64_t share_bytes, uint32_t spans_count_max, bool compresses)
{
    memset(rig, 0, sizeof *rig);
    limits_init(&rig->limits);
    redaction_init_default(&rig->redaction);
    otlp_trace_scanner_init(&rig->scanner, &rig->limits, &rig->redaction);
    clock_manual_init(&rig->clock, 1000000000, RIG_NOW_UNIX_NS);
    rig->budget.cap_bytes = 1 << 24;
    rig->cells = aligned_alloc(64, sizeof *rig->cells);
    assert_non_null(rig->cells);
    memset(rig->cells, 0, sizeof *rig->cells);
    rig->interner = interner_new(100000, &rig->budget);
    assert_non_null(rig->interner);
    rig->shop = interner_intern(rig->interner, SLICE_LITERAL("shop"));
    rig->cart = interner_intern(rig->interner, SLICE_LITERAL("cart"));
    rig->route = interner_intern(rig->interner, SLICE_LITERAL("/cart/{id}"));
    rig->note = (struct ring_note){.service = rig->shop, .route = rig->route, .outcome = OUTCOME_OK};
    struct ring_settings settings = {
        .share_bytes = share_bytes,
        .span_bytes_max = rig->limits.trace_span_bytes_max,
        .spans_count_max = spans_count_max,
        .interner = rig->interner,
        .cells = rig->cells,
        .clock = &rig->clock.clock,
        .scanner = &rig->scanner,
        .compresses = compresses,
    };
    assert_int_equal(ring_new(&settings, &rig->ring), 0);
}

static inline void ring_rig_init(struct ring_rig *rig, uint64_t share_bytes, uint32_t spans_count_max)
{
    ring_rig_init_as(rig, share_bytes, spans_count_max, false);
}

static inline void ring_rig_deinit(struct ring_rig *rig)
{
    ring_free(rig->ring);
    interner_free(rig->interner);
    free(rig->cells);
}

static inline uint64_t ring_rig_get(const struct ring_rig *rig, enum metric_id id)
{
    return metric_get(rig->cells, id);
}

/* stored = in the ring and not kept + kept + expired, for spans and for access-log entries. */
static inline void ring_rig_check_ledger(const struct ring_rig *rig)
{
    assert_int_equal(ring_rig_get(rig, METRIC_TRACE_STORED_SPANS),
        ring_rig_get(rig, METRIC_TRACE_RING_SPANS) + ring_rig_get(rig, METRIC_TRACE_KEPT_SPANS) +
            ring_rig_get(rig, METRIC_TRACE_EXPIRED_SPANS));
    assert_int_equal(ring_rig_get(rig, METRIC_TRACE_STORED_LOGS),
        ring_rig_get(rig, METRIC_TRACE_RING_LOGS) + ring_rig_get(rig, METRIC_TRACE_EXPIRED_LOGS));
}

/* ---- ids ---- */

struct rig_id {
    uint8_t bytes[16];
};

/* Different for different numbers. */
static inline struct rig_id rig_trace_id(uint64_t number)
{
    struct rig_id id = {{0x5a}};

    memcpy(id.bytes + 4, &number, sizeof number);
    return id;
}

static inline struct rig_id rig_span_id(uint64_t number)
{
    struct rig_id id;
    uint64_t word = number + 1;

    memcpy(id.bytes, &word, sizeof word);
    return id;
}

/* ---- spans in ---- */

static inline void rig_put_text(struct buffer *out, uint32_t number, const char *key, struct slice text)
{
    struct wire_envelope attribute = wire_envelope_begin(out, number, text.length + 60);
    wire_write_bytes(out, 1, slice_of_string(key));
    struct wire_envelope value = wire_envelope_begin(out, 2, text.length + 4);
    wire_write_bytes(out, 1, text);
    wire_envelope_end(out, value);
    wire_envelope_end(out, attribute);
}

static inline void rig_put_span(struct buffer *out, uint64_t trace, uint64_t span, uint64_t start_unix_ns,
    uint64_t duration_ns, struct slice url)
{
    struct wire_envelope envelope = wire_envelope_begin(out, 2, 200);
    wire_write_bytes(out, 1, slice_of(rig_trace_id(trace).bytes, 16));
    wire_write_bytes(out, 2, slice_of(rig_span_id(span).bytes, 8));
    wire_write_bytes(out, 5, SLICE_LITERAL("GET /cart"));
    wire_write_varint(out, 6, SPAN_KIND_SERVER);
    wire_write_fixed64(out, 7, start_unix_ns);
    wire_write_fixed64(out, 8, start_unix_ns + duration_ns);
    if (url.length > 0) {
        rig_put_text(out, 9, "http.url", url);
    }
    wire_envelope_end(out, envelope);
}

static inline void rig_on_span(void *user, const struct span *span, uint32_t record)
{
    struct ring_rig *rig = user;

    (void)record;
    rig->seen_count++;
    rig->stored_count += ring_add_span(rig->ring, span, &rig->note);
}

static inline void rig_on_refused(void *user, const struct decode_error *where)
{
    (void)user;
    (void)where;
    fail();
}

/* Scans a request and adds its spans with rig->note; how many were stored is in rig->stored_count. */
static inline void rig_take(struct ring_rig *rig, struct slice message)
{
    struct otlp_trace_sink sink = {.user = rig, .on_span = rig_on_span, .on_refused = rig_on_refused};
    struct otlp_trace_result result;
    struct decode_error error;

    rig->stored_count = 0;
    rig->seen_count = 0;
    assert_int_equal(
        otlp_trace_scan(&rig->scanner, NULL, message, RIG_NOW_UNIX_NS, &sink, &result, &error), 0);
}

/* A request that is built: one ResourceSpans and ScopeSpans around `spans`. */
static inline void rig_wrap(
    struct buffer *out, const char *service, const char *scope_name, struct slice spans)
{
    struct wire_envelope resource_spans = wire_envelope_begin(out, 1, spans.length + 200);
    struct wire_envelope resource = wire_envelope_begin(out, 1, 60);
    rig_put_text(out, 1, "service.name", slice_of_string(service));
    wire_envelope_end(out, resource);
    struct wire_envelope scope_spans = wire_envelope_begin(out, 2, spans.length + 60);
    struct wire_envelope scope = wire_envelope_begin(out, 1, 20);
    wire_write_bytes(out, 1, slice_of_string(scope_name));
    wire_envelope_end(out, scope);
    (void)buffer_append_slice(out, spans);
    wire_write_bytes(out, 3, SLICE_LITERAL("https://scope.example/1"));
    wire_envelope_end(out, scope_spans);
    wire_write_bytes(out, 3, SLICE_LITERAL("https://resource.example/1"));
    wire_envelope_end(out, resource_spans);
    assert_int_equal(out->error, 0);
}

/* One span in a message of its own. True when it was stored. */
static inline bool rig_add(struct ring_rig *rig, const char *service, uint64_t trace, uint64_t span,
    uint64_t start_unix_ns, uint64_t duration_ns, struct slice url)
{
    struct buffer spans;
    struct buffer message;

    buffer_init(&spans, RIG_MESSAGE_BYTES_MAX);
    buffer_init(&message, RIG_MESSAGE_BYTES_MAX);
    rig_put_span(&spans, trace, span, start_unix_ns, duration_ns, url);
    rig_wrap(&message, service, "test", slice_of(spans.data, spans.length));
    rig_take(rig, slice_of(message.data, message.length));
    buffer_deinit(&spans);
    buffer_deinit(&message);
    assert_int_equal(rig->seen_count, 1);
    return rig->stored_count == 1;
}

static inline bool rig_add_plain(struct ring_rig *rig, uint64_t trace, uint64_t span)
{
    return rig_add(
        rig, "shop", trace, span, RIG_NOW_UNIX_NS - 50 * RIG_MS_NS, 5 * RIG_MS_NS, slice_of(NULL, 0));
}

/* A native span or access-log entry from shop to cart. */
static inline struct request rig_request(struct ring_rig *rig, uint64_t trace, uint64_t span)
{
    struct request request = {
        .reporter = REPORTER_SOURCE,
        .protocol = PROTOCOL_HTTP2,
        .method = METHOD_GET,
        .outcome = OUTCOME_OK,
        .signal = REQUEST_FROM_SPAN,
        .source = rig->shop,
        .source_namespace = INTERNED_UNKNOWN,
        .destination = rig->cart,
        .destination_namespace = INTERNED_UNKNOWN,
        .route = rig->route,
        .response_code = 200,
        .grpc_status = GRPC_STATUS_NONE,
        .attempts = 2,
        .has_bytes = true,
        .request_bytes = 11,
        .response_bytes = 4567,
        .start_unix_ns = RIG_NOW_UNIX_NS - 40 * RIG_MS_NS,
        .duration_ns = 7 * RIG_MS_NS,
        .weight = WEIGHT_ONE,
    };

    memcpy(request.trace_id, rig_trace_id(trace).bytes, sizeof request.trace_id);
    memcpy(request.span_id, rig_span_id(span).bytes, sizeof request.span_id);
    return request;
}

/* ---- traces out ---- */

/* The trace as protobuf-c reads it; NULL when the ring has none. */
static inline Otlp__ExportTraceServiceRequest *rig_read(
    struct ring_rig *rig, uint64_t trace, const struct ring_write *how, struct ring_written *written)
{
    struct buffer out;
    struct ring_write plain = {.only_not_kept = false};

    buffer_init(&out, RIG_MESSAGE_BYTES_MAX);
    int code =
        ring_write_trace(rig->ring, rig_trace_id(trace).bytes, how != NULL ? how : &plain, &out, written);
    if (code == WERR_NOT_FOUND) {
        assert_int_equal(out.length, 0);
        buffer_deinit(&out);
        return NULL;
    }
    assert_int_equal(code, 0);
    Otlp__ExportTraceServiceRequest *request =
        otlp__export_trace_service_request__unpack(NULL, out.length, out.data);
    assert_non_null(request);
    buffer_deinit(&out);
    return request;
}

static inline void rig_free(Otlp__ExportTraceServiceRequest *request)
{
    otlp__export_trace_service_request__free_unpacked(request, NULL);
}

static inline size_t rig_span_count(const Otlp__ExportTraceServiceRequest *request)
{
    size_t count = 0;

    for (size_t i = 0; i < request->n_resource_spans; i++) {
        for (size_t k = 0; k < request->resource_spans[i]->n_scope_spans; k++) {
            count += request->resource_spans[i]->scope_spans[k]->n_spans;
        }
    }
    return count;
}

/* The span of that id, with what it lies in; NULL when it is not there. */
static inline const Otlp__Span *rig_find(const Otlp__ExportTraceServiceRequest *request, uint64_t span,
    const Otlp__ResourceSpans **ret_resource_spans, const Otlp__ScopeSpans **ret_scope_spans)
{
    for (size_t i = 0; i < request->n_resource_spans; i++) {
        for (size_t k = 0; k < request->resource_spans[i]->n_scope_spans; k++) {
            const Otlp__ScopeSpans *scope_spans = request->resource_spans[i]->scope_spans[k];
            for (size_t j = 0; j < scope_spans->n_spans; j++) {
                const Otlp__Span *found = scope_spans->spans[j];
                if (found->span_id.len == 8 && memcmp(found->span_id.data, rig_span_id(span).bytes, 8) == 0) {
                    *ret_resource_spans = request->resource_spans[i];
                    *ret_scope_spans = scope_spans;
                    return found;
                }
            }
        }
    }
    return NULL;
}

/* A text attribute's value, or "". */
static inline const char *rig_text(Otlp__KeyValue **attributes, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(attributes[i]->key, key) == 0 && attributes[i]->value != NULL &&
            attributes[i]->value->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE) {
            return attributes[i]->value->string_value;
        }
    }
    return "";
}

#endif

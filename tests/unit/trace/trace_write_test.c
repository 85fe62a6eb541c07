/* A trace out of the ring: everything that was sent and nothing that must not leave, grouped as it came, read
 * back by protobuf-c. */
#include "ring_rig.h"

#include "context/request.h"

enum { SHARE_BYTES = 1 << 22, TRACE_SPANS_MAX = 1000 };

static void writes_what_came(void **state)
{
    struct ring_rig rig;
    struct buffer spans;
    struct buffer message;
    struct ring_written written;
    const Otlp__ResourceSpans *resource_spans;
    const Otlp__ScopeSpans *scope_spans;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    for (uint64_t i = 0; i < 6; i++) {
        buffer_init(&spans, RIG_MESSAGE_BYTES_MAX);
        buffer_init(&message, RIG_MESSAGE_BYTES_MAX);
        rig_put_span(&spans, 1, i * 10, RIG_NOW_UNIX_NS - i, i, SLICE_LITERAL("http://cart/plain"));
        rig_put_span(&spans, 2, i * 10 + 1, RIG_NOW_UNIX_NS - i, i, slice_of(NULL, 0));
        rig_put_span(&spans, 1, i * 10 + 2, RIG_NOW_UNIX_NS - i, i, slice_of(NULL, 0));
        rig_wrap(&message, i % 2 == 0 ? "shop" : "cart", i % 3 == 0 ? "envoy" : "sdk",
            slice_of(spans.data, spans.length));
        rig_take(&rig, slice_of(message.data, message.length));
        assert_int_equal(rig.stored_count, 3);
        buffer_deinit(&spans);
        buffer_deinit(&message);
    }
    Otlp__ExportTraceServiceRequest *request = rig_read(&rig, 1, NULL, &written);
    assert_int_equal(written.spans_count, 12);
    assert_int_equal(written.left_out_count, 0);
    assert_int_equal(rig_span_count(request), 12);
    assert_int_equal(request->n_resource_spans, 4); /* shop and cart, envoy and sdk */
    for (uint64_t i = 0; i < 6; i++) {
        assert_null(rig_find(request, i * 10 + 1, &resource_spans, &scope_spans));
        for (uint64_t k = 0; k <= 2; k += 2) {
            const Otlp__Span *span = rig_find(request, i * 10 + k, &resource_spans, &scope_spans);
            assert_non_null(span);
            assert_int_equal(span->start_time_unix_nano, RIG_NOW_UNIX_NS - i);
            assert_int_equal(span->end_time_unix_nano, RIG_NOW_UNIX_NS);
            assert_string_equal(span->name, "GET /cart");
            assert_string_equal(rig_text(span->attributes, span->n_attributes, "http.url"),
                k == 0 ? "http://cart/plain" : "");
            assert_string_equal(rig_text(resource_spans->resource->attributes,
                                    resource_spans->resource->n_attributes, "service.name"),
                i % 2 == 0 ? "shop" : "cart");
            assert_string_equal(scope_spans->scope->name, i % 3 == 0 ? "envoy" : "sdk");
            assert_string_equal(scope_spans->schema_url, "https://scope.example/1");
            assert_string_equal(resource_spans->schema_url, "https://resource.example/1");
        }
    }
    rig_free(request);
    ring_rig_deinit(&rig);
}

/* Of several Resource messages in one ResourceSpans, all count; fields that nobody knows stay. */
static void keeps_unusual_envelopes(void **state)
{
    struct ring_rig rig;
    struct buffer message;
    struct ring_written written;
    const Otlp__ResourceSpans *resource_spans;
    const Otlp__ScopeSpans *scope_spans;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    buffer_init(&message, RIG_MESSAGE_BYTES_MAX);
    struct wire_envelope outer = wire_envelope_begin(&message, 1, 500);
    for (int i = 0; i < 2; i++) {
        struct wire_envelope inner = wire_envelope_begin(&message, 2, 200);
        rig_put_span(&message, 1, (uint64_t)i, RIG_NOW_UNIX_NS, 1, slice_of(NULL, 0));
        wire_envelope_end(&message, inner);
        struct wire_envelope resource = wire_envelope_begin(&message, 1, 60);
        rig_put_text(&message, 1, i == 0 ? "service.name" : "service.version", SLICE_LITERAL("first"));
        wire_envelope_end(&message, resource);
    }
    wire_write_bytes(&message, 99, SLICE_LITERAL("unknown field"));
    wire_envelope_end(&message, outer);
    rig_take(&rig, slice_of(message.data, message.length));
    assert_int_equal(rig.stored_count, 2);
    Otlp__ExportTraceServiceRequest *request = rig_read(&rig, 1, NULL, &written);
    assert_int_equal(request->n_resource_spans, 1);
    for (uint64_t i = 0; i < 2; i++) {
        assert_non_null(rig_find(request, i, &resource_spans, &scope_spans));
        assert_null(scope_spans->scope);
        assert_string_equal(rig_text(resource_spans->resource->attributes,
                                resource_spans->resource->n_attributes, "service.name"),
            "first");
        assert_string_equal(rig_text(resource_spans->resource->attributes,
                                resource_spans->resource->n_attributes, "service.version"),
            "first");
        assert_int_equal(resource_spans->base.n_unknown_fields, 1);
    }
    rig_free(request);
    buffer_deinit(&message);
    ring_rig_deinit(&rig);
}

static void lets_no_secret_out(void **state)
{
    struct ring_rig rig;
    struct buffer message;
    struct buffer out;
    struct ring_written written;
    struct ring_write how = {.only_not_kept = false};

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    buffer_init(&message, RIG_MESSAGE_BYTES_MAX);
    struct wire_envelope outer = wire_envelope_begin(&message, 1, 500);
    struct wire_envelope resource = wire_envelope_begin(&message, 1, 60);
    rig_put_text(&message, 1, "service.name", SLICE_LITERAL("shop"));
    rig_put_text(&message, 1, "http.request.header.authorization", SLICE_LITERAL("hunter2"));
    wire_envelope_end(&message, resource);
    struct wire_envelope inner = wire_envelope_begin(&message, 2, 200);
    rig_put_span(&message, 1, 1, RIG_NOW_UNIX_NS, 1, SLICE_LITERAL("http://cart/x?password=hunter2"));
    rig_put_span(&message, 1, 2, RIG_NOW_UNIX_NS, 1, SLICE_LITERAL("http://cart/y"));
    wire_envelope_end(&message, inner);
    wire_envelope_end(&message, outer);
    rig_take(&rig, slice_of(message.data, message.length));
    assert_int_equal(rig.stored_count, 2);
    assert_true(rig_add_plain(&rig, 1, 3)); /* clean, in a group of its own */
    buffer_deinit(&message);

    buffer_init(&out, RIG_MESSAGE_BYTES_MAX);
    (void)buffer_append_text(&out, "before");
    assert_int_equal(ring_write_trace(rig.ring, rig_trace_id(1).bytes, &how, &out, &written), 0);
    assert_int_equal(written.spans_count, 3);
    assert_memory_equal(out.data, "before", 6);
    assert_null(memmem(out.data, out.length, "hunter2", 7));
    assert_non_null(memmem(out.data, out.length, REDACTED_TEXT, strlen(REDACTED_TEXT)));
    buffer_deinit(&out);
    Otlp__ExportTraceServiceRequest *request = rig_read(&rig, 1, NULL, &written);
    const Otlp__ResourceSpans *resource_spans;
    const Otlp__ScopeSpans *scope_spans;
    const Otlp__Span *span = rig_find(request, 1, &resource_spans, &scope_spans);
    assert_non_null(span);
    assert_string_equal(rig_text(span->attributes, span->n_attributes, "http.url"), "http://cart/x");
    rig_free(request);
    ring_rig_deinit(&rig);
}

static void writes_requests_as_spans(void **state)
{
    static const uint8_t parent_id[8] = {1, 1, 1, 1};
    struct ring_rig rig;
    struct ring_written written;
    const Otlp__ResourceSpans *resource_spans;
    const Otlp__ScopeSpans *scope_spans;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    struct request request = rig_request(&rig, 1, 7);
    assert_true(ring_add_request(rig.ring, &request, parent_id, 0, false));
    assert_true(rig_add_plain(&rig, 1, 8));
    Otlp__ExportTraceServiceRequest *read = rig_read(&rig, 1, NULL, &written);
    assert_int_equal(written.spans_count, 2);
    const Otlp__Span *span = rig_find(read, 7, &resource_spans, &scope_spans);
    assert_non_null(span);
    assert_string_equal(span->name, "GET /cart/{id}");
    assert_int_equal(span->kind, OTLP__SPAN__SPAN_KIND__SPAN_KIND_CLIENT);
    assert_int_equal(span->start_time_unix_nano, request.start_unix_ns);
    assert_int_equal(span->end_time_unix_nano, request.start_unix_ns + request.duration_ns);
    assert_memory_equal(span->parent_span_id.data, parent_id, 8);
    assert_string_equal(rig_text(span->attributes, span->n_attributes, "peer.service"), "cart");
    assert_string_equal(rig_text(resource_spans->resource->attributes, resource_spans->resource->n_attributes,
                            "service.name"),
        "shop");
    assert_string_equal(rig_text(span->attributes, span->n_attributes, "weft.signal"), "");
    rig_free(read);
    ring_rig_deinit(&rig);
}

static void writes_a_request_once(void **state)
{
    struct ring_rig rig;
    struct ring_written written;
    const Otlp__ResourceSpans *resource_spans;
    const Otlp__ScopeSpans *scope_spans;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    struct request log = rig_request(&rig, 1, 1);
    log.signal = REQUEST_FROM_LOG;
    assert_true(ring_add_request(rig.ring, &log, NULL, 0, false)); /* told by the span below as well */
    assert_true(rig_add_plain(&rig, 1, 1));
    log = rig_request(&rig, 1, 2);
    log.signal = REQUEST_FROM_OTLP_LOG;
    assert_true(ring_add_request(rig.ring, &log, NULL, 0, false)); /* told by nothing else */
    memset(log.span_id, 0, sizeof log.span_id);
    assert_true(ring_add_request(rig.ring, &log, NULL, 0, false)); /* without an id */

    Otlp__ExportTraceServiceRequest *read = rig_read(&rig, 1, NULL, &written);
    assert_int_equal(written.spans_count, 3);
    assert_int_equal(rig_span_count(read), 3);
    const Otlp__Span *span = rig_find(read, 1, &resource_spans, &scope_spans);
    assert_string_equal(rig_text(span->attributes, span->n_attributes, "weft.signal"), "");
    span = rig_find(read, 2, &resource_spans, &scope_spans);
    assert_string_equal(rig_text(span->attributes, span->n_attributes, "weft.signal"), "access_log");
    const Otlp__ScopeSpans *requests = scope_spans;
    assert_int_equal(requests->n_spans, 2);
    uint8_t made_id[8];
    memcpy(made_id, requests->spans[1]->span_id.data, 8);
    rig_free(read);
    /* the same id each time */
    read = rig_read(&rig, 1, NULL, &written);
    assert_non_null(rig_find(read, 2, &resource_spans, &scope_spans));
    assert_memory_equal(scope_spans->spans[1]->span_id.data, made_id, 8);
    rig_free(read);

    struct ring_write how = {.without_access_logs = true};
    read = rig_read(&rig, 1, &how, &written);
    assert_int_equal(written.spans_count, 1);
    assert_int_equal(written.left_out_count, 0);
    assert_non_null(rig_find(read, 1, &resource_spans, &scope_spans));
    rig_free(read);
    ring_rig_deinit(&rig);
}

static void marks_what_it_keeps(void **state)
{
    struct ring_rig rig;
    struct ring_written written;
    struct ring_trace trace;
    struct buffer attribute;
    const Otlp__ResourceSpans *resource_spans;
    const Otlp__ScopeSpans *scope_spans;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    buffer_init(&attribute, 100);
    wire_write_bytes(&attribute, 1, SLICE_LITERAL("weft.kept"));
    struct wire_envelope value = wire_envelope_begin(&attribute, 2, 10);
    wire_write_bytes(&attribute, 1, SLICE_LITERAL("slow"));
    wire_envelope_end(&attribute, value);
    struct ring_write how = {.attribute = slice_of(attribute.data, attribute.length),
        .only_not_kept = true,
        .marks_kept = true,
        .without_access_logs = true};
    assert_true(rig_add_plain(&rig, 1, 1));
    assert_true(rig_add(
        &rig, "shop", 1, 2, RIG_NOW_UNIX_NS, 5, SLICE_LITERAL("http://cart/?q=1"))); /* to be rewritten */
    struct request request = rig_request(&rig, 1, 3);
    assert_true(ring_add_request(rig.ring, &request, NULL, 0, false));
    request = rig_request(&rig, 1, 4);
    request.signal = REQUEST_FROM_LOG;
    assert_true(ring_add_request(rig.ring, &request, NULL, 0, true)); /* never kept: it is not shipped */
    rig.note.is_kept = true;
    assert_true(rig_add_plain(&rig, 1, 5)); /* leaves by itself */
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_KEPT_SPANS), 1);

    Otlp__ExportTraceServiceRequest *read = rig_read(&rig, 1, &how, &written);
    assert_int_equal(written.spans_count, 3);
    for (uint64_t i = 1; i <= 3; i++) {
        const Otlp__Span *span = rig_find(read, i, &resource_spans, &scope_spans);
        assert_non_null(span);
        assert_string_equal(rig_text(span->attributes, span->n_attributes, "weft.kept"), "slow");
    }
    rig_free(read);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_KEPT_SPANS), 4);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_RING_SPANS), 0);
    assert_int_equal(ring_rig_get(&rig, METRIC_TRACE_RING_LOGS), 1);
    ring_rig_check_ledger(&rig);
    assert_int_equal(ring_find_trace(rig.ring, rig_trace_id(1).bytes, &trace), 0);
    assert_int_equal(trace.spans_count, 5);
    assert_int_equal(trace.not_kept_count, 0);

    /* once only; and what comes later, once as well */
    read = rig_read(&rig, 1, &how, &written);
    assert_int_equal(written.spans_count, 0);
    rig_free(read);
    rig.note.is_kept = false;
    assert_true(rig_add_plain(&rig, 1, 6));
    read = rig_read(&rig, 1, &how, &written);
    assert_int_equal(written.spans_count, 1);
    rig_free(read);
    /* a query sees all of it */
    read = rig_read(&rig, 1, NULL, &written);
    assert_int_equal(written.spans_count, 6);
    rig_free(read);
    buffer_deinit(&attribute);
    ring_rig_deinit(&rig);
}

static void tells_what_finds_no_room(void **state)
{
    struct ring_rig rig;
    struct buffer out;
    struct ring_written written;
    struct ring_write how = {.only_not_kept = true, .marks_kept = true};
    char text[9000];

    (void)state;
    memset(text, 'z', sizeof text);
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    for (uint64_t i = 0; i < 100; i++) {
        assert_true(rig_add(&rig, "shop", 1, i, RIG_NOW_UNIX_NS, 5, slice_of(text, sizeof text)));
        struct request request = rig_request(&rig, 1, 1000 + i);
        assert_true(ring_add_request(rig.ring, &request, NULL, 0, false));
    }
    /* what is left out is not marked, so that three rounds of a bounded message take it all */
    uint32_t total_count = 0;
    for (int round = 0; round < 10 && total_count < 200; round++) {
        buffer_init(&out, 400000);
        assert_int_equal(ring_write_trace(rig.ring, rig_trace_id(1).bytes, &how, &out, &written), 0);
        Otlp__ExportTraceServiceRequest *request =
            otlp__export_trace_service_request__unpack(NULL, out.length, out.data);
        assert_non_null(request);
        assert_int_equal(rig_span_count(request), written.spans_count);
        total_count += written.spans_count;
        assert_int_equal(written.left_out_count, 200 - total_count);
        assert_true(written.spans_count > 0);
        assert_int_equal(out.error, 0);
        rig_free(request);
        buffer_deinit(&out);
    }
    assert_int_equal(total_count, 200);
    ring_rig_check_ledger(&rig);

    buffer_init(&out, 10);
    how.only_not_kept = false;
    assert_int_equal(ring_write_trace(rig.ring, rig_trace_id(1).bytes, &how, &out, &written), 0);
    assert_int_equal(written.spans_count, 0);
    assert_int_equal(written.left_out_count, 200);
    assert_int_equal(out.length, 0);
    out.error = WERR_NOMEM;
    assert_int_equal(ring_write_trace(rig.ring, rig_trace_id(1).bytes, &how, &out, &written), WERR_NOMEM);
    buffer_deinit(&out);
    ring_rig_deinit(&rig);
}

/* A giant trace from many senders and blocks: all of it, each span once. */
static void writes_a_long_trace(void **state)
{
    struct ring_rig rig;
    struct ring_written written;
    static const char *const services[] = {"a", "b", "c", "d", "e", "f", "g"};
    const Otlp__ResourceSpans *resource_spans;
    const Otlp__ScopeSpans *scope_spans;

    (void)state;
    ring_rig_init(&rig, SHARE_BYTES, TRACE_SPANS_MAX);
    for (uint64_t i = 0; i < 900; i++) {
        assert_true(rig_add(&rig, services[i % 7], 1, i, RIG_NOW_UNIX_NS, i,
            i % 11 == 0 ? SLICE_LITERAL("/x?secret") : SLICE_LITERAL("/y")));
        assert_true(rig_add_plain(&rig, 2 + i, i));
    }
    Otlp__ExportTraceServiceRequest *request = rig_read(&rig, 1, NULL, &written);
    assert_int_equal(written.spans_count, 900);
    assert_int_equal(rig_span_count(request), 900);
    assert_int_equal(request->n_resource_spans, 7);
    for (uint64_t i = 0; i < 900; i++) {
        const Otlp__Span *span = rig_find(request, i, &resource_spans, &scope_spans);
        assert_non_null(span);
        assert_int_equal(span->end_time_unix_nano - span->start_time_unix_nano, i);
        assert_string_equal(resource_spans->resource->attributes[0]->value->string_value, services[i % 7]);
    }
    rig_free(request);
    ring_rig_deinit(&rig);
}

/* The longest part that a slice may add: its work in bytes, and one span past it, with envelopes. */
static size_t slice_bytes_max(size_t span_bytes_max)
{
    return 2 * (size_t)RING_WORK_SLICE * RING_WORK_UNIT_BYTES + span_bytes_max + 1000;
}

/* Ten thousand spans, large ones and access-log entries among them, in slices: none does more than its work,
 * all together tell each span once; whether blocks are compressed or not, and though spans still come. */
static void writes_in_slices_of_bounded_work(bool compresses)
{
    enum { SPANS = 10000, LARGE_BYTES = 100000, LOGS = 50 };
    struct ring_rig rig;
    struct ring_written written;
    struct ring_walk_cursor cursor = {.has_begun = false};
    struct ring_counts counts;
    const struct ring_write how = {.without_access_logs = true};
    struct buffer out;
    uint64_t slices_count = 0;
    uint64_t passed_count = 0;
    uint32_t spans_count = 0;
    char *text = malloc(LARGE_BYTES);

    assert_non_null(text);
    memset(text, 'z', LARGE_BYTES);
    ring_rig_init_as(&rig, compresses ? 1 << 22 : 1 << 25, SPANS, compresses);
    for (uint64_t i = 0; i < SPANS - LOGS; i++) {
        struct slice url = i % 1000 == 7 ? slice_of(text, LARGE_BYTES) : SLICE_LITERAL("/x?secret");
        assert_true(rig_add(&rig, i % 2 == 0 ? "shop" : "cart", 1, i, RIG_NOW_UNIX_NS, i, url));
        assert_true(rig_add_plain(&rig, 2 + i, i));
        while (ring_freeze_is_due(rig.ring)) {
            ring_freeze(rig.ring);
        }
    }
    for (uint64_t i = 0; i < LOGS; i++) {
        struct request request = rig_request(&rig, 1, i);
        request.signal = REQUEST_FROM_LOG;
        assert_true(ring_add_request(rig.ring, &request, NULL, 0, false));
    }
    ring_count(rig.ring, &counts);
    assert_int_equal(counts.saved_bytes > 0, compresses);
    buffer_init(&out, RIG_MESSAGE_BYTES_MAX);
    while (!cursor.is_over) {
        size_t length = out.length;
        assert_int_equal(ring_write_some(rig.ring, rig_trace_id(1).bytes, &how, &cursor, &out, &written), 0);
        assert_in_range(cursor.passed_count - passed_count, 1, RING_WORK_SLICE);
        assert_in_range(written.spans_count, 0, RING_WORK_SLICE / RING_WORK_ENTRY + 1);
        assert_in_range(out.length - length, 0, slice_bytes_max(LARGE_BYTES));
        assert_int_equal(written.left_out_count, 0);
        assert_false(written.is_cut);
        passed_count = cursor.passed_count;
        spans_count += written.spans_count;
        slices_count++;
        assert_true(rig_add_plain(&rig, 1, SPANS + slices_count)); /* newer than where the walk began */
    }
    assert_in_range(slices_count, (uint64_t)SPANS * RING_WORK_ENTRY / RING_WORK_SLICE, SPANS / 10);
    assert_int_equal(spans_count, SPANS - LOGS);
    Otlp__ExportTraceServiceRequest *request =
        otlp__export_trace_service_request__unpack(NULL, out.length, out.data);
    assert_non_null(request);
    assert_int_equal(rig_span_count(request), SPANS - LOGS);
    bool *seen = calloc(SPANS, sizeof *seen);
    for (size_t i = 0; i < request->n_resource_spans; i++) {
        const Otlp__ScopeSpans *scope_spans = request->resource_spans[i]->scope_spans[0];
        for (size_t k = 0; k < scope_spans->n_spans; k++) {
            const Otlp__Span *span = scope_spans->spans[k];
            uint64_t number = span->end_time_unix_nano - span->start_time_unix_nano;
            assert_true(number < SPANS && !seen[number]);
            seen[number] = true;
            assert_string_equal(request->resource_spans[i]->resource->attributes[0]->value->string_value,
                number % 2 == 0 ? "shop" : "cart");
        }
    }
    free(seen);
    rig_free(request);
    buffer_deinit(&out);
    free(text);
    ring_rig_deinit(&rig);
}

static void writes_in_slices(void **state)
{
    (void)state;
    writes_in_slices_of_bounded_work(false);
}

static void writes_in_slices_what_is_compressed(void **state)
{
    (void)state;
    writes_in_slices_of_bounded_work(true);
}

/* What was recycled between two slices is passed over; a trace that is not there is told once. */
static void slices_outlive_the_blocks(void **state)
{
    struct ring_rig rig;
    struct ring_written written;
    struct ring_walk_cursor cursor = {.has_begun = false};
    const struct ring_write how = {.only_not_kept = false};
    struct buffer out;

    (void)state;
    ring_rig_init(&rig, RING_SHARE_BYTES_MIN, 10000);
    for (uint64_t i = 0; i < 500; i++) {
        assert_true(rig_add_plain(&rig, 1, i));
    }
    buffer_init(&out, RIG_MESSAGE_BYTES_MAX);
    assert_int_equal(ring_write_some(rig.ring, rig_trace_id(1).bytes, &how, &cursor, &out, &written), 0);
    assert_false(cursor.is_over);
    uint32_t first_count = written.spans_count;
    assert_in_range(first_count, 1, 499);
    for (uint64_t i = 0; i < 5000; i++) {
        assert_true(rig_add_plain(&rig, 2, i));
    }
    assert_int_equal(ring_write_some(rig.ring, rig_trace_id(1).bytes, &how, &cursor, &out, &written), 0);
    assert_true(cursor.is_over);
    assert_int_equal(written.spans_count, 0);
    assert_int_equal(written.left_out_count, 0);
    cursor = (struct ring_walk_cursor){.has_begun = false};
    assert_int_equal(
        ring_write_some(rig.ring, rig_trace_id(9).bytes, &how, &cursor, &out, &written), WERR_NOT_FOUND);
    assert_true(cursor.is_over);
    buffer_deinit(&out);
    ring_rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_what_came),
        cmocka_unit_test(keeps_unusual_envelopes),
        cmocka_unit_test(lets_no_secret_out),
        cmocka_unit_test(writes_requests_as_spans),
        cmocka_unit_test(writes_a_request_once),
        cmocka_unit_test(marks_what_it_keeps),
        cmocka_unit_test(tells_what_finds_no_room),
        cmocka_unit_test(writes_a_long_trace),
        cmocka_unit_test(writes_in_slices),
        cmocka_unit_test(writes_in_slices_what_is_compressed),
        cmocka_unit_test(slices_outlive_the_blocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* An exporter with one destination, a scripted back-end and the ledger that every test ends with. */
#ifndef WEFT_TESTS_OTLP_BENCH_EXPORTER_H
#define WEFT_TESTS_OTLP_BENCH_EXPORTER_H

#include "core/error.h"
#include "exporters/otlp/otlp_exporter.h"
#include "scripted_server.h"

enum { GUARD_MS = 120000, TEXTS_MAX = 8 };

struct fixture {
    uv_loop_t loop;
    uv_timer_t guard;
    bool overdue;
    struct server server;
    bool server_open;
    char url[128];
    struct metric_cells cells;
    struct otlp_destination_config destination;
    struct otlp_pacing pacing;
    struct otlp_exporter *exporter;
    uint64_t offered_count;
    size_t event_count[4];
    uint64_t event_items[4];
    int last_status;
    char last_text[OTLP_TEXT_BYTES_MAX];
    bool drained;
};

static inline void fixture_on_event(void *user, const struct otlp_event *event)
{
    struct fixture *fixture = user;

    assert_string_equal(event->destination, "test");
    fixture->event_count[event->type]++;
    fixture->event_items[event->type] += event->item_count;
    fixture->last_status = event->status;
    (void)snprintf(fixture->last_text, sizeof fixture->last_text, "%s", event->text);
    assert_null(strstr(event->text, "s3cret"));
}

static inline void fixture_on_guard(uv_timer_t *timer)
{
    ((struct fixture *)timer->data)->overdue = true;
}

static inline struct fixture *fixture_new(void)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    (void)uv_timer_init(&fixture->loop, &fixture->guard);
    fixture->guard.data = fixture;
    (void)uv_timer_start(&fixture->guard, fixture_on_guard, GUARD_MS, 0);
    uv_unref((uv_handle_t *)&fixture->guard);
    fixture->pacing =
        (struct otlp_pacing){.backoff_initial_ms = 2, .backoff_max_ms = 20, .retry_after_max_ms = 30};
    fixture->destination = (struct otlp_destination_config){
        .name = "test",
        .timeout_ms = 60000,
        .queue_bytes_max = 1 << 24,
        .batch_count_max = 1000,
        .batch_bytes_max = 1 << 20,
        .batch_delay_ms = 1,
        .cells = &fixture->cells,
    };
    return fixture;
}

static inline void fixture_listen(struct fixture *fixture, enum otlp_protocol protocol, const char *unix_path,
    const struct script_step *script, size_t script_count)
{
    server_init(
        &fixture->server, &fixture->loop, protocol == OTLP_PROTOCOL_GRPC, unix_path, script, script_count);
    fixture->server_open = true;
    fixture->destination.protocol = protocol;
    if (unix_path != NULL) {
        (void)snprintf(fixture->url, sizeof fixture->url, "unix:%s", unix_path);
    } else {
        (void)snprintf(fixture->url, sizeof fixture->url, "%s://127.0.0.1:%u%s",
            fixture->server.tls != NULL ? "https" : "http", fixture->server.port,
            protocol == OTLP_PROTOCOL_GRPC ? "" : "/v1/traces");
    }
    fixture->destination.url[OTLP_SIGNAL_TRACES] = fixture->url;
}

static inline int fixture_try_start(struct fixture *fixture, const char **ret_what)
{
    struct otlp_exporter_config config = {
        .loop = &fixture->loop,
        .clock = clock_system(),
        .destinations = &fixture->destination,
        .destination_count = 1,
        .event = fixture_on_event,
        .user = fixture,
        .random_seed = 1,
        .pacing = fixture->pacing,
    };
    return otlp_exporter_new(&config, &fixture->exporter, ret_what);
}

static inline void fixture_start(struct fixture *fixture)
{
    const char *what = NULL;

    assert_int_equal(fixture_try_start(fixture, &what), 0);
}

static inline uint64_t cell(const struct fixture *fixture, enum metric_id id)
{
    return metric_get(&fixture->cells, id);
}

/* handed over = sent + queued + dropped, and handed over is what was offered. */
static inline void expect_ledger(const struct fixture *fixture)
{
    uint64_t dropped = cell(fixture, METRIC_EXPORT_SPANS_DROPPED_QUEUE) +
                       cell(fixture, METRIC_EXPORT_SPANS_DROPPED_REJECTED) +
                       cell(fixture, METRIC_EXPORT_SPANS_DROPPED_SHUTDOWN) +
                       cell(fixture, METRIC_EXPORT_SPANS_DROPPED_MEMORY) +
                       cell(fixture, METRIC_EXPORT_SPANS_DROPPED_OVERSIZED);

    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_HANDED), fixture->offered_count);
    assert_int_equal(fixture->offered_count,
        cell(fixture, METRIC_EXPORT_SPANS_SENT) + cell(fixture, METRIC_EXPORT_SPANS_QUEUED) + dropped);
}

/* A whole ExportTraceServiceRequest with span_count spans, each about name_bytes long. */
static inline struct shared_bytes *make_spans(size_t span_count, size_t name_bytes)
{
    Otlp__Span span = OTLP__SPAN__INIT;
    Otlp__ScopeSpans scope = OTLP__SCOPE_SPANS__INIT;
    Otlp__ResourceSpans resource = OTLP__RESOURCE_SPANS__INIT;
    Otlp__ExportTraceServiceRequest request = OTLP__EXPORT_TRACE_SERVICE_REQUEST__INIT;
    Otlp__Span **spans = calloc(span_count, sizeof *spans);
    Otlp__ScopeSpans *scopes[] = {&scope};
    Otlp__ResourceSpans *resources[] = {&resource};
    char *name = calloc(1, name_bytes + 1);
    struct buffer bytes;

    assert_non_null(spans);
    assert_non_null(name);
    uint32_t random = 12345;
    for (size_t i = 0; i < name_bytes; i++) { /* does not compress well */
        random = random * 1664525u + 1013904223u;
        name[i] = (char)('!' + (random >> 24) % 90);
    }
    span.name = name;
    for (size_t i = 0; i < span_count; i++) {
        spans[i] = &span;
    }
    scope.spans = spans;
    scope.n_spans = span_count;
    resource.scope_spans = scopes;
    resource.n_scope_spans = 1;
    request.resource_spans = resources;
    request.n_resource_spans = 1;
    buffer_init(&bytes, SIZE_MAX);
    size_t size = otlp__export_trace_service_request__get_packed_size(&request);
    uint8_t *room = buffer_reserve(&bytes, size);
    assert_non_null(room);
    bytes.length = otlp__export_trace_service_request__pack(&request, room);
    free(spans);
    free(name);
    struct shared_bytes *shared = shared_bytes_take(&bytes);
    assert_non_null(shared);
    return shared;
}

static inline void offer_sized(struct fixture *fixture, size_t span_count, size_t name_bytes)
{
    struct shared_bytes *bytes = make_spans(span_count, name_bytes);

    otlp_exporter_offer(fixture->exporter, OTLP_SIGNAL_TRACES, -1, bytes, span_count);
    shared_bytes_unref(bytes);
    fixture->offered_count += span_count;
    expect_ledger(fixture);
}

static inline void offer(struct fixture *fixture, size_t span_count)
{
    offer_sized(fixture, span_count, 8);
}

/* Turns the loop until the row has reached the value. */
static inline void run_until(struct fixture *fixture, enum metric_id id, uint64_t value)
{
    while (cell(fixture, id) < value && !fixture->overdue) {
        (void)uv_run(&fixture->loop, UV_RUN_ONCE);
        expect_ledger(fixture);
    }
    if (fixture->overdue) {
        fail_msg("row %d stands at %llu, waited for %llu; last event: %d %s", (int)id,
            (unsigned long long)cell(fixture, id), (unsigned long long)value, fixture->last_status,
            fixture->last_text);
    }
}

static inline void run_until_idle(struct fixture *fixture)
{
    while (cell(fixture, METRIC_EXPORT_SPANS_QUEUED) > 0 && !fixture->overdue) {
        (void)uv_run(&fixture->loop, UV_RUN_ONCE);
        expect_ledger(fixture);
    }
    if (fixture->overdue) {
        fail_msg("still queued; last event: %d %s", fixture->last_status, fixture->last_text);
    }
}

static inline void fixture_close(struct fixture *fixture)
{
    if (fixture->exporter != NULL) {
        otlp_exporter_close(fixture->exporter);
        expect_ledger(fixture);
        assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_QUEUED), 0);
        assert_int_equal(cell(fixture, METRIC_EXPORT_QUEUE_BYTES), 0);
    }
}

static inline void fixture_free(struct fixture *fixture)
{
    if (fixture->server_open) {
        server_stop(&fixture->server);
    }
    SSL_CTX_free(fixture->server.tls);
    uv_close((uv_handle_t *)&fixture->guard, NULL);
    (void)uv_run(&fixture->loop, UV_RUN_DEFAULT);
    otlp_exporter_free(fixture->exporter);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    free(fixture);
}

static inline void fixture_end(struct fixture *fixture)
{
    fixture_close(fixture);
    fixture_free(fixture);
}

static inline void on_drained(void *user)
{
    ((struct fixture *)user)->drained = true;
}

#endif

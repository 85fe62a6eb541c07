/* OTLP over gRPC against a scripted server: every kind of answer, and none; the ledger after each turn of the
 * loop. */
#include "bench_exporter.h"

#include <openssl/evp.h>
#include <signal.h>

#include "opentelemetry/status.pb-c.h"

#define GRPC OTLP_PROTOCOL_GRPC

static const struct script_step success[] = {{0}};

static void spans_arrive_whole_with_the_right_headers(void **state)
{
    (void)state;
    static const enum compression compressions[] = {COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD};
    static const struct otlp_header headers[] = {{"authorization", "Bearer s3cret"}};

    for (size_t i = 0; i < 3; i++) {
        struct fixture *fixture = fixture_new();
        fixture->destination.compression = compressions[i];
        fixture->destination.headers = headers;
        fixture->destination.header_count = 1;
        fixture_listen(fixture, GRPC, NULL, success, 1);
        fixture_start(fixture);
        offer(fixture, 3);
        offer(fixture, 4);
        run_until(fixture, METRIC_EXPORT_SPANS_SENT, 7);
        assert_int_equal(fixture->server.accepted_span_count, 7);
        assert_int_equal(fixture->server.request_count, 1);
        assert_string_equal(
            fixture->server.path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
        const char *seen = fixture->server.headers;
        assert_non_null(strstr(seen, "te: trailers\n"));
        assert_non_null(strstr(seen, "content-type: application/grpc\n"));
        assert_non_null(strstr(seen, "grpc-timeout: 60000m\n"));
        assert_non_null(strstr(seen, "user-agent: OTel-OTLP-Exporter-C/" WEFT_VERSION "\n"));
        assert_non_null(strstr(seen, "authorization: Bearer s3cret\n"));
        assert_int_equal(strstr(seen, "grpc-encoding") != NULL, i > 0);
        assert_int_equal(cell(fixture, METRIC_EXPORT_ATTEMPTS_OK), 1);
        fixture_end(fixture);
    }
}

static void a_unix_socket_will_do(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    char path[64];

    (void)snprintf(path, sizeof path, "/tmp/weft-otlp-test-%d.sock", (int)getpid());
    fixture_listen(fixture, GRPC, path, success, 1);
    fixture_start(fixture);
    offer(fixture, 5);
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 5);
    assert_int_equal(fixture->server.accepted_span_count, 5);
    fixture_end(fixture);
}

static void metrics_go_their_own_way(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    struct shared_bytes *bytes =
        shared_bytes_copy(slice_of("", 0)); /* any request, as the server counts spans */

    fixture_listen(fixture, GRPC, NULL, success, 1);
    fixture->destination.url[OTLP_SIGNAL_METRICS] = fixture->url;
    fixture->destination.url[OTLP_SIGNAL_TRACES] = NULL;
    fixture_start(fixture);
    otlp_exporter_offer(fixture->exporter, OTLP_SIGNAL_TRACES, -1, bytes, 9); /* not taken here */
    otlp_exporter_offer(fixture->exporter, OTLP_SIGNAL_METRICS, 1, bytes, 9); /* another destination's */
    assert_int_equal(cell(fixture, METRIC_EXPORT_POINTS_HANDED), 0);
    otlp_exporter_offer(fixture->exporter, OTLP_SIGNAL_METRICS, 0, bytes, 4);
    assert_int_equal(cell(fixture, METRIC_EXPORT_POINTS_QUEUED), 4);
    run_until(fixture, METRIC_EXPORT_POINTS_SENT, 4);
    assert_int_equal(cell(fixture, METRIC_EXPORT_POINTS_QUEUED), 0);
    assert_string_equal(
        fixture->server.path, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export");
    shared_bytes_unref(bytes);
    fixture_end(fixture);
}

static void batches_are_bounded_by_count_and_bytes(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();

    fixture->destination.batch_count_max = 10;
    fixture->destination.batch_bytes_max = 2000;
    fixture_listen(fixture, GRPC, NULL, success, 1);
    fixture_start(fixture);
    for (int i = 0; i < 9; i++) {
        offer(fixture, 4); /* two of them fit a batch */
    }
    run_until_idle(fixture);
    assert_int_equal(fixture->server.accepted_span_count, 36);
    assert_int_equal(fixture->server.largest_span_count, 8);
    for (int i = 0; i < 4; i++) {
        offer_sized(fixture, 1, 900); /* two of them fit by bytes */
    }
    run_until_idle(fixture);
    assert_in_range(fixture->server.largest_request_bytes, 1800, 2000);
    offer_sized(fixture, 50, 200); /* over both limits: goes alone */
    run_until_idle(fixture);
    assert_int_equal(fixture->server.largest_span_count, 50);
    assert_int_equal(fixture->server.accepted_span_count, 36 + 4 + 50);
    fixture_end(fixture);
}

static void a_request_larger_than_every_window_completes(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();

    fixture_listen(fixture, GRPC, NULL, success, 1);
    fixture_start(fixture);
    offer_sized(fixture, 100, 60000);
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 100);
    assert_int_equal(fixture->server.accepted_span_count, 100);
    assert_in_range(fixture->server.largest_request_bytes, 6000000, 6100000);
    fixture_end(fixture);
}

static void each_status_is_retried_or_not_by_the_table(void **state)
{
    (void)state;
    static const bool retryable[17] = {
        [1] = true, [4] = true, [10] = true, [11] = true, [14] = true, [15] = true};

    for (int status = 1; status <= 16; status++) {
        struct fixture *fixture = fixture_new();
        const struct script_step script[] = {
            {.grpc_status = status, .extra = {H2_LITERAL("grpc-message", "no%20way")}, .extra_count = 1},
            {0}};
        fixture_listen(fixture, GRPC, NULL, script, 2);
        fixture_start(fixture);
        offer(fixture, 6);
        run_until_idle(fixture);
        assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_SENT), retryable[status] ? 6 : 0);
        assert_int_equal(fixture->server.accepted_span_count, retryable[status] ? 6 : 0);
        assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_DROPPED_REJECTED), retryable[status] ? 0 : 6);
        assert_int_equal(cell(fixture, METRIC_EXPORT_ATTEMPTS_RETRY), retryable[status]);
        assert_int_equal(cell(fixture, METRIC_EXPORT_ATTEMPTS_FAILED), !retryable[status]);
        assert_int_equal(fixture->event_count[OTLP_EVENT_FAILED], retryable[status]);
        assert_int_equal(fixture->event_count[OTLP_EVENT_RECOVERED], retryable[status]);
        assert_int_equal(fixture->event_count[OTLP_EVENT_REJECTED], !retryable[status]);
        if (!retryable[status]) {
            assert_int_equal(fixture->last_status, status);
            assert_string_equal(fixture->last_text, "no way");
        }
        assert_int_equal(fixture->server.connection_count, 1); /* an answer is no reason to reconnect */
        fixture_end(fixture);
    }
}

static void resource_exhausted_with_retry_info_is_retried(void **state)
{
    (void)state;
    Otlp__RetryDelay delay = OTLP__RETRY_DELAY__INIT;
    Otlp__RetryInfo info = OTLP__RETRY_INFO__INIT;
    Otlp__RpcDetail detail = OTLP__RPC_DETAIL__INIT;
    Otlp__RpcStatus status = OTLP__RPC_STATUS__INIT;
    Otlp__RpcDetail *details[] = {&detail};
    char type_url[] = "type.googleapis.com/google.rpc.RetryInfo";
    uint8_t info_bytes[64];
    uint8_t bytes[256];
    char text[512];
    struct fixture *fixture = fixture_new();

    delay.nanos = 5000000;
    info.retry_delay = &delay;
    detail.type_url = type_url;
    detail.value =
        (ProtobufCBinaryData){.len = otlp__retry_info__pack(&info, info_bytes), .data = info_bytes};
    status.code = 8;
    status.details = details;
    status.n_details = 1;
    int length = (int)otlp__rpc_status__pack(&status, bytes);
    length = EVP_EncodeBlock((unsigned char *)text, bytes, length);
    const struct script_step script[] = {
        {.grpc_status = 8,
            .extra = {{.name = SLICE_LITERAL("grpc-status-details-bin"),
                .value = slice_of(text, (size_t)length)}},
            .extra_count = 1},
        {0},
    };
    fixture_listen(fixture, GRPC, NULL, script, 2);
    fixture_start(fixture);
    offer(fixture, 6);
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 6);
    assert_int_equal(cell(fixture, METRIC_EXPORT_ATTEMPTS_RETRY), 1);
    assert_int_equal(fixture->server.request_count, 2);
    fixture_end(fixture);
}

static void http_statuses_without_grpc_status_are_translated(void **state)
{
    (void)state;
    static const struct {
        int http;
        int grpc;
        bool retried;
    } rows[] = {{400, 13, false}, {401, 16, false}, {403, 7, false}, {404, 12, false}, {429, 14, true},
        {502, 14, true}, {503, 14, true}, {504, 14, true}, {500, 2, false}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture *fixture = fixture_new();
        const struct script_step script[] = {{.http_status = rows[i].http}, {0}};
        fixture_listen(fixture, GRPC, NULL, script, 2);
        fixture_start(fixture);
        offer(fixture, 2);
        run_until_idle(fixture);
        assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_SENT), rows[i].retried ? 2 : 0);
        if (!rows[i].retried) {
            assert_int_equal(fixture->last_status, rows[i].grpc);
        }
        fixture_end(fixture);
    }
}

static void what_a_partial_success_rejects_is_dropped(void **state)
{
    (void)state;
    /* ExportServiceResponse{partial_success{rejected 3, "bad"}} */
    static const uint8_t message[] = {0x0a, 0x07, 0x08, 0x03, 0x12, 0x03, 'b', 'a', 'd'};
    struct fixture *fixture = fixture_new();
    const struct script_step script[] = {{.message = {message, sizeof message}}};

    fixture_listen(fixture, GRPC, NULL, script, 1);
    fixture_start(fixture);
    offer(fixture, 10);
    run_until_idle(fixture);
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_SENT), 7);
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_DROPPED_REJECTED), 3);
    assert_int_equal(fixture->event_items[OTLP_EVENT_REJECTED], 3);
    assert_string_equal(fixture->last_text, "bad");
    offer(fixture, 2); /* fewer than it claims to reject */
    run_until_idle(fixture);
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_DROPPED_REJECTED), 5);
    fixture_end(fixture);
}

static void no_answer_is_retried(void **state)
{
    (void)state;
    static const enum script_kind kinds[] = {SCRIPT_HANG_UP, SCRIPT_RESET, SCRIPT_SILENCE};

    for (size_t i = 0; i < 3; i++) {
        struct fixture *fixture = fixture_new();
        const struct script_step script[] = {{.kind = kinds[i]}, {.kind = kinds[i]}, {0}};
        if (kinds[i] == SCRIPT_SILENCE) {
            fixture->destination.timeout_ms = 1000; /* which the attempt that is answered has, too */
        }
        fixture_listen(fixture, GRPC, NULL, script, 3);
        fixture_start(fixture);
        offer(fixture, 5);
        run_until(fixture, METRIC_EXPORT_SPANS_SENT, 5);
        assert_int_equal(fixture->server.accepted_span_count, 5);
        assert_int_equal(cell(fixture, METRIC_EXPORT_ATTEMPTS_RETRY), 2);
        assert_int_equal(fixture->event_count[OTLP_EVENT_FAILED], 2);
        assert_int_equal(fixture->event_count[OTLP_EVENT_RECOVERED], 1);
        assert_int_equal(fixture->server.connection_count, kinds[i] == SCRIPT_RESET ? 1 : 3);
        fixture_end(fixture);
    }
}

/* The body is larger than the windows: without a reset it could never end. */
static void an_answer_before_the_end_of_the_request_ends_it(void **state)
{
    (void)state;
    static const struct script_step script[] = {{.kind = SCRIPT_EARLY, .grpc_status = 16}, {0}};
    struct fixture *fixture = fixture_new();

    fixture_listen(fixture, GRPC, NULL, script, 2);
    fixture_start(fixture);
    offer_sized(fixture, 100, 60000);
    run_until(fixture, METRIC_EXPORT_SPANS_DROPPED_REJECTED, 100);
    assert_int_equal(fixture->last_status, 16);
    offer(fixture, 3);
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 3);
    assert_int_equal(fixture->server.accepted_span_count, 3);
    assert_int_equal(fixture->server.connection_count, 1);
    assert_int_equal(cell(fixture, METRIC_EXPORT_ATTEMPTS_RETRY), 0);
    fixture_end(fixture);
}

static void after_goaway_the_next_request_takes_a_new_connection(void **state)
{
    (void)state;
    static const struct script_step script[] = {{.kind = SCRIPT_GOAWAY}, {0}};
    struct fixture *fixture = fixture_new();

    fixture_listen(fixture, GRPC, NULL, script, 2);
    fixture_start(fixture);
    offer(fixture, 1);
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 1);
    offer(fixture, 2);
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 3);
    assert_int_equal(fixture->server.accepted_span_count, 3);
    assert_int_equal(fixture->server.connection_count, 2);
    assert_int_equal(cell(fixture, METRIC_EXPORT_ATTEMPTS_RETRY), 0);
    fixture_end(fixture);
}

static void a_server_that_comes_back_gets_what_waited(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();

    fixture_listen(fixture, GRPC, NULL, success, 1);
    server_stop(&fixture->server);
    fixture->server_open = false;
    fixture_start(fixture);
    offer(fixture, 5);
    run_until(fixture, METRIC_EXPORT_ATTEMPTS_RETRY, 3);
    assert_non_null(strstr(fixture->last_text, "refused"));
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_QUEUED), 5);
    fixture_listen(fixture, GRPC, NULL, success, 1); /* the same port */
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 5);
    assert_int_equal(fixture->server.accepted_span_count, 5);
    fixture_end(fixture);
}

static void a_full_queue_drops_its_oldest(void **state)
{
    (void)state;
    static const struct script_step silence[] = {{.kind = SCRIPT_SILENCE}};
    struct fixture *fixture = fixture_new();

    fixture->destination.queue_bytes_max = 5000;
    fixture->destination.batch_bytes_max = 1500;
    fixture->destination.timeout_ms = 100;
    fixture_listen(fixture, GRPC, NULL, silence, 1);
    fixture_start(fixture);
    for (int i = 0; i < 20; i++) {
        offer_sized(fixture, 1, 1000);
    }
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_QUEUED), 4);
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_DROPPED_QUEUE), 16);
    assert_in_range(cell(fixture, METRIC_EXPORT_QUEUE_BYTES), 4000, 5000);
    assert_int_equal(fixture->event_count[OTLP_EVENT_QUEUE_FULL], 1);
    run_until(fixture, METRIC_EXPORT_ATTEMPTS_RETRY, 2);
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_QUEUED), 4); /* retries give nothing up */
    offer_sized(fixture, 1, 100000);                                /* will never fit */
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_DROPPED_QUEUE), 17);
    fixture_end(fixture);
}

static void draining_sends_what_is_queued_at_once(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();

    fixture->destination.batch_delay_ms = 3600000;
    fixture_listen(fixture, GRPC, NULL, success, 1);
    fixture_start(fixture);
    offer(fixture, 5);
    otlp_exporter_drain(fixture->exporter, GUARD_MS, on_drained, fixture);
    assert_false(fixture->drained);
    while (!fixture->drained && !fixture->overdue) {
        (void)uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_SENT), 5);
    fixture->drained = false;
    otlp_exporter_drain(fixture->exporter, GUARD_MS, on_drained, fixture); /* nothing to do */
    assert_true(fixture->drained);
    fixture_end(fixture);
}

static void draining_ends_at_the_deadline_and_closing_drops_the_rest(void **state)
{
    (void)state;
    static const struct script_step silence[] = {{.kind = SCRIPT_SILENCE}};
    struct fixture *fixture = fixture_new();

    fixture_listen(fixture, GRPC, NULL, silence, 1);
    fixture_start(fixture);
    offer(fixture, 5);
    otlp_exporter_drain(fixture->exporter, 30, on_drained, fixture);
    while (!fixture->drained && !fixture->overdue) {
        (void)uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_true(fixture->drained);
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_QUEUED), 5);
    fixture_close(fixture);
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_DROPPED_SHUTDOWN), 5);
    offer(fixture, 2); /* too late, but told */
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_DROPPED_SHUTDOWN), 7);
    fixture_free(fixture);
}

static void closing_ends_a_drain(void **state)
{
    (void)state;
    static const struct script_step silence[] = {{.kind = SCRIPT_SILENCE}};
    struct fixture *fixture = fixture_new();

    fixture_listen(fixture, GRPC, NULL, silence, 1);
    fixture_start(fixture);
    offer(fixture, 5);
    otlp_exporter_drain(fixture->exporter, GUARD_MS, on_drained, fixture);
    fixture_close(fixture);
    assert_true(fixture->drained);
    fixture_free(fixture);
}

static void bad_urls_and_files_are_refused_at_the_start(void **state)
{
    (void)state;
    static const char *const urls[] = {"ftp://h", "http://", "http://user:pw@h", "http://h:0",
        "http://h:99999", "http://h:x", "unix:relative", "http://[::1", "http://a b", ""};

    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct fixture *fixture = fixture_new();
        const char *what = NULL;
        fixture->destination.url[OTLP_SIGNAL_TRACES] = urls[i];
        assert_int_equal(fixture_try_start(fixture, &what), WERR_CONFIG);
        assert_non_null(what);
        assert_non_null(strstr(what, "endpoint"));
        fixture_end(fixture);
    }
    for (int protocol = OTLP_PROTOCOL_GRPC; protocol <= OTLP_PROTOCOL_HTTP_PROTOBUF; protocol++) {
        struct fixture *fixture = fixture_new();
        const char *what = NULL;
        fixture->destination.protocol = (enum otlp_protocol)protocol;
        fixture->destination.url[OTLP_SIGNAL_TRACES] = "https://localhost:1";
        fixture->destination.url[OTLP_SIGNAL_METRICS] = "https://localhost:1";
        fixture->destination.ca_file = "/nonexistent";
        assert_int_equal(fixture_try_start(fixture, &what), WERR_CONFIG);
        assert_non_null(strstr(what, "ca_file"));
        fixture_end(fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_arrive_whole_with_the_right_headers),
        cmocka_unit_test(a_unix_socket_will_do),
        cmocka_unit_test(metrics_go_their_own_way),
        cmocka_unit_test(batches_are_bounded_by_count_and_bytes),
        cmocka_unit_test(a_request_larger_than_every_window_completes),
        cmocka_unit_test(each_status_is_retried_or_not_by_the_table),
        cmocka_unit_test(resource_exhausted_with_retry_info_is_retried),
        cmocka_unit_test(http_statuses_without_grpc_status_are_translated),
        cmocka_unit_test(what_a_partial_success_rejects_is_dropped),
        cmocka_unit_test(no_answer_is_retried),
        cmocka_unit_test(an_answer_before_the_end_of_the_request_ends_it),
        cmocka_unit_test(after_goaway_the_next_request_takes_a_new_connection),
        cmocka_unit_test(a_server_that_comes_back_gets_what_waited),
        cmocka_unit_test(a_full_queue_drops_its_oldest),
        cmocka_unit_test(draining_sends_what_is_queued_at_once),
        cmocka_unit_test(draining_ends_at_the_deadline_and_closing_drops_the_rest),
        cmocka_unit_test(closing_ends_a_drain),
        cmocka_unit_test(bad_urls_and_files_are_refused_at_the_start),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* OTLP over HTTP against a scripted server, as grpc_test.c. */
#include "bench_exporter.h"

#include <signal.h>

#include "opentelemetry/status.pb-c.h"

#define HTTP OTLP_PROTOCOL_HTTP_PROTOBUF

static const struct script_step success[] = {{0}};

static void spans_arrive_whole_with_the_right_headers(void **state)
{
    (void)state;
    static const enum compression compressions[] = {COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD};
    static const struct otlp_header headers[] = {{"x-api-key", "s3cret"}, {"x-empty", ""}};

    for (size_t i = 0; i < 3; i++) {
        struct fixture *fixture = fixture_new();
        fixture->destination.compression = compressions[i];
        fixture->destination.headers = headers;
        fixture->destination.header_count = 2;
        fixture_listen(fixture, HTTP, NULL, success, 1);
        fixture_start(fixture);
        offer(fixture, 3);
        offer(fixture, 4);
        run_until(fixture, METRIC_EXPORT_SPANS_SENT, 7);
        offer(fixture, 1);
        run_until(fixture, METRIC_EXPORT_SPANS_SENT, 8);
        assert_int_equal(fixture->server.accepted_span_count, 8);
        assert_int_equal(fixture->server.connection_count, 1); /* kept */
        assert_string_equal(fixture->server.path, "/v1/traces");
        const char *seen = fixture->server.headers;
        assert_non_null(strstr(seen, "content-type: application/x-protobuf\n"));
        assert_non_null(strstr(seen, "user-agent: OTel-OTLP-Exporter-C/" WEFT_VERSION "\n"));
        assert_non_null(strstr(seen, "x-api-key: s3cret\n"));
        assert_non_null(strstr(seen, "x-empty: \n"));
        assert_null(strstr(seen, "expect:"));
        assert_int_equal(
            strstr(seen, "content-encoding: gzip\n") != NULL, compressions[i] == COMPRESSION_GZIP);
        assert_int_equal(
            strstr(seen, "content-encoding: zstd\n") != NULL, compressions[i] == COMPRESSION_ZSTD);
        fixture_end(fixture);
    }
}

static void a_large_request_completes(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();

    fixture_listen(fixture, HTTP, NULL, success, 1);
    fixture_start(fixture);
    offer_sized(fixture, 100, 60000);
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 100);
    assert_int_equal(fixture->server.accepted_span_count, 100);
    fixture_end(fixture);
}

static void each_status_is_retried_or_not_by_the_table(void **state)
{
    (void)state;
    static const struct {
        int status;
        bool retried;
    } rows[] = {{400, false}, {401, false}, {403, false}, {404, false}, {408, false}, {413, false},
        {429, true}, {500, false}, {501, false}, {502, true}, {503, true}, {504, true}, {301, false},
        {307, false}};
    Otlp__RpcStatus status = OTLP__RPC_STATUS__INIT;
    char message[] = "no way";
    uint8_t body[64];

    status.message = message;
    size_t body_length = otlp__rpc_status__pack(&status, body);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture *fixture = fixture_new();
        const struct script_step script[] = {
            {.http_status = rows[i].status,
                .message = {body, body_length},
                .extra = {H2_LITERAL("Location", "http://127.0.0.1:1/elsewhere")},
                .extra_count = 1},
            {0},
        };
        fixture_listen(fixture, HTTP, NULL, script, 2);
        fixture_start(fixture);
        offer(fixture, 6);
        run_until_idle(fixture);
        assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_SENT), rows[i].retried ? 6 : 0);
        assert_int_equal(fixture->server.accepted_span_count, rows[i].retried ? 6 : 0);
        assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_DROPPED_REJECTED), rows[i].retried ? 0 : 6);
        assert_int_equal(fixture->server.request_count, rows[i].retried ? 2 : 1);
        assert_int_equal(fixture->event_count[OTLP_EVENT_RECOVERED], rows[i].retried);
        if (!rows[i].retried) {
            assert_int_equal(fixture->last_status, rows[i].status);
            assert_string_equal(fixture->last_text, "no way");
        }
        fixture_end(fixture);
    }
}

static void retry_after_is_heeded(void **state)
{
    (void)state;
    static const struct script_step script[] = {
        {.http_status = 503, .extra = {H2_LITERAL("Retry-After", "3600")}, .extra_count = 1}, {0}};
    struct fixture *fixture = fixture_new();

    fixture->pacing.retry_after_max_ms = 3600000;
    fixture_listen(fixture, HTTP, NULL, script, 2);
    fixture_start(fixture);
    offer(fixture, 1);
    run_until(fixture, METRIC_EXPORT_ATTEMPTS_RETRY, 1);
    for (int i = 0; i < 20; i++) { /* the backoff of 2 ms alone would long be over */
        (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
        uv_sleep(2);
    }
    assert_int_equal(fixture->server.request_count, 1);
    otlp_exporter_drain(fixture->exporter, GUARD_MS, on_drained, fixture); /* a stop does not wait for it */
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 1);
    assert_true(fixture->drained);
    fixture_end(fixture);
}

static void what_a_partial_success_rejects_is_dropped(void **state)
{
    (void)state;
    static const uint8_t rejected[] = {0x0a, 0x07, 0x08, 0x03, 0x12, 0x03, 'b', 'a', 'd'};
    static const uint8_t warning[] = {0x0a, 0x05, 0x12, 0x03, 'h', 'm', 'm'};
    static const uint8_t garbage[] = {0xff, 0xff, 0xff};
    struct fixture *fixture = fixture_new();
    const struct script_step script[] = {{.message = {rejected, sizeof rejected}},
        {.message = {warning, sizeof warning}}, {.message = {garbage, sizeof garbage}}};

    fixture_listen(fixture, HTTP, NULL, script, 3);
    fixture_start(fixture);
    offer(fixture, 10);
    run_until_idle(fixture);
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_SENT), 7);
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_DROPPED_REJECTED), 3);
    offer(fixture, 4);
    run_until_idle(fixture);
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_SENT), 11);
    assert_string_equal(fixture->last_text, "hmm");
    offer(fixture, 5);
    run_until_idle(fixture);
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_SENT), 16);
    fixture_end(fixture);
}

static void no_answer_is_retried(void **state)
{
    (void)state;
    static const enum script_kind kinds[] = {SCRIPT_HANG_UP, SCRIPT_HANG_UP_HALF, SCRIPT_SILENCE};

    for (size_t i = 0; i < 3; i++) {
        struct fixture *fixture = fixture_new();
        const struct script_step script[] = {{.kind = kinds[i]}, {.kind = kinds[i]}, {0}};
        if (kinds[i] == SCRIPT_SILENCE) {
            fixture->destination.timeout_ms = 1000; /* which the attempt that is answered has, too */
        }
        fixture_listen(fixture, HTTP, NULL, script, 3);
        fixture_start(fixture);
        offer(fixture, 5);
        run_until(fixture, METRIC_EXPORT_SPANS_SENT, 5);
        assert_int_equal(fixture->server.accepted_span_count, 5);
        assert_int_equal(cell(fixture, METRIC_EXPORT_ATTEMPTS_RETRY), 2);
        assert_int_equal(fixture->event_count[OTLP_EVENT_FAILED], 2);
        fixture_end(fixture);
    }
}

static void a_server_that_comes_back_gets_what_waited(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();

    fixture_listen(fixture, HTTP, NULL, success, 1);
    server_stop(&fixture->server);
    fixture->server_open = false;
    fixture_start(fixture);
    offer(fixture, 5);
    run_until(fixture, METRIC_EXPORT_ATTEMPTS_RETRY, 3);
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_QUEUED), 5);
    fixture_listen(fixture, HTTP, NULL, success, 1);
    run_until(fixture, METRIC_EXPORT_SPANS_SENT, 5);
    assert_int_equal(fixture->server.accepted_span_count, 5);
    fixture_end(fixture);
}

static void closing_ends_what_is_under_way(void **state)
{
    (void)state;
    static const struct script_step silence[] = {{.kind = SCRIPT_SILENCE}};
    struct fixture *fixture = fixture_new();

    fixture_listen(fixture, HTTP, NULL, silence, 1);
    fixture_start(fixture);
    offer(fixture, 5);
    while (fixture->server.request_count == 0 && !fixture->overdue) {
        (void)uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    fixture_close(fixture);
    assert_int_equal(cell(fixture, METRIC_EXPORT_SPANS_DROPPED_SHUTDOWN), 5);
    fixture_free(fixture);
}

static void unix_sockets_are_for_grpc(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    const char *what = NULL;

    fixture->destination.protocol = HTTP;
    fixture->destination.url[OTLP_SIGNAL_TRACES] = "unix:/tmp/x.sock";
    assert_int_equal(fixture_try_start(fixture, &what), WERR_CONFIG);
    assert_non_null(strstr(what, "endpoint"));
    fixture_end(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_arrive_whole_with_the_right_headers),
        cmocka_unit_test(a_large_request_completes),
        cmocka_unit_test(each_status_is_retried_or_not_by_the_table),
        cmocka_unit_test(retry_after_is_heeded),
        cmocka_unit_test(what_a_partial_success_rejects_is_dropped),
        cmocka_unit_test(no_answer_is_retried),
        cmocka_unit_test(a_server_that_comes_back_gets_what_waited),
        cmocka_unit_test(closing_ends_what_is_under_way),
        cmocka_unit_test(unix_sockets_are_for_grpc),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    (void)unsetenv("http_proxy");
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The whole agent joins spans: traces posted to both shards as OTLP JSON, each side in a message of its own,
 * and what is told of them at /metrics, /api/v1/latency and /api/v1/why.
 */
#include "daemon_rig.h"

enum {
    TRACE_COUNT = 400,
    PODS = 4,
    SELF_MS = 10,
    DATABASE_MS = 20,
    NETWORK_MS = 3,
    SLOW_MS = 200,
    TRIES = 200,
};

static void put_span_json(struct buffer *out, unsigned trace, unsigned id, unsigned parent, const char *kind,
    uint64_t start_ns, uint64_t length_ns, const char *attributes)
{
    (void)buffer_append_format(out,
        "{\"traceId\":\"%032x\",\"spanId\":\"%016x\",\"parentSpanId\":\"%016x\",\"kind\":%s,\"name\":\"GET "
        "/x\",\"startTimeUnixNano\":\"%llu\",\"endTimeUnixNano\":\"%llu\",\"attributes\":[{\"key\":\"http."
        "response.status_code\",\"value\":{\"intValue\":\"200\"}}%s]}",
        trace + 1, id, parent, kind, (unsigned long long)start_ns, (unsigned long long)(start_ns + length_ns),
        attributes);
}

static void put_head(struct buffer *out, const char *service, unsigned pod)
{
    (void)buffer_append_format(out,
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{"
        "\"stringValue\":\"%s\"}},{\"key\":\"k8s.pod.name\",\"value\":{\"stringValue\":\"%s-%u\"}},{\"key\":"
        "\"service.version\",\"value\":{\"stringValue\":\"v%u\"}}]},\"scopeSpans\":[{\"spans\":[",
        service, service, pod, pod % 2);
}

static void post(struct daemon_rig *rig, struct buffer *message)
{
    struct slice body = slice_of(message->data, message->length);
    struct http_answer answer = http_post(rig->socket_path, "Content-Type: application/json\r\n", body);

    assert_int_equal(answer.status, 200);
    free(answer.text);
}

/* Servers first, then the caller's spans, by connections of their own: either shard may have either. */
static void send_traces(struct daemon_rig *rig, uint64_t now_ns)
{
    for (unsigned pod = 0; pod < PODS; pod++) {
        struct buffer servers;
        struct buffer callers;
        uint64_t slow_ns = pod == 2 ? SLOW_MS * 1000000ull : 0;

        buffer_init(&servers, 1 << 22);
        buffer_init(&callers, 1 << 22);
        put_head(&servers, "db", pod);
        put_head(&callers, "cart", pod);
        for (unsigned i = pod; i < TRACE_COUNT; i += PODS) {
            uint64_t start_ns = now_ns - 2000000000ull + i * 1000000ull;
            uint64_t call_ns = (DATABASE_MS + NETWORK_MS) * 1000000ull;
            const char *comma = i > pod ? "," : "";
            (void)buffer_append_text(&servers, comma);
            put_span_json(
                &servers, i, i * 4 + 3, i * 4 + 2, "2", start_ns + 1000000, DATABASE_MS * 1000000ull, "");
            (void)buffer_append_text(&callers, comma);
            put_span_json(&callers, i, i * 4 + 1, 0, "2", start_ns,
                call_ns + SELF_MS * 1000000ull + slow_ns + i * 1000ull, "");
            (void)buffer_append_text(&callers, ",");
            put_span_json(&callers, i, i * 4 + 2, i * 4 + 1, "3", start_ns, call_ns,
                ",{\"key\":\"peer.service\",\"value\":{\"stringValue\":\"db\"}}");
        }
        (void)buffer_append_text(&servers, "]}]}]}");
        (void)buffer_append_text(&callers, "]}]}]}");
        post(rig, &servers);
        post(rig, &callers);
        buffer_deinit(&servers);
        buffer_deinit(&callers);
    }
}

static json_t *ask(struct daemon_rig *rig, const char *path, unsigned status)
{
    struct http_answer answer = http_get(rig->api_path, path);
    json_error_t error;

    if (answer.status != status) {
        print_error("%s: %s\n", path, answer.text);
    }
    assert_int_equal(answer.status, status);
    json_t *json = json_loadb(answer.body, answer.body_bytes, 0, &error);
    assert_non_null(json);
    free(answer.text);
    return json;
}

/* Asks until it tells of so many requests. */
static json_t *ask_until(struct daemon_rig *rig, const char *path, json_int_t requests)
{
    for (int i = 0; i < TRIES; i++) {
        json_t *answer = ask(rig, path, 200);
        if (member(answer, "requests") == requests) {
            return answer;
        }
        json_decref(answer);
        pause_ms(50);
    }
    json_t *answer = ask(rig, path, 200);
    print_error(
        "%s: %lld requests, not %lld\n", path, (long long)member(answer, "requests"), (long long)requests);
    fail();
    return answer;
}

static double quantile_at(const json_t *answer, size_t index)
{
    return json_number_value(
        json_object_get(json_array_get(json_object_get(answer, "quantiles"), index), "seconds"));
}

static void check_latencies(struct daemon_rig *rig)
{
    json_t *self = ask_until(rig, "/api/v1/latency?of=self&destination=cart&q=0.5,0.99", TRACE_COUNT);
    assert_true(quantile_at(self, 0) > 0.0098 && quantile_at(self, 0) < 0.0108);
    assert_true(quantile_at(self, 1) > 0.206 && quantile_at(self, 1) < 0.215);
    assert_string_equal(json_string_value(json_object_get(self, "reporter")), "joined");
    json_decref(self);
    json_t *db = ask_until(rig, "/api/v1/latency?of=self&destination=db&q=0.5", TRACE_COUNT);
    assert_true(quantile_at(db, 0) > 0.0197 && quantile_at(db, 0) < 0.0203);
    json_decref(db);
    json_t *network =
        ask_until(rig, "/api/v1/latency?of=network&source=cart&destination=db&q=0.01,0.99", TRACE_COUNT);
    assert_true(quantile_at(network, 0) > 0.00295 && quantile_at(network, 1) < 0.00305);
    json_decref(network);
    json_decref(ask(rig, "/api/v1/latency?of=nothing&destination=db", 400));
    json_decref(ask(rig, "/api/v1/latency?of=self&reporter=source&destination=db", 400));
}

static void check_why(struct daemon_rig *rig)
{
    json_t *answer = ask_until(rig, "/api/v1/why?service=cart&window=1m", TRACE_COUNT);
    const json_t *cause = json_array_get(json_object_get(answer, "causes"), 0);
    const json_t *usual = json_object_get(answer, "usual");
    assert_string_equal(json_string_value(json_object_get(answer, "verdict")), "cause");
    assert_string_equal(json_string_value(json_object_get(cause, "kind")), "pod");
    assert_string_equal(json_string_value(json_object_get(cause, "value")), "cart-2");
    double callees = json_number_value(json_object_get(usual, "callees_seconds"));
    double network = json_number_value(json_object_get(usual, "network_seconds"));
    assert_true(callees > 0.0199 && callees < 0.0201);
    assert_true(network > 0.0029 && network < 0.0031);
    json_decref(answer);
    answer = ask_until(rig, "/api/v1/why?service=db", TRACE_COUNT);
    assert_string_equal(json_string_value(json_object_get(answer, "verdict")), "no_single_cause");
    json_decref(answer);
    answer = ask(rig, "/api/v1/why?service=nobody", 200);
    assert_string_equal(json_string_value(json_object_get(answer, "verdict")), "too_few_requests");
    json_decref(answer);
    json_decref(ask(rig, "/api/v1/why", 400));
    json_decref(ask(rig, "/api/v1/why?service=db&window=2h", 400));
}

static void assert_sample(const char *text, const char *sample)
{
    if (strstr(text, sample) == NULL) {
        print_error("no %s\n", sample);
        fail();
    }
}

static void check_metrics(struct daemon_rig *rig)
{
    struct http_answer answer = http_get(rig->api_path, "/metrics");

    assert_int_equal(answer.status, 200);
    assert_sample(answer.body, "mesh_service_self_seconds_count{mesh_service=\"cart\"");
    assert_sample(answer.body, "mesh_service_self_seconds_count{mesh_service=\"db\"");
    assert_sample(answer.body, "mesh_edge_network_seconds_count{source=\"cart\"");
    assert_sample(answer.body, "weft_trace_timings_total{result=\"joined\"} 1200\n");
    assert_sample(answer.body, "weft_trace_timings_total{result=\"dropped_behind\"} 0\n");
    assert_sample(answer.body, "weft_trace_times_lost_total 0\n");
    free(answer.text);
}

static void times_and_causes_of_posted_traces(void **state)
{
    struct daemon_rig rig;
    size_t before_count = open_descriptors_count();

    (void)state;
    assert_int_equal(daemon_rig_start(&rig, "limits:\n  trace_join_wait_ms: 1000\n"), 0);
    send_traces(&rig, clock_unix_ns(clock_system()));
    check_latencies(&rig);
    check_why(&rig);
    check_metrics(&rig);
    daemon_rig_stop(&rig);
    assert_int_equal(open_descriptors_count(), before_count);
}

/* Ends with timings that wait. */
static void an_end_while_spans_wait(void **state)
{
    struct daemon_rig rig;

    (void)state;
    assert_int_equal(daemon_rig_start(&rig, "limits:\n  trace_join_wait_ms: 60000\n"), 0);
    send_traces(&rig, clock_unix_ns(clock_system()));
    daemon_rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_while_spans_wait), /* first: libuv opens what it never closes */
        cmocka_unit_test(times_and_causes_of_posted_traces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The trace thread with shards and peers that the test plays: parts of several shards and peers become one
 * trace, who is late is named, what is too much is refused, notices reach peers with their token, and nothing
 * is left behind by a stop. And a whole agent, which finds what it was sent.
 */
#include "desk_rig.h"
#include "fake_peer.h"

static void parts_of_shards_become_one_trace(void **state)
{
    struct desk_rig rig;

    (void)state;
    start(&rig, "");
    rig.shards[0].spans = ONE;
    rig.shards[1].spans = TWO;
    json_t *answer = get(&rig, "/api/v1/traces/" TRACE, NULL, NULL, 200);
    assert_int_equal(span_count(answer), 2);
    assert_null(json_object_get(answer, "warnings"));
    json_decref(answer);
    answer = get(&rig, "/api/traces/" TRACE, NULL, NULL, 200);
    const json_t *trace = json_array_get(json_object_get(answer, "data"), 0);
    assert_int_equal(json_array_size(json_object_get(trace, "spans")), 2);
    assert_true(json_is_null(json_object_get(answer, "errors")));
    json_decref(answer);
    json_decref(get(&rig, "/api/traces/" OTHER, NULL, NULL, 404));
    assert_string_equal(rig.text,
        "{\"data\":null,\"total\":0,\"limit\":0,\"offset\":0,\"errors\":[{\"code\":404,"
        "\"msg\":\"trace not found\"}]}\n");
    json_decref(get(&rig, "/api/v1/traces/" OTHER, NULL, NULL, 404));
    json_decref(get(&rig, "/api/v3/traces/" OTHER, NULL, NULL, 404));
    json_decref(get(&rig, "/api/v1/traces/nonsense", NULL, NULL, 400));
    json_decref(get(&rig, "/api/traces", "limit", "x", 400));
    json_decref(get(&rig, "/api/v1/nothing", NULL, NULL, 404));
    answer = get(&rig, "/api/traces", "traceID", OTHER, 200); /* what is not there is told among the errors */
    assert_int_equal(json_array_size(json_object_get(answer, "errors")), 1);
    json_decref(answer);
    assert_int_equal(metric_registry_sum(&rig.registry, METRIC_QUERIES_BAD), 3);
    stop(&rig);
}

static struct trace_match match_of(uint8_t id, uint64_t start_unix_ns)
{
    struct trace_match match = {.start_unix_ns = start_unix_ns, .outcome = 0, .trace_id = {id, 2, 3}};

    return match;
}

static void the_newest_that_any_shard_found_are_chosen(void **state)
{
    const struct trace_match first[] = {match_of(1, 100), match_of(2, 400), match_of(3, 200)};
    const struct trace_match second[] = {match_of(2, 350), match_of(4, 300)};
    static const char *const expected[] = {"02", "04"};
    struct desk_rig rig;

    (void)state;
    start(&rig, "");
    rig.shards[0].matches = first;
    rig.shards[0].match_count = 3;
    rig.shards[1].matches = second;
    rig.shards[1].match_count = 2;
    json_t *answer = get(&rig, "/api/v1/traces", "limit", "2", 200);
    const json_t *matches = json_object_get(answer, "matches");
    assert_int_equal(json_array_size(matches), 2);
    for (size_t i = 0; i < 2; i++) {
        const char *id = json_string_value(json_object_get(json_array_get(matches, i), "traceId"));
        assert_memory_equal(id, expected[i], 2);
    }
    const char *newest = json_string_value(json_object_get(json_array_get(matches, 0), "startTimeUnixNano"));
    assert_string_equal(newest, "400");
    json_decref(answer);
    answer = get(&rig, "/api/traces", "service", "s", 200); /* of none of them there are spans any more */
    assert_int_equal(json_array_size(json_object_get(answer, "data")), 0);
    json_decref(answer);
    stop(&rig);
}

static void names_are_united(void **state)
{
    struct desk_rig rig;

    (void)state;
    start(&rig, "");
    json_decref(get(&rig, "/api/services", NULL, NULL, 200));
    assert_string_equal(rig.text, "{\"data\":[\"a\",\"b\",\"common\",\"weft\"],\"total\":4,\"limit\":0,"
                                  "\"offset\":0,\"errors\":null}\n");
    json_decref(get(&rig, "/api/services/s/operations", NULL, NULL, 200));
    assert_string_equal(rig.text,
        "{\"data\":[\"a\",\"b\",\"common\"],\"total\":3,\"limit\":0,\"offset\":0,\"errors\":null}\n");
    json_decref(get(&rig, "/api/v3/operations", "spanKind", "server", 200));
    assert_string_equal(rig.text, "{\"operations\":[{\"name\":\"common\",\"spanKind\":\"server\"}]}\n");
    stop(&rig);
}

static void a_late_shard_is_named(void **state)
{
    struct desk_rig rig;

    (void)state;
    start(&rig, "");
    rig.shards[0].spans = ONE;
    rig.shards[1].spans = TWO;
    rig.shards[1].is_silent = true;
    json_t *answer = get(&rig, "/api/v1/traces/" TRACE, NULL, NULL, 200);
    assert_int_equal(span_count(answer), 1);
    assert_true(warns(answer, "shard 1 did not answer within 200 ms"));
    json_decref(answer);
    assert_true(atomic_load(rig.shards[1].held[0]->cancelled)); /* nobody waits for it any more */
    let_go(&rig.shards[1]);
    rig.shards[1].is_silent = false;
    answer = get(&rig, "/api/v1/traces/" TRACE, NULL, NULL, 200);
    assert_int_equal(span_count(answer), 2);
    json_decref(answer);
    assert_int_equal(metric_registry_sum(&rig.registry, METRIC_TRACE_ANSWERS_CUT), 1);
    stop(&rig);
}

static void too_many_questions_are_refused(void **state)
{
    struct desk_rig rig;

    (void)state;
    start(&rig, "");
    rig.shards[0].is_silent = true;
    for (int i = 0; i < TRACE_JOBS_COUNT_MAX + 3; i++) {
        ask(&rig, "/api/services", NULL, NULL);
    }
    wait_for_answers(&rig, 3); /* at once: the others wait for a shard */
    assert_int_equal(rig.status, 503);
    assert_null(rig.text);
    wait_for_answers(&rig, TRACE_JOBS_COUNT_MAX + 3);
    assert_int_equal(metric_registry_sum(&rig.registry, METRIC_TRACE_QUESTIONS_BUSY), 3);
    let_go(&rig.shards[0]);
    stop(&rig);
}

/* With tasks at a shard that never returned them. */
static void a_stop_answers_what_waits(void **state)
{
    struct desk_rig rig;

    (void)state;
    start(&rig, "");
    rig.shards[0].is_silent = true;
    ask(&rig, "/api/traces/" TRACE, NULL, NULL);
    ask(&rig, "/api/traces", "service", "s");
    for (int ms = 0; atomic_load(&rig.shards[0].held_count) < 2; ms++) {
        assert_true(ms < DAEMON_WAIT_MS);
        pause_ms(1);
    }
    trace_thread_stop(rig.thread);
    mailbox_drain(&rig.mailbox);
    assert_int_equal(rig.answers_count, 2);
    assert_int_equal(rig.status, 503);
    let_go(&rig.shards[0]); /* the shard ends later; nobody takes its letters */
    trace_thread_free(rig.thread);
    rig.thread = NULL;
    stop(&rig);
}

/* ---- peers ---- */

static void start_with_peer(struct desk_rig *rig, uint16_t port, const char *more)
{
    char peers[512];

    (void)snprintf(peers, sizeof peers, "\"http://127.0.0.1:%u\"%s", (unsigned)port, more);
    start(rig, peers);
}

static void peers_add_their_part(void **state)
{
    struct fake_peer peer;
    struct desk_rig rig;

    (void)state;
    peer_start(&peer);
    peer.spans =
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"" OTHER
        "\",\"spanId\":\"0000000000000009\"},"
        "{\"traceId\":\"" TRACE
        "\",\"spanId\":\"0000000000000002\",\"name\":\"two\"}]}]}],\"warnings\":[\"shard 7 slept\"]}";
    start_with_peer(&rig, peer.port, "");
    rig.shards[0].spans = ONE;
    json_t *answer = get(&rig, "/api/v1/traces/" TRACE, NULL, NULL, 200);
    assert_int_equal(span_count(answer), 2);
    assert_true(warns(answer, "shard 7 slept"));
    json_decref(answer);
    answer = get(&rig, "/api/v1/traces/" TRACE, "peers", "no", 200);
    assert_int_equal(span_count(answer), 1);
    json_decref(answer);
    json_decref(get(&rig, "/api/services", NULL, NULL, 200));
    assert_non_null(strstr(rig.text, "of-peer"));
    stop(&rig);
    peer_stop(&peer);
}

static void what_peers_found_counts_too(void **state)
{
    const struct trace_match own[] = {match_of(1, 100)};
    struct fake_peer peer;
    struct desk_rig rig;

    (void)state;
    peer_start(&peer);
    peer.matches = "{\"matches\":[{\"traceId\":\"" OTHER
                   "\",\"spanId\":\"0000000000000002\",\"startTimeUnixNano\":\"900\","
                   "\"service\":\"far\",\"responseFlags\":[\"UF\"],\"error\":true}]}";
    peer.spans = SPANS_OF(OTHER, "0000000000000002", "", "two");
    start_with_peer(&rig, peer.port, "");
    rig.shards[0].matches = own;
    rig.shards[0].match_count = 1;
    json_t *answer = get(&rig, "/api/v1/traces", "tag", "a&b: \xc3\xa9\"", 200);
    const json_t *matches = json_object_get(answer, "matches");
    assert_int_equal(json_array_size(matches), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(matches, 0), "traceId")), OTHER);
    assert_string_equal(peer.last_search, "GET /api/v1/traces?peers=no&spans=no&limit=20&tags="
                                          "%7B%22a%26b%22%3A%22%20%C3%A9%5C%22%22%7D HTTP/1.1");
    json_decref(answer);
    answer = get(&rig, "/api/v1/traces", "since", "1h", 200);
    assert_int_equal(span_count(answer), 1);
    json_decref(answer);
    stop(&rig);
    peer_stop(&peer);
}

static void bad_peers_are_named(void **state)
{
    struct fake_peer silent;
    struct fake_peer broken;
    struct fake_peer refusing;
    struct desk_rig rig;
    char more[256];

    (void)state;
    peer_start(&silent);
    peer_start(&broken);
    peer_start(&refusing);
    silent.is_silent = true;
    broken.spans = "{\"resourceSpans\":[{\"scopeSpans\":7}]}";
    refusing.status = 500;
    /* port 1 has no listener */
    (void)snprintf(more, sizeof more,
        ", \"http://127.0.0.1:%u\", \"http://127.0.0.1:%u\", \"http://127.0.0.1:1\"", (unsigned)broken.port,
        (unsigned)refusing.port);
    start_with_peer(&rig, silent.port, more);
    rig.shards[0].spans = ONE;
    json_t *answer = get(&rig, "/api/v1/traces/" TRACE, NULL, NULL, 200);
    assert_int_equal(span_count(answer), 1);
    assert_int_equal(json_array_size(json_object_get(answer, "warnings")), 4);
    assert_true(warns(answer, "value outside what the format allows"));
    assert_true(warns(answer, "the peer broke the protocol"));
    assert_true(warns(answer, "127.0.0.1:1: system call failed"));
    json_decref(answer);
    stop(&rig);
    peer_stop(&silent);
    peer_stop(&broken);
    peer_stop(&refusing);
}

static void keep_trace(struct desk_rig *rig, uint8_t id)
{
    struct kept *kept = calloc(1, sizeof *kept);

    assert_non_null(kept);
    kept->batch_count = 1;
    kept->batch[0] = (struct kept_notice){.trace_id = {id}, .reasons = 1};
    kept_hub_send(&rig->hub, NULL, kept, rig->cells);
    free(kept);
}

static void wait_for_keeps(const struct fake_peer *peer, unsigned count)
{
    for (int ms = 0; atomic_load(&peer->keeps_count) < count; ms++) {
        assert_true(ms < DAEMON_WAIT_MS);
        pause_ms(1);
    }
}

static void notices_reach_peers(void **state)
{
    struct fake_peer peer;
    struct desk_rig rig;

    (void)state;
    peer_start(&peer);
    start_with_peer(&rig, peer.port, "");
    assert_int_equal(rig.hub.count, 1);
    keep_trace(&rig, 0xab);
    wait_for_keeps(&peer, 1);
    assert_non_null(
        strstr(peer.last_keep, "{\"from\":\"peer\",\"traceIds\":[ \"ab000000000000000000000000000000\"]}"));
    atomic_store(&peer.failures, 1); /* the next one is sent again */
    keep_trace(&rig, 0xcd);
    wait_for_keeps(&peer, 2);
    assert_non_null(strstr(peer.last_keep, "\"cd000000000000000000000000000000\"]"));
    assert_null(strstr(peer.last_keep, "\"ab00"));
    for (int ms = 0; metric_registry_sum(&rig.registry, METRIC_TRACE_PEER_NOTICES_SENT) < 2; ms++) {
        assert_true(ms < DAEMON_WAIT_MS);
        pause_ms(1);
    }
    assert_int_equal(metric_registry_sum(&rig.registry, METRIC_TRACE_PEER_NOTICES_LOST), 0);
    stop(&rig);
    peer_stop(&peer);
}

static void without_peers_nobody_is_told(void **state)
{
    struct desk_rig rig;

    (void)state;
    start(&rig, "");
    assert_int_equal(rig.hub.count, 0);
    stop(&rig);
}

/* ---- a whole agent ---- */

static json_t *agent_get(const struct daemon_rig *rig, const char *path, unsigned status)
{
    struct http_answer answer = http_get(rig->api_path, path);
    json_error_t error;

    if (answer.status != status) {
        fail_msg("%s", answer.text);
    }
    json_t *value = json_loadb(answer.body, answer.body_bytes, JSON_DECODE_ANY, &error);
    free(answer.text);
    return value;
}

/* The answer; the caller frees its text. */
static struct http_answer ask_to_keep(const char *socket_path, const char *headers, const char *body)
{
    char request[1024];
    int fd = connect_unix(socket_path);
    int length = snprintf(request, sizeof request,
        "POST /api/v1/keep HTTP/1.1\r\nHost: weft\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n%s",
        headers, strlen(body), body);

    send_all(fd, request, (size_t)length);
    return http_read_answer(fd);
}

static unsigned post_keep(const char *socket_path, const char *headers, const char *body)
{
    struct http_answer answer = ask_to_keep(socket_path, headers, body);

    free(answer.text);
    return answer.status;
}

static void send_traces(const struct daemon_rig *rig, unsigned count)
{
    uint64_t now_unix_ns = clock_unix_ns(clock_system());

    for (unsigned i = 1; i <= count; i++) {
        char text[2048];
        int length = snprintf(text, sizeof text,
            "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{"
            "\"stringValue\":\"cart\"}},"
            "{\"key\":\"service.namespace\",\"value\":{\"stringValue\":\"shop%u\"}}]},\"scopeSpans\":[{"
            "\"spans\":["
            "{\"traceId\":\"%032x\",\"spanId\":\"%016x\",\"name\":\"GET "
            "/a%u\",\"kind\":2,\"startTimeUnixNano\":\"%llu\","
            "\"endTimeUnixNano\":\"%llu\",\"attributes\":[{\"key\":\"number\",\"value\":{\"intValue\":\"%u\"}"
            "},"
            "{\"key\":\"http.request.header.authorization\",\"value\":{\"stringValue\":\"hunter2\"}}]}]}]}]}",
            i % 2, i, i, i, (unsigned long long)(now_unix_ns - i * 1000000ull),
            (unsigned long long)now_unix_ns, i);
        struct http_answer answer =
            http_post(rig->socket_path, "Content-Type: application/json\r\n", slice_of(text, (size_t)length));
        assert_int_equal(answer.status, 200);
        free(answer.text);
    }
}

static size_t data_count(const struct daemon_rig *rig, const char *path)
{
    json_t *answer = agent_get(rig, path, 200);
    size_t count = json_array_size(json_object_get(answer, "data"));

    json_decref(answer);
    return count;
}

/* Each connection goes to any of the shards, so both have spans. */
static void an_agent_finds_what_it_was_sent(void **state)
{
    struct daemon_rig rig;

    (void)state;
    assert_int_equal(daemon_rig_start(&rig, ""), 0);
    send_traces(&rig, 20);
    for (unsigned i = 1; i <= 20; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "/api/v1/traces/%032x", i);
        json_t *answer = agent_get(&rig, path, 200);
        assert_int_equal(span_count(answer), 1);
        json_decref(answer);
    }
    assert_int_equal(data_count(&rig, "/api/services"), 3);
    assert_int_equal(data_count(&rig, "/api/services/cart.shop1/operations"), 10);
    assert_int_equal(data_count(&rig, "/api/operations?service=cart&spanKind=server"), 20);
    assert_int_equal(data_count(&rig, "/api/operations?service=cart&spanKind=client"), 0);
    assert_int_equal(data_count(&rig, "/api/traces?service=cart"), 20);
    assert_int_equal(data_count(&rig, "/api/traces?service=cart.shop0"), 10);
    assert_int_equal(data_count(&rig, "/api/traces?service=cart&limit=7"), 7);
    assert_int_equal(data_count(&rig, "/api/traces?service=nobody"), 0);
    assert_int_equal(data_count(&rig, "/api/traces?service=cart&operation=GET%20/a3"), 1);
    assert_int_equal(data_count(&rig, "/api/traces?service=cart&tags=%7B%22number%22%3A%225%22%7D"), 1);
    assert_int_equal(data_count(&rig, "/api/traces?service=cart.shop0&tag=number:5"), 0);
    assert_int_equal(data_count(&rig, "/api/traces?service=cart&tag=service.namespace:shop1"), 10);
    assert_int_equal(data_count(&rig, "/api/traces?service=cart&tag=no.such.key:5"), 0);
    assert_int_equal(data_count(&rig, "/api/traces?service=cart&tag=span.kind:server&limit=3"), 3);
    assert_int_equal(data_count(&rig, "/api/traces?service=cart&minDuration=15500us"), 5);
    assert_int_equal(data_count(&rig, "/api/traces?service=cart&start=1&end=2"), 0);
    /* what is taken out of spans cannot be found by a search for it either */
    assert_int_equal(
        data_count(&rig, "/api/traces?service=cart&tag=http.request.header.authorization:hunter2"), 0);
    daemon_rig_stop(&rig);
}

static void traces_are_kept_at_request(void **state)
{
    struct daemon_rig rig;

    (void)state;
    assert_int_equal(daemon_rig_start(&rig, ""), 0);
    send_traces(&rig, 2);
    assert_int_equal(post_keep(rig.api_path, "", "{\"traceIds\":[\"1\",\"" TRACE "\"]}"), 200);
    assert_int_equal(post_keep(rig.api_path, "", "{\"from\":\"peer\",\"traceIds\":[\"2\"]}"), 200);
    assert_int_equal(post_keep(rig.api_path, "", "{\"traceIds\":[\"xyz\"]}"), 400);
    assert_int_equal(post_keep(rig.api_path, "", "{\"traceIds\":[\"1\"]"), 400);
    assert_int_equal(post_keep(rig.api_path, "", ""), 400);
    assert_int_equal(post_keep(rig.socket_path, "", "{\"traceIds\":[]}"), 403); /* it takes records */
    daemon_rig_stop(&rig);
}

/* With a rate of one a second one passes at once. */
static void what_others_keep_is_limited(void **state)
{
    static const char body[] = "{\"traceIds\":[\"1\",\"2\",\"3\",\"4\",\"5\"]}";
    struct daemon_rig rig;

    (void)state;
    assert_int_equal(daemon_rig_start(&rig, "trace:\n  rate_per_s: 1\n  peers: []\n"), 0);
    struct http_answer answer = ask_to_keep(rig.api_path, "", body);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.text, "{\"accepted\":1,\"limited\":4}"));
    free(answer.text);
    /* Peers have their own. */
    answer = ask_to_keep(rig.api_path, "", "{\"from\":\"peer\",\"traceIds\":[\"6\",\"7\"]}");
    assert_non_null(strstr(answer.text, "{\"accepted\":2}"));
    free(answer.text);
    answer = http_get(rig.api_path, "/metrics");
    assert_non_null(strstr(answer.text, "\nweft_trace_limited_traces_total{reason=\"operator\"} 4\n"));
    assert_non_null(strstr(answer.text, "\nweft_trace_limited_traces_total{reason=\"peer\"} 0\n"));
    assert_non_null(strstr(answer.text, "\nweft_trace_peer_notices_received_total 2\n"));
    free(answer.text);
    daemon_rig_stop(&rig);
}

static void a_token_must_be_the_right_one(void **state)
{
    static const char right[] = "Authorization: Bearer a-token-of-many-letters\r\n";
    static const char body[] = "{\"traceIds\":[\"1\"]}";
    char path[] = "/tmp/weft-token-XXXXXX";
    char more[128];
    struct daemon_rig rig;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a-token-of-many-letters\n", 24), 24);
    (void)close(fd);
    (void)snprintf(more, sizeof more, "trace:\n  peer_token_file: %s\n", path);
    assert_int_equal(daemon_rig_start(&rig, more), 0);
    (void)unlink(path);
    assert_int_equal(post_keep(rig.api_path, "", body), 200); /* from this machine */
    assert_int_equal(post_keep(rig.api_path, right, body), 200);
    assert_int_equal(post_keep(rig.api_path, "Authorization: Bearer a-token-of-many-lettert\r\n", body), 403);
    assert_int_equal(
        post_keep(rig.api_path, "Authorization: Bearer a-token-of-many-letters1\r\n", body), 403);
    assert_int_equal(post_keep(rig.api_path, "Authorization: Bearer \r\n", body), 403);
    assert_int_equal(post_keep(rig.api_path, "Authorization: Basic YTpi\r\n", body), 403);
    assert_int_equal(post_keep(rig.api_path, "Origin: http://example.com\r\n", body), 403);
    daemon_rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_shards_become_one_trace),
        cmocka_unit_test(the_newest_that_any_shard_found_are_chosen),
        cmocka_unit_test(names_are_united),
        cmocka_unit_test(a_late_shard_is_named),
        cmocka_unit_test(too_many_questions_are_refused),
        cmocka_unit_test(a_stop_answers_what_waits),
        cmocka_unit_test(peers_add_their_part),
        cmocka_unit_test(what_peers_found_counts_too),
        cmocka_unit_test(bad_peers_are_named),
        cmocka_unit_test(notices_reach_peers),
        cmocka_unit_test(without_peers_nobody_is_told),
        cmocka_unit_test(an_agent_finds_what_it_was_sent),
        cmocka_unit_test(traces_are_kept_at_request),
        cmocka_unit_test(what_others_keep_is_limited),
        cmocka_unit_test(a_token_must_be_the_right_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

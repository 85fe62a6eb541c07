/* OTLP log records: each key of the map, what makes an access log of a record, damage, the copy without what
 * may not be stored, and all that a real Envoy sent (tests/corpus/otlp_logs_envoy*.logs). */
#include "testing.h"

#include "decode/otlp_log_encode.h"
#include "decode/otlp_logs.h"

enum { LOGS_SEEN_MAX = 64, LOG_TEXT_BYTES = 512 };

struct seen {
    struct access_log_entry entries[LOGS_SEEN_MAX];
    struct access_log_reporter reporter;
    uint32_t entries_count;
    uint32_t others_count;
    uint32_t resources_count;
    struct decode_error refused;
    uint32_t refused_count;
    uint32_t kinds[ACCESS_LOG_KIND_COUNT];
    struct otlp_logs_result result;
    struct decode_error error;
    int status;
};

static void on_resource(void *user, const struct access_log_reporter *reporter)
{
    struct seen *seen = user;

    seen->reporter = *reporter;
    seen->resources_count++;
}

static void on_entry(void *user, const struct access_log_entry *entry)
{
    struct seen *seen = user;

    if (seen->entries_count < LOGS_SEEN_MAX) {
        seen->entries[seen->entries_count] = *entry;
    }
    seen->entries_count++;
    seen->kinds[entry->kind]++;
}

static void on_other(void *user)
{
    ((struct seen *)user)->others_count++;
}

static void on_refused(void *user, const struct decode_error *where)
{
    struct seen *seen = user;

    assert_int_equal(where->record, seen->entries_count + seen->others_count + seen->refused_count);
    assert_true(where->code < 0);
    seen->refused = *where;
    seen->refused_count++;
}

struct fixture {
    struct otlp_trace_scanner *base;
    struct otlp_logs_scanner scanner;
    struct buffer bytes;
    struct wire_envelope resource_logs;
    struct wire_envelope scope_logs;
};

static void fixture_init(struct fixture *fixture)
{
    fixture->base = test_scanner_new();
    otlp_logs_scanner_init(&fixture->scanner, fixture->base);
    buffer_init(&fixture->bytes, TEST_BYTES_MAX);
}

static void fixture_deinit(struct fixture *fixture)
{
    buffer_deinit(&fixture->bytes);
    free(fixture->base);
}

static void scan_bytes(struct fixture *fixture, struct slice message, struct seen *seen)
{
    struct otlp_logs_sink sink = {.user = seen,
        .on_resource = on_resource,
        .on_entry = on_entry,
        .on_other = on_other,
        .on_refused = on_refused};

    memset(seen, 0, sizeof *seen);
    seen->status =
        otlp_logs_scan(&fixture->scanner, message, TEST_NOW_UNIX_NS, &sink, &seen->result, &seen->error);
    assert_int_equal(seen->result.records_count, seen->entries_count + seen->others_count);
    assert_int_equal(seen->result.refused_count, seen->refused_count);
}

static void begin(struct fixture *fixture, bool is_envoy)
{
    fixture->bytes.length = 0;
    fixture->resource_logs = wire_envelope_begin(&fixture->bytes, 1, 300);
    struct wire_envelope resource = wire_envelope_begin(&fixture->bytes, 1, 30);
    if (is_envoy) {
        test_text_attribute(&fixture->bytes, 1, "log_name", "front");
        test_text_attribute(&fixture->bytes, 1, "node_name", "sidecar~10.1.2.3~web-1.shop~shop.svc");
        test_text_attribute(&fixture->bytes, 1, "cluster_name", "web.shop");
    }
    test_text_attribute(&fixture->bytes, 1, "k8s.pod.name", "web-1");
    wire_envelope_end(&fixture->bytes, resource);
    fixture->scope_logs = wire_envelope_begin(&fixture->bytes, 2, 300);
}

static struct slice end(struct fixture *fixture)
{
    wire_envelope_end(&fixture->bytes, fixture->scope_logs);
    wire_envelope_end(&fixture->bytes, fixture->resource_logs);
    return test_slice(&fixture->bytes);
}

struct pair {
    const char *key;
    const char *text;
};

/* A record of attributes, or of a body when in_body. */
static void put_record(struct buffer *out, const struct pair *pairs, size_t count, bool in_body)
{
    struct wire_envelope record = wire_envelope_begin(out, 2, 300);

    wire_write_fixed64(out, 1, TEST_NOW_UNIX_NS - 5000000);
    if (in_body) {
        struct wire_envelope body = wire_envelope_begin(out, 5, 300);
        struct wire_envelope map = wire_envelope_begin(out, 6, 300);
        for (size_t i = 0; i < count; i++) {
            test_text_attribute(out, 1, pairs[i].key, pairs[i].text);
        }
        wire_envelope_end(out, map);
        wire_envelope_end(out, body);
    } else {
        for (size_t i = 0; i < count; i++) {
            test_text_attribute(out, 6, pairs[i].key, pairs[i].text);
        }
    }
    wire_write_bytes(out, 9, slice_of(test_trace_id, sizeof test_trace_id));
    wire_write_bytes(out, 10, slice_of(test_span_id, sizeof test_span_id));
    wire_envelope_end(out, record);
}

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static const struct pair request_pairs[] = {
    {"access_log_type", "DownstreamEnd"},
    {"http.request.method", "GET"},
    {"url.path", "/cart?token=hunter2"},
    {"authority", "cart.shop"},
    {"protocol", "HTTP/2"},
    {"http.response.status_code", "503"},
    {"rpc.grpc.status_code", "14"},
    {"response_flags", "UF,URX"},
    {"response_code_details", "via_upstream"},
    {"duration_us", "1500"},
    {"duration", "1"},
    {"bytes_received", "10"},
    {"bytes_sent", "2000"},
    {"attempt_count", "3"},
    {"route_name", "cart"},
    {"upstream_cluster", "outbound|80||cart.shop.svc.cluster.local"},
    {"upstream_host", "10.1.2.9:8080"},
    {"downstream_remote_address", "10.1.2.3:5000"},
    {"request_id", "e6ab9615-6d20-953a-b698-ff3abd441c1d"},
    {"user_agent.original", "curl/8"},
    {"upstream_peer_uri_san", "spiffe://cluster.local/ns/shop/sa/cart"},
    {"downstream_peer_uri_san", "-"},
    {"downstream_local_uri_san", ""},
    {"weft.reporter", "source"},
};

static void assert_slice(struct slice got, const char *expected)
{
    assert_int_equal(got.length, strlen(expected));
    assert_memory_equal(got.ptr, expected, got.length);
}

static void reads_every_field(void **state)
{
    struct fixture fixture;
    struct seen seen;

    (void)state;
    fixture_init(&fixture);
    for (int in_body = 0; in_body < 2; in_body++) {
        begin(&fixture, true);
        put_record(&fixture.bytes, request_pairs, COUNT_OF(request_pairs), in_body != 0);
        scan_bytes(&fixture, end(&fixture), &seen);
        assert_int_equal(seen.status, 0);
        assert_int_equal(seen.entries_count, 1);
        assert_true(seen.result.needs_rewrite); /* the query string */
        const struct access_log_entry *entry = &seen.entries[0];
        assert_int_equal(entry->kind, ACCESS_LOG_REQUEST);
        assert_int_equal(entry->side, ACCESS_LOG_SIDE_SOURCE);
        assert_int_equal(entry->protocol, ACCESS_LOG_PROTOCOL_HTTP2);
        assert_int_equal(entry->response_code, 503);
        assert_true(entry->has_grpc_status);
        assert_int_equal(entry->grpc_status, 14);
        assert_true(entry->has_attempts);
        assert_int_equal(entry->attempts, 3);
        assert_int_equal(entry->duration_ns, 1500000);
        assert_true(entry->start_unix_ns == TEST_NOW_UNIX_NS - 5000000);
        assert_true(entry->has_request_bytes && entry->request_bytes == 10);
        assert_true(entry->has_response_bytes && entry->response_bytes == 2000);
        assert_slice(entry->method, "GET");
        assert_slice(entry->authority, "cart.shop");
        assert_slice(entry->response_flags_text, "UF,URX");
        assert_slice(entry->details, "via_upstream");
        assert_slice(entry->route_name, "cart");
        assert_slice(entry->upstream_cluster, "outbound|80||cart.shop.svc.cluster.local");
        assert_slice(entry->upstream_address, "10.1.2.9:8080");
        assert_slice(entry->downstream_address, "10.1.2.3:5000");
        assert_slice(entry->user_agent, "curl/8");
        assert_slice(entry->upstream.identity, "spiffe://cluster.local/ns/shop/sa/cart");
        assert_int_equal(entry->downstream.identity.length, 0);
        assert_int_equal(entry->local_identity.length, 0);
        assert_true(entry->has_trace && memcmp(entry->trace_id, test_trace_id, 16) == 0);
        assert_true(entry->has_span && memcmp(entry->span_id, test_span_id, 8) == 0);
    }
    assert_slice(seen.reporter.node_id, "sidecar~10.1.2.3~web-1.shop~shop.svc");
    assert_slice(seen.reporter.address, "10.1.2.3");
    assert_slice(seen.reporter.service, "web.shop");
    assert_slice(seen.reporter.self.pod, "web-1");
    assert_true(seen.reporter.is_envoy);
    fixture_deinit(&fixture);
}

/* The one record of a message with these pairs; its kind, or -1 for one that is no access log. */
static int kind_of(struct fixture *fixture, bool is_envoy, const struct pair *pairs, size_t count)
{
    struct seen seen;

    begin(fixture, is_envoy);
    put_record(&fixture->bytes, pairs, count, false);
    scan_bytes(fixture, end(fixture), &seen);
    assert_int_equal(seen.status, 0);
    assert_int_equal(seen.entries_count + seen.others_count, 1);
    return seen.entries_count == 1 ? (int)seen.entries[0].kind : -1;
}

static void tells_access_logs_from_others(void **state)
{
    static const struct {
        const char *type;
        int kind;
    } types[] = {{"DownstreamEnd", ACCESS_LOG_REQUEST}, {"UpstreamEnd", ACCESS_LOG_ATTEMPT},
        {"TcpConnectionEnd", ACCESS_LOG_CONNECTION}, {"DownstreamStart", ACCESS_LOG_INTERMEDIATE},
        {"TcpPeriodic", ACCESS_LOG_INTERMEDIATE}, {"anything new", ACCESS_LOG_INTERMEDIATE}};
    static const struct pair http[] = {{"method", "GET"}, {"duration", "3"}, {"response_code", "200"}};
    static const struct pair told[] = {{"method", "GET"}, {"duration", "3"}, {"weft.reporter", "source"}};
    static const struct pair tcp[] = {
        {"duration", "3"}, {"bytes_sent", "200"}, {"access_log_type", "NotSet"}};
    static const struct pair timeless[] = {{"method", "GET"}, {"duration", "-"}, {"response_code", "200"}};
    static const struct pair plain[] = {{"duration", "3"}, {"message", "hello"}};
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        const struct pair pairs[] = {{"access_log_type", types[i].type}};
        assert_int_equal(kind_of(&fixture, false, pairs, 1), types[i].kind);
    }
    assert_int_equal(kind_of(&fixture, true, http, COUNT_OF(http)), ACCESS_LOG_REQUEST);
    assert_int_equal(kind_of(&fixture, false, http, COUNT_OF(http)), -1); /* an application's own line */
    assert_int_equal(kind_of(&fixture, false, told, COUNT_OF(told)), ACCESS_LOG_REQUEST);
    assert_int_equal(kind_of(&fixture, true, tcp, COUNT_OF(tcp)), ACCESS_LOG_CONNECTION);
    assert_int_equal(kind_of(&fixture, false, tcp, COUNT_OF(tcp)), -1);
    assert_int_equal(kind_of(&fixture, true, timeless, COUNT_OF(timeless)), -1);
    assert_int_equal(kind_of(&fixture, true, plain, COUNT_OF(plain)), -1);
    assert_int_equal(kind_of(&fixture, true, NULL, 0), -1);
    fixture_deinit(&fixture);
}

/* Numbers that are none are not told; integers serve as well as texts. */
static void numbers_have_many_forms(void **state)
{
    static const struct pair bad[] = {{"access_log_type", "DownstreamEnd"}, {"response_code", "20x"},
        {"duration_us", "-"}, {"duration", "99999999999999999999999"}, {"bytes_sent", "18446744073709551616"},
        {"attempt_count", "-1"}, {"grpc_status", "OK"}, {"protocol", "HTTP/"}, {"weft.reporter", "both"}};
    struct fixture fixture;
    struct seen seen;

    (void)state;
    fixture_init(&fixture);
    begin(&fixture, true);
    put_record(&fixture.bytes, bad, COUNT_OF(bad), false);
    struct wire_envelope record = wire_envelope_begin(&fixture.bytes, 2, 100);
    test_text_attribute(&fixture.bytes, 6, "access_log_type", "DownstreamEnd");
    test_integer_attribute(&fixture.bytes, 6, "response_code", 404);
    test_integer_attribute(&fixture.bytes, 6, "duration", 7);
    test_integer_attribute(&fixture.bytes, 6, "bytes_sent", (uint64_t)-5);
    test_integer_attribute(&fixture.bytes, 6, "attempt_count", 2);
    test_integer_attribute(&fixture.bytes, 6, "response_code", 500); /* the first counts */
    wire_envelope_end(&fixture.bytes, record);
    scan_bytes(&fixture, end(&fixture), &seen);
    assert_int_equal(seen.entries_count, 2);
    assert_int_equal(seen.entries[0].response_code, 0);
    assert_int_equal(seen.entries[0].duration_ns, 0);
    assert_int_equal(seen.entries[0].protocol, ACCESS_LOG_PROTOCOL_UNTOLD);
    assert_int_equal(seen.entries[0].side, ACCESS_LOG_SIDE_UNTOLD);
    assert_false(seen.entries[0].has_response_bytes);
    assert_false(seen.entries[0].has_attempts);
    assert_false(seen.entries[0].has_grpc_status);
    assert_int_equal(seen.entries[1].response_code, 404);
    assert_int_equal(seen.entries[1].duration_ns, 7000000);
    assert_false(seen.entries[1].has_response_bytes);
    assert_int_equal(seen.entries[1].attempts, 2);
    /* without any time it has ended now */
    assert_true(seen.entries[1].start_unix_ns == TEST_NOW_UNIX_NS - 7000000);
    fixture_deinit(&fixture);
}

static void refuses_records_alone(void **state)
{
    static const uint8_t wrong_type[] = {WIRE_TAG(1, WIRE_VARINT), 1};
    static const uint8_t cut_attribute[] = {WIRE_TAG(6, WIRE_BYTES), 2, 0x0a, 0x7f};
    static const uint8_t cut_body[] = {WIRE_TAG(5, WIRE_BYTES), 2, 0x32, 0x7f};
    static const uint8_t short_trace[] = {WIRE_TAG(9, WIRE_BYTES), 2, 1, 2};
    static const uint8_t short_span[] = {WIRE_TAG(10, WIRE_BYTES), 2, 1, 2};
    static const struct {
        const uint8_t *bytes;
        size_t length;
        enum record_error reason;
    } rows[] = {{wrong_type, sizeof wrong_type, RECORD_ERROR_MALFORMED},
        {cut_attribute, sizeof cut_attribute, RECORD_ERROR_MALFORMED},
        {cut_body, sizeof cut_body, RECORD_ERROR_MALFORMED},
        {short_trace, sizeof short_trace, RECORD_ERROR_TRACE_ID},
        {short_span, sizeof short_span, RECORD_ERROR_SPAN_ID}};
    struct fixture fixture;
    struct seen seen;

    (void)state;
    fixture_init(&fixture);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buffer copy;
        uint32_t records_count = 0;
        begin(&fixture, true);
        put_record(&fixture.bytes, request_pairs, COUNT_OF(request_pairs), false);
        wire_write_bytes(&fixture.bytes, 2, slice_of(rows[i].bytes, rows[i].length));
        put_record(&fixture.bytes, request_pairs, COUNT_OF(request_pairs), false);
        struct slice message = end(&fixture);
        scan_bytes(&fixture, message, &seen);
        assert_int_equal(seen.status, 0);
        assert_int_equal(seen.entries_count, 2);
        assert_int_equal(seen.refused_count, 1);
        assert_int_equal(seen.refused.reason, rows[i].reason);
        assert_int_equal(seen.refused.record, 1);
        assert_true(seen.result.needs_rewrite);
        buffer_init(&copy, TEST_BYTES_MAX);
        assert_int_equal(otlp_logs_rewrite(&fixture.scanner, message, &copy, &records_count), 0);
        assert_int_equal(records_count, 2);
        scan_bytes(&fixture, test_slice(&copy), &seen);
        assert_int_equal(seen.status, 0);
        assert_int_equal(seen.entries_count, 2);
        assert_int_equal(seen.refused_count, 0);
        assert_false(seen.result.needs_rewrite);
        buffer_deinit(&copy);
    }
    fixture_deinit(&fixture);
}

/* Records of all senders leave in one request: what a strict receiver would refuse stays out of it. */
static void texts_that_are_no_utf8_are_refused(void **state)
{
    static const struct pair bad[] = {{"method", "GET"}, {"user-agent", "curl\xff"}, {"duration", "3"}};
    static const struct pair bad_key[] = {{"method", "GET"}, {"k\xc3", "v"}};
    static const struct pair good[] = {{"method", "GET"}, {"user-agent", "\xc3\xa9"}, {"duration", "3"}};
    static const struct {
        const struct pair *pairs;
        size_t count;
        bool in_body;
        uint32_t refused_count;
    } rows[] = {{bad, COUNT_OF(bad), false, 1}, {bad, COUNT_OF(bad), true, 1},
        {bad_key, COUNT_OF(bad_key), false, 1}, {good, COUNT_OF(good), false, 0},
        {good, COUNT_OF(good), true, 0}};
    struct fixture fixture;
    struct seen seen;

    (void)state;
    fixture_init(&fixture);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begin(&fixture, true);
        put_record(&fixture.bytes, request_pairs, COUNT_OF(request_pairs), false);
        put_record(&fixture.bytes, rows[i].pairs, rows[i].count, rows[i].in_body);
        scan_bytes(&fixture, end(&fixture), &seen);
        assert_int_equal(seen.status, 0);
        assert_int_equal(seen.refused_count, rows[i].refused_count);
        assert_int_equal(seen.result.records_count, 2 - rows[i].refused_count);
        if (rows[i].refused_count > 0) {
            assert_int_equal(seen.refused.reason, RECORD_ERROR_UTF8);
            assert_true(seen.result.needs_rewrite); /* the copy is without it */
        }
    }
    fixture_deinit(&fixture);
}

static bool holds(struct slice bytes, const char *text)
{
    return memmem(bytes.ptr, bytes.length, text, strlen(text)) != NULL;
}

/* In a list, in a body's list, as event_name. */
static void hidden_texts_are_judged(void **state)
{
    static const struct slice records[] = {
        SLICE_LITERAL("\x32\x0c\x0a\x01k\x12\x07\x2a\x05\x0a\x03\x0a\x01\xff"),
        SLICE_LITERAL("\x2a\x07\x2a\x05\x0a\x03\x0a\x01\xff"),
        SLICE_LITERAL("\x62\x01\xff"),
    };
    struct fixture fixture;
    struct seen seen;

    (void)state;
    fixture_init(&fixture);
    for (size_t i = 0; i < COUNT_OF(records); i++) {
        begin(&fixture, true);
        wire_write_bytes(&fixture.bytes, 2, records[i]);
        scan_bytes(&fixture, end(&fixture), &seen);
        assert_int_equal(seen.status, 0);
        assert_int_equal(seen.refused_count, 1);
        assert_int_equal(seen.refused.reason, RECORD_ERROR_UTF8);
    }
    fixture_deinit(&fixture);
}

/* Of scopes and schemas; what is under a resource with such a text stays behind altogether. */
static void bad_texts_around_records_stay_behind(void **state)
{
    static const struct slice scopes[] = {SLICE_LITERAL("\x0a\x01\xff"), SLICE_LITERAL("\x12\x01\xff"),
        SLICE_LITERAL("\x1a\x08\x0a\x01k\x12\x03\x0a\x01\xff")};
    struct fixture fixture;
    struct seen seen;
    uint32_t records_count = 0;

    (void)state;
    fixture_init(&fixture);
    for (size_t i = 0; i < COUNT_OF(scopes) + 1; i++) {
        bool is_resource = i == COUNT_OF(scopes);
        struct buffer copy;
        buffer_init(&copy, TEST_BYTES_MAX);
        begin(&fixture, true);
        put_record(&fixture.bytes, request_pairs, COUNT_OF(request_pairs), false);
        if (!is_resource) {
            wire_write_bytes(&fixture.bytes, 1, scopes[i]);
            wire_write_bytes(&fixture.bytes, 3, SLICE_LITERAL("\xff"));
        }
        struct slice message = end(&fixture);
        if (is_resource) { /* a second group: a record, then its resource */
            wire_write_bytes(&fixture.bytes, 1,
                SLICE_LITERAL("\x12\x04\x12\x02\x10\x01\x0a\x0a\x0a\x08\x0a\x01k\x12\x03\x0a\x01\xff"));
            message = test_slice(&fixture.bytes);
        }
        scan_bytes(&fixture, message, &seen);
        assert_int_equal(seen.status, is_resource ? WERR_UTF8 : 0);
        assert_int_equal(seen.result.records_count, 1);
        assert_true(is_resource || seen.result.needs_rewrite);
        assert_int_equal(otlp_logs_rewrite(&fixture.scanner, message, &copy, &records_count), 0);
        assert_int_equal(records_count, 1);
        assert_false(holds(test_slice(&copy), "\xff"));
        buffer_deinit(&copy);
    }
    fixture_deinit(&fixture);
}

/* Each cut and each wild byte: a code or a refusal, and never more than the message holds. */
static void survives_damage(void **state)
{
    struct fixture fixture;
    struct seen seen;
    uint32_t failures = 0;

    (void)state;
    fixture_init(&fixture);
    begin(&fixture, true);
    put_record(&fixture.bytes, request_pairs, COUNT_OF(request_pairs), false);
    put_record(&fixture.bytes, request_pairs, COUNT_OF(request_pairs), true);
    struct slice message = end(&fixture);
    for (size_t i = 0; i < message.length; i++) {
        uint8_t *copy = malloc(message.length);
        struct buffer out;
        uint32_t records_count = 0;
        assert_non_null(copy);
        memcpy(copy, message.ptr, message.length);
        scan_bytes(&fixture, slice_of(copy, i), &seen);
        failures += seen.status < 0;
        assert_true(seen.status == 0 || seen.error.code == seen.status);
        copy[i] = 0xff;
        scan_bytes(&fixture, slice_of(copy, message.length), &seen);
        assert_true(seen.entries_count + seen.others_count + seen.refused_count <= 2);
        buffer_init(&out, TEST_BYTES_MAX);
        assert_int_equal(
            otlp_logs_rewrite(&fixture.scanner, slice_of(copy, message.length), &out, &records_count), 0);
        assert_true(records_count <= 2);
        buffer_deinit(&out);
        free(copy);
    }
    assert_true(failures > message.length / 2);
    fixture_deinit(&fixture);
}

static void secrets_do_not_leave(void **state)
{
    static const struct pair pairs[] = {{"http.request.header.authorization", "Bearer hunter2"},
        {"url.path", "/a?token=hunter2"}, {"path", "/b?token=hunter2"}, {"kept", "kept-value"}};
    struct fixture fixture;
    struct buffer copy;
    uint32_t records_count = 0;

    (void)state;
    fixture_init(&fixture);
    begin(&fixture, false);
    put_record(&fixture.bytes, pairs, COUNT_OF(pairs), false);
    put_record(&fixture.bytes, pairs, COUNT_OF(pairs), true);
    struct slice message = end(&fixture);
    buffer_init(&copy, TEST_BYTES_MAX);
    assert_int_equal(otlp_logs_rewrite(&fixture.scanner, message, &copy, &records_count), 0);
    assert_int_equal(records_count, 2);
    assert_false(holds(test_slice(&copy), "hunter2"));
    assert_true(holds(test_slice(&copy), "kept-value"));
    assert_true(holds(test_slice(&copy), REDACTED_TEXT));
    buffer_deinit(&copy);
    buffer_init(&copy, 64); /* no room: nothing is left behind */
    assert_int_equal(otlp_logs_rewrite(&fixture.scanner, message, &copy, &records_count), WERR_OVERSIZED);
    assert_int_equal(copy.length, 0);
    buffer_deinit(&copy);
    fixture_deinit(&fixture);
}

/* What the encoder writes is read back as the same entry. */
static void an_entry_goes_out_and_comes_back(void **state)
{
    static const struct access_log_reporter names = {.is_envoy = true};
    struct otlp_log_meaning meaning = {.severity = OTLP_LOG_ERROR,
        .outcome = SLICE_LITERAL("server_error"),
        .reporter = SLICE_LITERAL("source"),
        .source = SLICE_LITERAL("web"),
        .source_namespace = SLICE_LITERAL("shop"),
        .destination = SLICE_LITERAL("cart"),
        .response_flags = SLICE_LITERAL("UF,URX")};
    struct fixture fixture;
    struct seen seen;
    struct buffer out;

    (void)state;
    fixture_init(&fixture);
    begin(&fixture, true);
    put_record(&fixture.bytes, request_pairs, COUNT_OF(request_pairs), false);
    scan_bytes(&fixture, end(&fixture), &seen);
    struct access_log_entry entry = seen.entries[0];
    buffer_init(&out, TEST_BYTES_MAX);
    for (int i = 0; i < 2; i++) { /* records concatenate */
        otlp_log_encode(&fixture.base->attributes, &entry, &names, &meaning, TEST_NOW_UNIX_NS, &out);
        assert_int_equal(out.error, 0);
    }
    assert_false(holds(test_slice(&out), "hunter2"));
    assert_true(holds(test_slice(&out), "ERROR"));
    scan_bytes(&fixture, test_slice(&out), &seen);
    assert_int_equal(seen.status, 0);
    assert_int_equal(seen.entries_count, 2);
    assert_int_equal(seen.resources_count, 2);
    assert_false(seen.result.needs_rewrite);
    assert_slice(seen.reporter.service, "web");
    assert_slice(seen.reporter.service_namespace, "shop");
    const struct access_log_entry *again = &seen.entries[1];
    assert_int_equal(again->kind, entry.kind);
    assert_int_equal(again->side, entry.side);
    assert_int_equal(again->response_code, 503);
    assert_int_equal(again->grpc_status, 14);
    assert_int_equal(again->attempts, 3);
    assert_int_equal(again->protocol, ACCESS_LOG_PROTOCOL_HTTP2);
    assert_true(again->start_unix_ns == entry.start_unix_ns && again->duration_ns == entry.duration_ns);
    assert_true(again->request_bytes == 10 && again->response_bytes == 2000);
    assert_slice(again->path, "/cart");
    assert_slice(again->response_flags_text, "UF,URX");
    assert_true(slice_equal(again->upstream_cluster, entry.upstream_cluster));
    assert_true(slice_equal(again->request_id, entry.request_id));
    assert_memory_equal(again->trace_id, entry.trace_id, 16);
    assert_memory_equal(again->span_id, entry.span_id, 8);
    buffer_deinit(&out);
    fixture_deinit(&fixture);
}

/* Whoever calls nginx may put any bytes into a path or header; one such record must not cost others. */
static void what_is_no_utf8_goes_out_as_what_is(void **state)
{
    static const struct access_log_reporter names = {.is_envoy = false};
    static const struct access_log_entry entry = {.kind = ACCESS_LOG_REQUEST,
        .method = {.ptr = (const uint8_t *)"GET", .length = 3},
        .path = {.ptr = (const uint8_t *)"/a\xff", .length = 3},
        .authority = {.ptr = (const uint8_t *)"b\xc3\xa9", .length = 3},
        .user_agent = {.ptr = (const uint8_t *)"c\xc0\xaf", .length = 3}};
    static const struct otlp_log_meaning meaning = {.severity = OTLP_LOG_INFO};
    struct fixture fixture;
    struct seen seen;
    struct buffer out;

    (void)state;
    fixture_init(&fixture);
    buffer_init(&out, TEST_BYTES_MAX);
    otlp_log_encode(&fixture.base->attributes, &entry, &names, &meaning, TEST_NOW_UNIX_NS, &out);
    assert_int_equal(out.error, 0);
    assert_true(holds(test_slice(&out), "GET /a? 0"));
    assert_true(holds(test_slice(&out), "b\xc3\xa9")); /* is fine */
    assert_true(holds(test_slice(&out), "c??"));
    assert_false(holds(test_slice(&out), "\xff"));
    scan_bytes(&fixture, test_slice(&out), &seen);
    assert_int_equal(seen.refused_count, 0);
    assert_int_equal(seen.entries_count + seen.others_count, 1);
    buffer_deinit(&out);
    fixture_deinit(&fixture);
}

static void an_encoder_without_room_says_so(void **state)
{
    static const struct access_log_reporter names = {.is_envoy = false};
    static const struct access_log_entry entry = {.kind = ACCESS_LOG_CONNECTION};
    static const struct otlp_log_meaning meaning = {.severity = OTLP_LOG_INFO};
    struct fixture fixture;
    struct buffer out;

    (void)state;
    fixture_init(&fixture);
    buffer_init(&out, 32);
    otlp_log_encode(&fixture.base->attributes, &entry, &names, &meaning, TEST_NOW_UNIX_NS, &out);
    assert_int_equal(out.error, WERR_OVERSIZED);
    buffer_deinit(&out);
    fixture_deinit(&fixture);
}

/* ---- what a real Envoy sent ---- */

static size_t read_file(const char *name, uint8_t **ret_bytes)
{
    char path[LOG_TEXT_BYTES];

    (void)snprintf(path, sizeof path, WEFT_SOURCE_DIR "/tests/corpus/%s", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    *ret_bytes = malloc(TEST_BYTES_MAX);
    assert_non_null(*ret_bytes);
    size_t length = fread(*ret_bytes, 1, TEST_BYTES_MAX, file);
    assert_int_equal(fclose(file), 0);
    assert_in_range(length, 5, TEST_BYTES_MAX - 1);
    return length;
}

static void reads_all_that_envoy_sent(void **state)
{
    static const char *const files[] = {"otlp_logs_envoy.logs", "otlp_logs_envoy_body.logs"};
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        uint8_t *bytes;
        size_t length = read_file(files[i], &bytes);
        uint32_t kinds[ACCESS_LOG_KIND_COUNT] = {0};
        uint32_t messages_count = 0;
        for (size_t at = 0; at + 4 <= length; messages_count++) {
            struct seen seen;
            uint32_t size;
            memcpy(&size, bytes + at, 4);
            struct slice message = slice_of(bytes + at + 4, size);
            struct buffer copy;
            uint32_t records_count = 0;
            scan_bytes(&fixture, message, &seen);
            assert_int_equal(seen.status, 0);
            assert_int_equal(seen.refused_count, 0);
            assert_int_equal(seen.others_count, 0);
            assert_true(seen.reporter.is_envoy);
            for (size_t k = 0; k < ACCESS_LOG_KIND_COUNT; k++) {
                kinds[k] += seen.kinds[k];
            }
            buffer_init(&copy, TEST_BYTES_MAX);
            assert_int_equal(otlp_logs_rewrite(&fixture.scanner, message, &copy, &records_count), 0);
            assert_int_equal(records_count, seen.entries_count);
            assert_false(holds(test_slice(&copy), "hunter2"));
            buffer_deinit(&copy);
            at += 4 + size;
        }
        assert_true(messages_count > 0 && kinds[ACCESS_LOG_REQUEST] > 0 && kinds[ACCESS_LOG_ATTEMPT] > 0);
        assert_int_equal(kinds[ACCESS_LOG_INTERMEDIATE], 0);
        free(bytes);
    }
    fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_field),
        cmocka_unit_test(tells_access_logs_from_others),
        cmocka_unit_test(numbers_have_many_forms),
        cmocka_unit_test(refuses_records_alone),
        cmocka_unit_test(texts_that_are_no_utf8_are_refused),
        cmocka_unit_test(hidden_texts_are_judged),
        cmocka_unit_test(bad_texts_around_records_stay_behind),
        cmocka_unit_test(survives_damage),
        cmocka_unit_test(secrets_do_not_leave),
        cmocka_unit_test(an_entry_goes_out_and_comes_back),
        cmocka_unit_test(what_is_no_utf8_goes_out_as_what_is),
        cmocka_unit_test(an_encoder_without_room_says_so),
        cmocka_unit_test(reads_all_that_envoy_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Envoy's access log service: every field of an entry that is read, every damage, and all that a real Envoy
 * sent (tests/corpus/als_envoy.als). */
#include "testing.h"

#include "als_message.h"
#include "decode/als.h"

enum { SEEN_MAX = 64 };

/* What a scan delivered; slices still point into the message. */
struct seen {
    struct access_log_entry entries[SEEN_MAX];
    uint32_t entries_count;
    struct decode_error refused;
    uint32_t refused_count;
    uint32_t kinds[ACCESS_LOG_KIND_COUNT];
};

static void on_entry(void *user, const struct access_log_entry *entry, uint32_t record)
{
    struct seen *seen = user;

    assert_int_equal(record, seen->entries_count + seen->refused_count);
    if (seen->entries_count < SEEN_MAX) {
        seen->entries[seen->entries_count] = *entry;
    }
    seen->entries_count++;
    seen->kinds[entry->kind]++;
}

static void on_refused(void *user, const struct decode_error *where)
{
    struct seen *seen = user;

    assert_int_equal(where->record, seen->entries_count + seen->refused_count);
    assert_int_equal(where->reason, RECORD_ERROR_MALFORMED);
    assert_true(where->code < 0);
    seen->refused = *where;
    seen->refused_count++;
}

/* The scan of a message whose structure is sound; whether it holds as many entries as als_read says. */
static void scan(struct slice message, struct seen *seen, struct als_identifier *ret_identifier)
{
    struct als_sink sink = {.user = seen, .wants_all = true, .on_entry = on_entry, .on_refused = on_refused};
    struct decode_error error;
    uint32_t count = 0;

    memset(seen, 0, sizeof *seen);
    assert_int_equal(als_read(message, ret_identifier, &count, &error), 0);
    als_scan(message, &sink);
    assert_int_equal(seen->entries_count + seen->refused_count, count);
}

static struct access_log_entry http_of(struct buffer *out, const struct als_entry_options *options)
{
    struct access_log_entry entry;
    const char *field;

    buffer_init(out, TEST_BYTES_MAX);
    als_put_http(out, options);
    assert_int_equal(als_read_http(als_bytes(out), NULL, true, &entry, &field), 0);
    assert_true(slice_equal(entry.raw, als_bytes(out)));
    return entry;
}

static void assert_slice(struct slice got, const char *expected)
{
    assert_int_equal(got.length, strlen(expected));
    assert_memory_equal(got.ptr, expected, got.length);
}

static void reads_a_request(void **state)
{
    struct buffer out;
    struct access_log_entry entry =
        http_of(&out, &(struct als_entry_options){.code = 503,
                          .flag = 6,
                          .type = 6,
                          .attempts = 3,
                          .cluster = "outbound|80||reviews.shop.svc.cluster.local"});

    (void)state;
    assert_int_equal(entry.kind, ACCESS_LOG_REQUEST);
    assert_int_equal(entry.side, ACCESS_LOG_SIDE_UNTOLD);
    assert_int_equal(entry.protocol, ACCESS_LOG_PROTOCOL_HTTP1);
    assert_int_equal(entry.response_code, 503);
    assert_int_equal(entry.response_flags, 1u << 5);
    assert_true(entry.has_attempts && entry.attempts == 3);
    assert_int_equal(entry.start_unix_ns, ALS_START_S * 1000000000 + 250);
    assert_int_equal(entry.duration_ns, ALS_DURATION_US * 1000);
    assert_int_equal(entry.first_byte_ns, 1000000);
    assert_int_equal(entry.request_bytes, 12);
    assert_int_equal(entry.response_bytes, 345);
    assert_slice(entry.method, "GET");
    assert_slice(entry.path, "/reviews/275517?token=secret");
    assert_slice(entry.authority, "reviews.shop");
    assert_slice(entry.request_id, "74e8944d-b515-987c-8418-1787e62695bb");
    assert_slice(entry.upstream_cluster, "outbound|80||reviews.shop.svc.cluster.local");
    assert_slice(entry.upstream_address, "10.1.2.3");
    assert_int_equal(entry.upstream_port, 8080);
    assert_slice(entry.downstream_address, "10.9.9.9");
    assert_int_equal(entry.downstream_port, 50000);
    assert_slice(entry.route_name, "default");
    assert_slice(entry.details, "via_upstream");
    assert_false(entry.has_trace || entry.has_span || entry.is_grpc || entry.has_grpc_status);
    buffer_deinit(&out);
}

static void reads_a_connection(void **state)
{
    struct buffer out;
    struct seen seen;
    struct als_identifier identifier;

    (void)state;
    buffer_init(&out, TEST_BYTES_MAX);
    als_put_logs(&out, ALS_TCP, &(struct als_entry_options){.type = 3, .cluster = "redis"}, 2);
    als_put_logs(&out, ALS_TCP, &(struct als_entry_options){.type = 2, .cluster = "redis"}, 1);
    als_put_logs(&out, ALS_TCP, &(struct als_entry_options){.type = 1, .cluster = "redis"}, 1);
    als_put_logs(&out, ALS_TCP, &(struct als_entry_options){.type = 0, .cluster = "redis"}, 1);
    als_put_logs(&out, ALS_TCP, &(struct als_entry_options){.type = 0}, 1);
    scan(als_bytes(&out), &seen, &identifier);
    assert_false(identifier.is_there);
    assert_int_equal(seen.kinds[ACCESS_LOG_CONNECTION], 3);
    assert_int_equal(seen.kinds[ACCESS_LOG_INTERMEDIATE], 3);
    assert_int_equal(seen.entries[0].request_bytes, 70);
    assert_int_equal(seen.entries[0].response_bytes, 1000);
    buffer_deinit(&out);
}

static void tells_requests_from_all_else(void **state)
{
    static const enum access_log_kind kinds[] = {ACCESS_LOG_REQUEST, ACCESS_LOG_INTERMEDIATE,
        ACCESS_LOG_INTERMEDIATE, ACCESS_LOG_INTERMEDIATE, ACCESS_LOG_INTERMEDIATE, ACCESS_LOG_INTERMEDIATE,
        ACCESS_LOG_REQUEST, ACCESS_LOG_INTERMEDIATE, ACCESS_LOG_INTERMEDIATE, ACCESS_LOG_ATTEMPT,
        ACCESS_LOG_INTERMEDIATE, ACCESS_LOG_INTERMEDIATE};
    struct buffer out;

    (void)state;
    for (uint64_t type = 0; type < sizeof kinds / sizeof kinds[0]; type++) {
        assert_int_equal(http_of(&out, &(struct als_entry_options){.type = type}).kind, kinds[type]);
        buffer_deinit(&out);
    }
    struct slice intermediate = SLICE_LITERAL("\xd8\x01\x01");
    assert_int_equal(
        http_of(&out, &(struct als_entry_options){.common = intermediate}).kind, ACCESS_LOG_INTERMEDIATE);
    buffer_deinit(&out);
}

static void every_flag_has_its_bit(void **state)
{
    struct buffer out;

    (void)state;
    for (uint64_t field = 1; field <= 27; field++) {
        struct access_log_entry entry = http_of(&out, &(struct als_entry_options){.flag = field});
        assert_int_equal(entry.response_flags, 1ull << (field - 1));
        buffer_deinit(&out);
    }
    assert_int_equal(http_of(&out, &(struct als_entry_options){.flag = 40}).response_flags, 0);
    buffer_deinit(&out);
}

static void reads_custom_tags(void **state)
{
    static const uint8_t trace_id[16] = {
        0x57, 0x59, 0xe9, 0x88, 0xbd, 0x86, 0x2e, 0x3f, 0xe1, 0xbe, 0x46, 0xa9, 0x94, 0x27, 0x27, 0x93};
    static const char *const trace_ids[] = {"5759e988bd862e3fe1be46a994272793",
        "5759E988BD862E3FE1BE46A994272793", "1-5759e988-bd862e3fe1be46a994272793"};
    struct access_log_entry entry;
    struct buffer out;

    (void)state;
#define WITH_TAG(name, text) http_of(&out, &(struct als_entry_options){.tag = (name), .value = (text)})
    for (size_t i = 0; i < 3; i++) {
        entry = WITH_TAG("trace_id", trace_ids[i]);
        assert_true(entry.has_trace);
        assert_memory_equal(entry.trace_id, trace_id, 16);
        buffer_deinit(&out);
    }
    entry = WITH_TAG("trace_id", "bd862e3fe1be46a9");
    assert_true(entry.has_trace && entry.trace_id[7] == 0 && entry.trace_id[8] == 0xbd);
    buffer_deinit(&out);
    entry = WITH_TAG("span_id", "bd862e3fe1be46a9");
    assert_true(entry.has_span && entry.span_id[0] == 0xbd && entry.span_id[7] == 0xa9);
    buffer_deinit(&out);
    entry = WITH_TAG("grpc_status", "14");
    assert_true(entry.has_grpc_status && entry.grpc_status == 14);
    buffer_deinit(&out);
    entry = WITH_TAG("weft.reporter", "source");
    assert_int_equal(entry.side, ACCESS_LOG_SIDE_SOURCE);
    buffer_deinit(&out);
    entry = WITH_TAG("weft.reporter", "waypoint");
    assert_int_equal(entry.side, ACCESS_LOG_SIDE_WAYPOINT);
    buffer_deinit(&out);
    assert_slice(
        WITH_TAG("upstream_cluster", "outbound|80||a.b.svc").upstream_cluster, "outbound|80||a.b.svc");
    buffer_deinit(&out);
    assert_slice(WITH_TAG("weft.route", "/carts/{id}").route, "/carts/{id}");
    buffer_deinit(&out);
    assert_slice(WITH_TAG("upstream_peer_uri_san", "spiffe://a/ns/b/sa/c,spiffe://d").upstream.identity,
        "spiffe://a/ns/b/sa/c");
    buffer_deinit(&out);
}

static void tags_that_tell_nothing(void **state)
{
    static const char *const pairs[][2] = {{"trace_id", "-"}, {"trace_id", "5759e988bd862e3fe1be46a99427279"},
        {"trace_id", "zz59e988bd862e3fe1be46a994272793"}, {"trace_id", "00000000000000000000000000000000"},
        {"trace_id", ""}, {"span_id", "-"}, {"span_id", "bd86"}, {"span_id", "0000000000000000"},
        {"grpc_status", "-"}, {"grpc_status", "OK"}, {"grpc_status", "99999"}, {"weft.reporter", "nobody"},
        {"upstream_cluster", "-"}, {"another", "5759e988bd862e3fe1be46a994272793"}};
    struct buffer out;

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct access_log_entry entry =
            http_of(&out, &(struct als_entry_options){.tag = pairs[i][0], .value = pairs[i][1]});
        assert_false(entry.has_trace || entry.has_span || entry.has_grpc_status);
        assert_int_equal(entry.side, ACCESS_LOG_SIDE_UNTOLD);
        assert_int_equal(entry.upstream_cluster.length, 0);
        buffer_deinit(&out);
    }
    struct access_log_entry entry = http_of(
        &out, &(struct als_entry_options){.cluster = "told", .tag = "upstream_cluster", .value = "tag"});
    assert_slice(entry.upstream_cluster, "told");
    buffer_deinit(&out);
}

/* A message of its own kind is put where another stood: further fields of request and response. */
static void reads_headers(void **state)
{
    struct access_log_entry entry;
    struct buffer out;
    const char *field;

    (void)state;
    buffer_init(&out, TEST_BYTES_MAX);
    als_put_http(&out, &(struct als_entry_options){.code = 200});
    struct wire_envelope request = wire_envelope_begin(&out, 3, 80);
    als_put_pair(&out, 13, "content-type", "application/grpc+proto");
    wire_write_bytes(&out, 10, SLICE_LITERAL("/original"));
    wire_envelope_end(&out, request);
    struct wire_envelope response = wire_envelope_begin(&out, 4, 80);
    als_put_pair(&out, 5, "grpc-status", "5");
    wire_envelope_end(&out, response);
    assert_int_equal(als_read_http(als_bytes(&out), NULL, true, &entry, &field), 0);
    assert_true(entry.is_grpc && entry.has_grpc_status && entry.grpc_status == 5);
    assert_slice(entry.path, "/original");
    assert_int_equal(entry.response_code, 200); /* fields of both messages count, as protobuf merges them */
    buffer_deinit(&out);
}

static void times_out_of_range_are_zero(void **state)
{
    static const char *const encoded[] = {
        "\xba\x01\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", /* -1 s */
        "\xba\x01\x06\x10\x80\x94\xeb\xdc\x03" /* a whole second of nanoseconds */};
    static const size_t lengths[] = {14, 9};
    struct buffer out;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct slice common = slice_of(encoded[i], lengths[i]);
        assert_int_equal(http_of(&out, &(struct als_entry_options){.common = common}).duration_ns, 0);
        buffer_deinit(&out);
    }
}

static void reads_a_node(void **state)
{
    struct buffer out;
    struct buffer metadata;
    struct seen seen;
    struct als_identifier identifier;

    (void)state;
    buffer_init(&out, TEST_BYTES_MAX);
    als_put_identifier(&out, "sidecar~10.1.2.3~web-1.shop~shop.svc.cluster.local", "web.shop");
    scan(als_bytes(&out), &seen, &identifier);
    assert_true(identifier.is_there && identifier.reporter.is_envoy);
    assert_slice(identifier.reporter.node_id, "sidecar~10.1.2.3~web-1.shop~shop.svc.cluster.local");
    assert_slice(identifier.reporter.service, "web.shop");
    assert_slice(identifier.reporter.address, "10.1.2.3");
    assert_slice(identifier.reporter.log_name, "http");
    buffer_deinit(&out);

    buffer_init(&metadata, TEST_BYTES_MAX);
    als_put_field(&metadata, "NAMESPACE", "shop");
    als_put_field(&metadata, "WORKLOAD_NAME", "web-v1");
    struct wire_envelope pair = wire_envelope_begin(&metadata, 1, 99);
    wire_write_bytes(&metadata, 1, SLICE_LITERAL("LABELS"));
    struct wire_envelope value = wire_envelope_begin(&metadata, 2, 90);
    struct wire_envelope labels = wire_envelope_begin(&metadata, 5, 80);
    als_put_field(&metadata, "app", "frontend");
    als_put_field(&metadata, "service.istio.io/canonical-name", "web");
    wire_envelope_end(&metadata, labels);
    wire_envelope_end(&metadata, value);
    wire_envelope_end(&metadata, pair);
    buffer_init(&out, TEST_BYTES_MAX);
    struct wire_envelope whole = wire_envelope_begin(&out, 1, 200);
    struct wire_envelope node = wire_envelope_begin(&out, 1, 190);
    wire_write_bytes(&out, 1, SLICE_LITERAL("web-sidecar-proxy"));
    wire_write_bytes(&out, 2, SLICE_LITERAL("istio-proxy"));
    wire_write_bytes(&out, 3, als_bytes(&metadata));
    wire_envelope_end(&out, node);
    wire_envelope_end(&out, whole);
    scan(als_bytes(&out), &seen, &identifier);
    assert_slice(identifier.reporter.service, "web");
    assert_slice(identifier.reporter.service_namespace, "shop");
    assert_slice(identifier.reporter.self.app, "frontend");
    assert_slice(identifier.reporter.self.workload, "web-v1");
    assert_int_equal(identifier.reporter.address.length, 0);
    buffer_deinit(&metadata);
    buffer_deinit(&out);
}

/* One damaged entry goes; its neighbours stay. */
static void a_damaged_entry_is_refused_alone(void **state)
{
    static const struct {
        struct slice bytes;
        const char *field;
    } rows[] = {
        {SLICE_LITERAL("\x0a\x02\x2a\x05"), "common_properties"},         /* a time longer than its message */
        {SLICE_LITERAL("\x0a\x02\x28\x05"), "common_properties"},         /* a time that is a number */
        {SLICE_LITERAL("\x0a\x04\x2a\x02\x18\x05"), "common_properties"}, /* a time with a third field */
        {SLICE_LITERAL("\x0a\x03\x82\x01\x09"), "common_properties"},     /* flags cut off */
        {SLICE_LITERAL("\x0a\x03\xb2\x01\x09"), "common_properties"},     /* a tag cut off */
        {SLICE_LITERAL("\x0a\x05\xb2\x01\x02\x0a\x09"), "common_properties"},
        {SLICE_LITERAL("\x0a\x05\x22\x03\x22\x01\x0a"), "common_properties"}, /* a certificate cut off */
        {SLICE_LITERAL("\x0a\x05\x6a\x03\x0a\x01\x12"), "common_properties"}, /* an address cut off */
        {SLICE_LITERAL("\x12\x01\x00"), "entry"},                             /* a version that is bytes */
        {SLICE_LITERAL("\x10"), "protocol_version"},
        {SLICE_LITERAL("\x1a\x02\x0a\x00"), "request"}, /* a method that is bytes */
        {SLICE_LITERAL("\x1a\x02\x2a\x09"), "request"},
        {SLICE_LITERAL("\x22\x02\x08\x01"), "response"}, /* a code that is a number */
        {SLICE_LITERAL("\x22\x03\x0a\x01\x08"), "response"},
        {SLICE_LITERAL("\x0b"), "entry"}, /* a group */
        {SLICE_LITERAL("\x22\xff"), "response"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct als_entry_options good = {.code = 200};
        struct als_identifier identifier;
        struct buffer out;
        struct seen seen;

        buffer_init(&out, TEST_BYTES_MAX);
        als_put_logs(&out, ALS_HTTP, &good, 1);
        struct wire_envelope logs = wire_envelope_begin(&out, ALS_HTTP, 20);
        wire_write_bytes(&out, 1, rows[i].bytes);
        wire_envelope_end(&out, logs);
        als_put_logs(&out, ALS_HTTP, &good, 1);
        scan(als_bytes(&out), &seen, &identifier);
        assert_int_equal(seen.entries_count, 2);
        assert_int_equal(seen.refused_count, 1);
        assert_string_equal(seen.refused.field, rows[i].field);
        buffer_deinit(&out);
    }
}

static void a_damaged_connection_is_refused(void **state)
{
    static const struct slice rows[] = {{(const uint8_t *)"\x08\x01", 2},
        {(const uint8_t *)"\x12\x02\x08", 3}, {(const uint8_t *)"\x0a\x02\x28\x05", 4}};
    struct access_log_entry entry;
    const char *field;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(als_read_tcp(rows[i], NULL, true, &entry, &field) < 0);
        assert_true(strlen(field) > 0);
    }
}

static void a_broken_structure_is_told(void **state)
{
    static const struct {
        struct slice bytes;
        const char *field;
    } rows[] = {
        {SLICE_LITERAL("\x12\x09"), "message"},
        {SLICE_LITERAL("\x08\x01"), "message"},                    /* an identifier that is a number */
        {SLICE_LITERAL("\x12\x02\x0a\x05"), "http_logs"},          /* an entry longer than the message */
        {SLICE_LITERAL("\x1a\x02\x08\x05"), "tcp_logs"},           /* an entry that is a number */
        {SLICE_LITERAL("\x0a\x02\x0a\x05"), "identifier"},         /* a node cut off */
        {SLICE_LITERAL("\x0a\x04\x0a\x02\x1a\x05"), "identifier"}, /* metadata cut off */
        {SLICE_LITERAL("\x0a\x06\x0a\x04\x1a\x02\x0a\x05"), "identifier"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct als_identifier identifier;
        struct decode_error error;
        uint32_t count = 7;

        assert_true(als_read(rows[i].bytes, &identifier, &count, &error) < 0);
        assert_string_equal(error.field, rows[i].field);
        assert_int_equal(count, 7); /* written only on success */
    }
}

/* Whatever is cut off, nothing past the end is read (the sanitizers tell) and the sum holds. */
static void cut_anywhere(void **state)
{
    struct buffer out;

    (void)state;
    buffer_init(&out, TEST_BYTES_MAX);
    als_put_identifier(&out, "node", "web");
    als_put_logs(
        &out, ALS_HTTP, &(struct als_entry_options){.code = 200, .tag = "trace_id", .value = "-"}, 2);
    als_put_logs(&out, ALS_TCP, &(struct als_entry_options){.type = 3}, 1);
    for (size_t length = 0; length < out.length; length++) {
        uint8_t *copy = malloc(length + 1);
        struct als_identifier identifier;
        struct decode_error error;
        struct seen seen = {.entries_count = 0};
        struct als_sink sink = {
            .user = &seen, .wants_all = true, .on_entry = on_entry, .on_refused = on_refused};
        uint32_t count = 0;

        assert_non_null(copy);
        memcpy(copy, out.data, length);
        int code = als_read(slice_of(copy, length), &identifier, &count, &error);
        als_scan(slice_of(copy, length), &sink);
        assert_true(code < 0 || seen.entries_count == count);
        free(copy);
    }
    buffer_deinit(&out);
}

/* Without what only logs need, an entry tells what it is counted by. */
static void counting_reads_less(void **state)
{
    struct access_log_entry entry;
    struct buffer out;
    const char *field;

    (void)state;
    buffer_init(&out, TEST_BYTES_MAX);
    als_put_http(
        &out, &(struct als_entry_options){
                  .code = 503, .flag = 6, .type = 6, .attempts = 3, .tag = "grpc_status", .value = "5"});
    assert_int_equal(als_read_http(als_bytes(&out), NULL, false, &entry, &field), 0);
    assert_int_equal(entry.kind, ACCESS_LOG_REQUEST);
    assert_int_equal(entry.response_code, 503);
    assert_int_equal(entry.response_flags, 1u << 5);
    assert_int_equal(entry.start_unix_ns, ALS_START_S * 1000000000 + 250);
    assert_int_equal(entry.duration_ns, ALS_DURATION_US * 1000);
    assert_int_equal(entry.attempts, 3);
    assert_int_equal(entry.request_bytes, 12);
    assert_int_equal(entry.response_bytes, 345);
    assert_true(entry.has_grpc_status && entry.grpc_status == 5);
    assert_slice(entry.method, "GET");
    assert_slice(entry.path, "/reviews/275517?token=secret");
    assert_slice(entry.downstream_address, "10.9.9.9");
    assert_int_equal(entry.request_id.length + entry.authority.length + entry.details.length, 0);
    assert_int_equal(entry.upstream_address.length + entry.route_name.length, 0);
    buffer_deinit(&out);
}

/* All that a real Envoy sent: see tests/corpus/README.md. */
static void reads_what_envoy_sent(void **state)
{
    struct seen all = {.entries_count = 0};
    uint32_t identifiers_count = 0;
    uint64_t flags = 0;
    uint32_t traces = 0, statuses = 0, upstream_peers = 0, downstream_peers = 0, proven = 0, attempts = 0;
    uint8_t head[4];
    FILE *file = fopen(WEFT_SOURCE_DIR "/tests/corpus/als_envoy.als", "rb");

    (void)state;
    assert_non_null(file);
    while (fread(head, 1, 4, file) == 4) {
        size_t length = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
        uint8_t *message = malloc(length);
        struct als_identifier identifier;
        static struct seen seen;

        assert_non_null(message);
        assert_int_equal(fread(message, 1, length, file), length);
        scan(slice_of(message, length), &seen, &identifier);
        assert_int_equal(seen.refused_count, 0);
        identifiers_count += identifier.is_there;
        assert_true(!identifier.is_there || identifier.reporter.node_id.length > 0);
        for (uint32_t kind = 0; kind < ACCESS_LOG_KIND_COUNT; kind++) {
            all.kinds[kind] += seen.kinds[kind];
        }
        for (uint32_t i = 0; i < seen.entries_count && i < SEEN_MAX; i++) {
            const struct access_log_entry *entry = &seen.entries[i];
            assert_true(entry->duration_ns < 60000000000ull && entry->start_unix_ns > 0);
            assert_true(entry->kind == ACCESS_LOG_CONNECTION || entry->path.length > 0);
            flags |= entry->response_flags;
            traces += entry->has_trace && entry->has_span;
            statuses += entry->has_grpc_status;
            upstream_peers += slice_equal(entry->upstream.workload, SLICE_LITERAL("reviews-v2"));
            downstream_peers += slice_equal(entry->downstream.service, SLICE_LITERAL("productpage"));
            proven += entry->downstream.identity.length > 0 && entry->local_identity.length > 0;
            attempts += entry->attempts > 1;
        }
        free(message);
    }
    fclose(file);
    assert_int_equal(identifiers_count, 5);
    assert_true(all.kinds[ACCESS_LOG_REQUEST] > 100 && all.kinds[ACCESS_LOG_ATTEMPT] > 100);
    assert_int_equal(all.kinds[ACCESS_LOG_CONNECTION], 8);
    assert_int_equal(all.kinds[ACCESS_LOG_INTERMEDIATE], 0);
    /* UT UF UO NR DI FI RL DC URX */
    assert_int_equal(flags & 0xcfa4, 0xcfa4);
    assert_true(traces > 0 && statuses > 0 && proven > 0 && attempts > 0);
    assert_true(upstream_peers > 0 && downstream_peers > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_request),
        cmocka_unit_test(reads_a_connection),
        cmocka_unit_test(tells_requests_from_all_else),
        cmocka_unit_test(every_flag_has_its_bit),
        cmocka_unit_test(reads_custom_tags),
        cmocka_unit_test(tags_that_tell_nothing),
        cmocka_unit_test(reads_headers),
        cmocka_unit_test(times_out_of_range_are_zero),
        cmocka_unit_test(reads_a_node),
        cmocka_unit_test(a_damaged_entry_is_refused_alone),
        cmocka_unit_test(a_damaged_connection_is_refused),
        cmocka_unit_test(a_broken_structure_is_told),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(counting_reads_less),
        cmocka_unit_test(reads_what_envoy_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Access log lines: fields by presets and maps, nginx' lists, HAProxy's termination states, and what is no
 * line of a request. The lines are as the real proxies write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/error.h"
#include "decode/access_dialect.h"
#include "decode/access_json.h"
#include "decode/syslog.h"

enum { LINE_BYTES_MAX = 2048, DEPTH_MAX = 4 };
#define NOW_NS 1795434905500000000ull
#define MS 1000000ull

static const char *const preset_keys[ACCESS_FIELD_COUNT];

struct fixture {
    struct access_json json;
    struct access_log_entry entry;
    const char *field;
};

static void assert_text(struct slice text, const char *expected)
{
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.length == 0 ? (const uint8_t *)"" : text.ptr, expected, text.length);
}

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    assert_non_null(*state);
    return 0;
}

static int teardown(void **state)
{
    access_json_deinit(&((struct fixture *)*state)->json);
    free(*state);
    return 0;
}

static void begin(struct fixture *fixture, enum access_preset preset)
{
    assert_int_equal(access_json_init(&fixture->json, preset, preset_keys, LINE_BYTES_MAX, DEPTH_MAX), 0);
}

static enum access_json_result read_line(struct fixture *fixture, const char *line)
{
    return access_json_read(&fixture->json, slice_of_string(line), NOW_NS, &fixture->entry, &fixture->field);
}

static void read_good(struct fixture *fixture, const char *line)
{
    assert_int_equal(read_line(fixture, line), ACCESS_JSON_OK);
}

#define NGINX(status, upstream, addr, statuses, connect, header)                                             \
    "{\"msec\":\"1795434905.037\",\"request_time\":\"0.301\",\"request_method\":\"GET\","                    \
    "\"request_uri\":\"/u/7?x=1\",\"server_protocol\":\"HTTP/1.1\",\"host\":\"shop\",\"status\":\"" status   \
    "\",\"proxy_host\":\"" upstream "\",\"upstream_addr\":\"" addr "\",\"upstream_status\":\"" statuses      \
    "\",\"upstream_connect_time\":\"" connect "\",\"upstream_header_time\":\"" header                        \
    "\",\"content_length\":\"\",\"body_bytes_sent\":\"157\",\"limit_req_status\":\"\"}"

static void test_a_line_of_nginx(void **state)
{
    struct fixture *fixture = *state;
    struct access_log_entry *entry = &fixture->entry;

    begin(fixture, ACCESS_PRESET_NGINX);
    read_good(fixture, NGINX("200", "ups", "127.0.0.1:18090", "200", "0.001", "0.001"));
    assert_int_equal(entry->kind, ACCESS_LOG_REQUEST);
    assert_int_equal(entry->side, ACCESS_LOG_SIDE_SOURCE);
    assert_int_equal(entry->protocol, ACCESS_LOG_PROTOCOL_HTTP1);
    assert_int_equal(entry->response_code, 200);
    assert_true(entry->duration_ns == 301 * MS);
    assert_true(entry->start_unix_ns == 1795434904736 * MS);
    assert_true(entry->has_attempts && entry->attempts == 1);
    assert_false(entry->has_request_bytes);
    assert_true(entry->has_response_bytes && entry->response_bytes == 157);
    assert_false(entry->has_trace);
    assert_text(entry->method, "GET");
    assert_text(entry->path, "/u/7?x=1");
    assert_text(entry->authority, "shop");
    assert_text(entry->upstream_cluster, "ups");
    assert_true(entry->upstream_is_host);
    assert_text(entry->upstream_address, "127.0.0.1:18090");
    assert_text(entry->response_flags_text, "");
    assert_int_equal(entry->response_flags, 0);
}

static void test_attempts_and_flags_of_nginx(void **state)
{
    static const struct {
        const char *line;
        uint32_t attempts;
        const char *flags;
        unsigned code;
    } rows[] = {
        {NGINX("200", "m", "127.0.0.1:1, 127.0.0.1:2", "502, 200", "-, 0.001", "-, 0.001"), 2, "", 200},
        {NGINX("503", "m", "127.0.0.1:1, 127.0.0.1:2", "503, 503", "0.000, 0.000", "0.000, 0.000"), 2, "",
            503},
        {NGINX("502", "m", "127.0.0.1:1", "502", "-", "-"), 1, "UF", 502},
        {NGINX("502", "m", "127.0.0.1:1, 127.0.0.1:2", "502, 502", "-, -", "-, -"), 2, "UF,URX", 502},
        {NGINX("502", "m", "127.0.0.1:1, 127.0.0.1:2", "502, 502", "0.000, 0.000", "-, -"), 2, "UC,URX", 502},
        {NGINX("502", "m", "127.0.0.1:1", "502", "0.000", "-"), 1, "UC", 502},
        {NGINX("504", "m", "127.0.0.1:1", "504", "0.000", "-"), 1, "UT", 504},
        {NGINX("504", "m", "10.0.0.1:1", "504", "-", "-"), 1, "UF", 504},
        {NGINX("502", "m", "m", "502", "-", "-"), 0, "UH", 502},
        {NGINX("502", "m", "127.0.0.1:1, m", "502, 502", "-, -", "-, -"), 1, "UH", 502},
        {NGINX("499", "m", "127.0.0.1:1", "-", "0.000", "-"), 1, "DC", 499},
        {NGINX("200", "m", "1.1.1.1:1, 1.1.1.2:1 : 1.1.1.3:1", "502, 200 : 200", "-, 0.0 : 0.0",
             "-, 0.0 : 0.0"),
            3, "", 200},
        {NGINX("500", "m", "127.0.0.1:1", "500", "0.000", "0.000"), 1, "", 500},
    };
    struct fixture *fixture = *state;

    begin(fixture, ACCESS_PRESET_NGINX);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        read_good(fixture, rows[i].line);
        assert_int_equal(fixture->entry.attempts, rows[i].attempts);
        assert_int_equal(fixture->entry.has_attempts, rows[i].attempts > 0);
        assert_text(fixture->entry.response_flags_text, rows[i].flags);
        assert_int_equal(fixture->entry.response_code, rows[i].code);
        assert_int_equal(fixture->entry.side, ACCESS_LOG_SIDE_SOURCE);
    }
}

static void test_what_nginx_answers_itself(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, ACCESS_PRESET_NGINX);
    read_good(fixture, NGINX("204", "", "", "", "", ""));
    assert_int_equal(fixture->entry.side, ACCESS_LOG_SIDE_DESTINATION);
    assert_false(fixture->entry.has_attempts);
    read_good(fixture, "{\"status\":503,\"request_time\":0.000,\"limit_req_status\":\"REJECTED\"}");
    assert_int_equal(fixture->entry.side, ACCESS_LOG_SIDE_DESTINATION);
    assert_text(fixture->entry.response_flags_text, "RL");
    assert_true(fixture->entry.start_unix_ns == NOW_NS);
    /* grpc_pass and fastcgi_pass leave $proxy_host empty. */
    read_good(fixture, NGINX("200", "", "127.0.0.1:1", "200", "0.0", "0.0"));
    assert_int_equal(fixture->entry.side, ACCESS_LOG_SIDE_SOURCE);
    read_good(fixture, "{\"status\":\"000\",\"request_time\":\"0.000\"}");
    assert_int_equal(fixture->entry.response_code, 0);
}

#define HAPROXY(method, backend, server, status, termination, retries)                                       \
    "{\"start_s\":1795434799.023,\"duration_ms\":403,\"frontend\":\"edge\",\"backend\":\"" backend           \
    "\",\"server\":\"" server "\",\"method\":\"" method "\",\"path\":\"\\/dead\\/1\",\"protocol\":"          \
    "\"HTTP/1.1\",\"status\":" status ",\"termination\":\"" termination "\",\"retries\":\"" retries          \
    "\",\"traceparent\":\"-\",\"request_id\":\"-\"}"

static void test_lines_of_haproxy(void **state)
{
    static const struct {
        const char *line;
        uint32_t attempts;
        const char *flags;
        unsigned code;
        enum access_log_side side;
    } rows[] = {
        {HAPROXY("GET", "ups", "u1", "200", "--", "0"), 1, "", 200, ACCESS_LOG_SIDE_SOURCE},
        {HAPROXY("GET", "ups", "u1", "503", "--", "2"), 3, "", 503, ACCESS_LOG_SIDE_SOURCE},
        {HAPROXY("GET", "ups", "u1", "200", "--", "+3"), 4, "", 200, ACCESS_LOG_SIDE_SOURCE},
        {HAPROXY("GET", "ups", "u1", "502", "SH", "2"), 3, "UC", 502, ACCESS_LOG_SIDE_SOURCE},
        {HAPROXY("GET", "dead", "d1", "503", "SC", "2"), 3, "UF,URX", 503, ACCESS_LOG_SIDE_SOURCE},
        {HAPROXY("GET", "dead", "d1", "503", "sC", "0"), 1, "UF", 503, ACCESS_LOG_SIDE_SOURCE},
        {HAPROXY("GET", "none", "<NOSRV>", "503", "SC", "0"), 0, "UH", 503, ACCESS_LOG_SIDE_SOURCE},
        {HAPROXY("GET", "slow", "s1", "504", "sH", "0"), 1, "UT", 504, ACCESS_LOG_SIDE_SOURCE},
        {HAPROXY("GET", "full", "s1", "503", "sQ", "0"), 0, "UO", 503, ACCESS_LOG_SIDE_SOURCE},
        {HAPROXY("GET", "slow", "s1", "-1", "CH", "0"), 1, "DC", 0, ACCESS_LOG_SIDE_SOURCE},
        {HAPROXY("GET", "slow", "s1", "400", "CH", "0"), 1, "DC", 0, ACCESS_LOG_SIDE_SOURCE},
        {HAPROXY("GET", "slow", "s1", "200", "CD", "0"), 1, "DC", 200, ACCESS_LOG_SIDE_SOURCE},
        {HAPROXY("GET", "slow", "s1", "200", "cD", "0"), 1, "SI", 200, ACCESS_LOG_SIDE_SOURCE},
        {HAPROXY("GET", "slow", "s1", "502", "PH", "0"), 1, "UPE", 502, ACCESS_LOG_SIDE_SOURCE},
        {HAPROXY("GET", "slow", "s1", "503", "KC", "0"), 1, "LR", 503, ACCESS_LOG_SIDE_SOURCE},
        {HAPROXY("GET", "edge", "<NOSRV>", "403", "PR", "0"), 0, "", 403, ACCESS_LOG_SIDE_DESTINATION},
        {HAPROXY("-", "edge", "<NOSRV>", "400", "PR", "0"), 0, "DPE", 400, ACCESS_LOG_SIDE_DESTINATION},
        {HAPROXY("GET", "edge", "<NOSRV>", "429", "PR", "0"), 0, "RL", 429, ACCESS_LOG_SIDE_DESTINATION},
        {HAPROXY("GET", "edge", "<NOSRV>", "503", "SC", "0"), 0, "", 503, ACCESS_LOG_SIDE_DESTINATION},
        {HAPROXY("GET", "edge", "<NOSRV>", "302", "LR", "0"), 0, "", 302, ACCESS_LOG_SIDE_DESTINATION},
        {HAPROXY("GET", "edge", "l1", "200", "--", "0"), 1, "", 200, ACCESS_LOG_SIDE_SOURCE},
    };
    struct fixture *fixture = *state;

    begin(fixture, ACCESS_PRESET_HAPROXY);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct access_log_entry *entry = &fixture->entry;
        read_good(fixture, rows[i].line);
        assert_int_equal(entry->kind, ACCESS_LOG_REQUEST);
        assert_int_equal(entry->attempts, rows[i].attempts);
        assert_int_equal(entry->has_attempts, rows[i].attempts > 0);
        assert_text(entry->response_flags_text, rows[i].flags);
        assert_int_equal(entry->response_code, rows[i].code);
        assert_int_equal(entry->side, rows[i].side);
        assert_true(entry->duration_ns == 403 * MS);
        assert_true(entry->start_unix_ns == 1795434799023 * MS);
        assert_text(entry->path, "/dead/1");
    }
}

/* A client that left before it had asked anything. */
static void test_no_request_at_all(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, ACCESS_PRESET_HAPROXY);
    read_good(fixture, HAPROXY("-", "edge", "<NOSRV>", "400", "CR", "0"));
    assert_int_equal(fixture->entry.kind, ACCESS_LOG_INTERMEDIATE);
    read_good(fixture, HAPROXY("-", "edge", "<NOSRV>", "408", "cR", "0"));
    assert_int_equal(fixture->entry.kind, ACCESS_LOG_INTERMEDIATE);
    read_good(fixture, HAPROXY("POST", "edge", "<NOSRV>", "408", "cR", "0"));
    assert_int_equal(fixture->entry.kind, ACCESS_LOG_REQUEST);
    assert_text(fixture->entry.response_flags_text, "SI");
}

static void test_ids_and_escapes(void **state)
{
    static const uint8_t trace[16] = {
        0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c};
    static const uint8_t span[8] = {0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31};
    static const uint8_t short_trace[16] = {[8] = 0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31};
    struct fixture *fixture = *state;
    struct access_log_entry *entry = &fixture->entry;

    begin(fixture, ACCESS_PRESET_JSON);
    read_good(fixture, "{\"status\":200,\"duration_us\":1500,\"end_s\":1795434905,\"traceparent\":"
                       "\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\","
                       "\"request_id\":\"ab\\\"c\\\\d\\u00e9\",\"path\":\"\\/a\\u0001\",\"attempts\":3,"
                       "\"response_flags\":\"UF,URX\",\"grpc_status\":14,\"route\":\"/a/*\"}");
    assert_true(entry->has_trace && entry->has_span);
    assert_memory_equal(entry->trace_id, trace, 16);
    assert_memory_equal(entry->span_id, span, 8);
    assert_text(entry->request_id, "ab\"c\\d\xc3\xa9");
    assert_text(entry->path, "/a\x01");
    assert_text(entry->route, "/a/*");
    assert_true(entry->duration_ns == 1500000);
    assert_true(entry->start_unix_ns == 1795434904998500000);
    assert_true(entry->has_attempts && entry->attempts == 3);
    assert_text(entry->response_flags_text, "UF,URX");
    assert_true(entry->has_grpc_status && entry->grpc_status == 14);

    read_good(fixture, "{\"status\":200,\"duration_s\":0,\"trace_id\":\"B7AD6B7169203331\",\"span_id\":"
                       "\"b7ad6b7169203331\"}");
    assert_true(entry->has_trace && entry->has_span);
    assert_memory_equal(entry->trace_id, short_trace, 16);
    static const char *const none[] = {"\"trace_id\":\"00000000000000000000000000000000\"",
        "\"trace_id\":\"0af7651916cd43dd8448eb211c80319\"",
        "\"trace_id\":\"xaf7651916cd43dd8448eb211c80319c\"", "\"span_id\":\"b7ad6b7169203331\"",
        "\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c\"",
        "\"traceparent\":\"00-00000000000000000000000000000000-b7ad6b7169203331-01\""};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        char line[256];
        (void)snprintf(line, sizeof line, "{\"status\":200,\"duration_s\":0,%s}", none[i]);
        read_good(fixture, line);
        assert_false(entry->has_trace);
        assert_false(entry->has_span);
    }
}

static void test_a_map_of_ones_own(void **state)
{
    const char *keys[ACCESS_FIELD_COUNT] = {
        [ACCESS_FIELD_status] = "code", [ACCESS_FIELD_duration_ms] = "took", [ACCESS_FIELD_method] = ""};
    struct fixture *fixture = *state;

    assert_int_equal(
        access_json_init(&fixture->json, ACCESS_PRESET_NGINX, keys, LINE_BYTES_MAX, DEPTH_MAX), 0);
    read_good(fixture, "{\"code\":201,\"took\":2.5,\"status\":500,\"request_method\":\"GET\",\"\":\"x\","
                       "\"request_uri\":\"/x\"}");
    assert_int_equal(fixture->entry.response_code, 201);
    assert_true(fixture->entry.duration_ns == 2500000);
    assert_text(fixture->entry.method, "");
    assert_text(fixture->entry.path, "/x");
}

/* The order of members may change from line to line; of two with one key the first counts. */
static void test_any_order(void **state)
{
    static const char *const lines[] = {"{\"status\":200,\"duration_ms\":1,\"method\":\"GET\"}",
        "{\"method\":\"GET\",\"duration_ms\":1,\"status\":200}",
        " {\"duration_ms\":1, \"method\":\"GET\", \"x\":{\"status\":1,\"y\":[2]},\"status\":200} ",
        "{\"status\":200,\"status\":500,\"method\":\"GET\",\"method\":\"PUT\",\"duration_ms\":1}"};
    struct fixture *fixture = *state;

    begin(fixture, ACCESS_PRESET_HAPROXY);
    for (int again = 0; again < 3; again++) {
        for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
            const char *line = lines[i][0] == ' ' ? lines[i] + 1 : lines[i];
            read_good(fixture, line);
            assert_int_equal(fixture->entry.response_code, 200);
            assert_text(fixture->entry.method, "GET");
        }
    }
}

static void test_bad_lines(void **state)
{
    static const struct {
        const char *line;
        enum access_json_result result;
        const char *field;
    } rows[] = {
        {"", ACCESS_JSON_NOT_JSON, ""},
        {"127.0.0.1 - - [23/Nov/2026] \"GET / HTTP/1.1\" 200", ACCESS_JSON_NOT_JSON, ""},
        {"[1]", ACCESS_JSON_NOT_JSON, ""},
        {"\"status\"", ACCESS_JSON_NOT_JSON, ""},
        {"{\"status\":200,\"duration_s\":0}x", ACCESS_JSON_NOT_JSON, ""},
        {"{\"status\":200 \"duration_s\":0}", ACCESS_JSON_NOT_JSON, ""},
        {"{\"status\":200,\"duration_s\":0", ACCESS_JSON_TRUNCATED, ""},
        {"{\"status\":200,\"path\":\"/a", ACCESS_JSON_TRUNCATED, ""},
        {"{", ACCESS_JSON_TRUNCATED, ""},
        {"{\"a\":[[[[1]]]],\"status\":200,\"duration_s\":0}", ACCESS_JSON_NESTED, ""},
        {"{}", ACCESS_JSON_MALFORMED, "status"},
        {"{\"status\":\"abc\",\"duration_s\":0}", ACCESS_JSON_MALFORMED, "status"},
        {"{\"status\":1000,\"duration_s\":0}", ACCESS_JSON_MALFORMED, "status"},
        {"{\"status\":null,\"duration_s\":0}", ACCESS_JSON_MALFORMED, "status"},
        {"{\"status\":[200],\"duration_s\":0}", ACCESS_JSON_MALFORMED, "status"},
        {"{\"status\":200}", ACCESS_JSON_MALFORMED, "duration_s"},
        {"{\"status\":200,\"duration_ms\":\"soon\"}", ACCESS_JSON_MALFORMED, "duration_ms"},
        {"{\"status\":200,\"duration_s\":\"99999999999999999999\"}", ACCESS_JSON_MALFORMED, "duration_s"},
        {"{\"status\":200,\"duration_s\":0,\"end_s\":\"today\"}", ACCESS_JSON_MALFORMED, "end_s"},
        {"{\"status\":200,\"duration_s\":0,\"start_s\":\"1.2.3\"}", ACCESS_JSON_MALFORMED, "start_s"},
    };
    struct fixture *fixture = *state;

    begin(fixture, ACCESS_PRESET_JSON);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(read_line(fixture, rows[i].line), rows[i].result);
        assert_string_equal(fixture->field, rows[i].field);
    }
    char *line = malloc(LINE_BYTES_MAX + 2);
    assert_non_null(line);
    memset(line, ' ', LINE_BYTES_MAX + 1);
    line[0] = '{';
    line[LINE_BYTES_MAX + 1] = '\0';
    assert_int_equal(read_line(fixture, line), ACCESS_JSON_OVERSIZED);
    free(line);
}

static void test_decimals(void **state)
{
    static const struct {
        const char *text;
        uint64_t unit_ns;
        bool good;
        uint64_t ns;
    } rows[] = {
        {"1795434905.015", 1000000000, true, 1795434905015000000},
        {"0", 1000000000, true, 0},
        {"0.000000001", 1000000000, true, 1},
        {"0.0000000019", 1000000000, true, 1},
        {"12.5", 1000000, true, 12500000},
        {"7.", 1000, true, 7000},
        {"-1", 1000000, true, 0},
        {"18446744073.709551615", 1000000000, true, UINT64_MAX},
        {"18446744073.709551616", 1000000000, false, 0},
        {"18446744074", 1000000000, false, 0},
        {"99999999999999999999999", 1000, false, 0},
        {"", 1000, false, 0},
        {"-", 1000, false, 0},
        {".5", 1000, false, 0},
        {"1e3", 1000, false, 0},
        {"1 ", 1000, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t ns = 42;
        assert_int_equal(
            access_decimal_ns(slice_of_string(rows[i].text), rows[i].unit_ns, &ns), rows[i].good);
        assert_true(ns == (rows[i].good ? rows[i].ns : 42));
    }
}

/* Everything that the real proxies sent is a line of a request, and says how it ended. */
static void read_corpus(struct fixture *fixture, const char *name, unsigned expected_codes[600])
{
    char path[256];
    uint8_t head[4];
    uint8_t line[LINE_BYTES_MAX];

    (void)snprintf(path, sizeof path, WEFT_SOURCE_DIR "/tests/corpus/%s", name);
    FILE *file = fopen(path, "rbe");
    assert_non_null(file);
    while (fread(head, 1, sizeof head, file) == sizeof head) {
        size_t length = head[0] | (size_t)head[1] << 8;
        struct syslog_message message;
        assert_true(head[2] == 0 && head[3] == 0 && length <= sizeof line);
        assert_int_equal(fread(line, 1, length, file), length);
        assert_int_equal(syslog_read(slice_of(line, length), &message), 0);
        assert_int_equal(message.severity, 6);
        assert_int_equal(
            access_json_read(&fixture->json, message.body, NOW_NS, &fixture->entry, &fixture->field),
            ACCESS_JSON_OK);
        assert_true(fixture->entry.start_unix_ns > 1600000000000u * MS);
        assert_true(fixture->entry.duration_ns < 5000 * MS);
        assert_true(fixture->entry.response_code < 600);
        expected_codes[fixture->entry.response_code]++;
    }
    assert_int_equal(fclose(file), 0);
}

static void test_recorded_lines(void **state)
{
    struct fixture *fixture = *state;
    unsigned nginx[600] = {0};
    unsigned haproxy[600] = {0};

    begin(fixture, ACCESS_PRESET_NGINX);
    read_corpus(fixture, "nginx.datagrams", nginx);
    assert_true(nginx[200] > 0 && nginx[404] > 0 && nginx[502] > 0 && nginx[504] > 0);
    assert_int_equal(nginx[499], 2);
    access_json_deinit(&fixture->json);
    begin(fixture, ACCESS_PRESET_HAPROXY);
    read_corpus(fixture, "haproxy.datagrams", haproxy);
    assert_true(haproxy[200] > 0 && haproxy[403] > 0 && haproxy[503] > 0 && haproxy[504] > 0);
    assert_int_equal(haproxy[0], 3); /* two clients that left, and a connection that asked for nothing */
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(access_field_name(ACCESS_FIELD_upstream_status), "upstream_status");
    assert_string_equal(access_preset_key(ACCESS_PRESET_NGINX, ACCESS_FIELD_duration_s), "request_time");
    assert_string_equal(access_preset_key(ACCESS_PRESET_HAPROXY, ACCESS_FIELD_upstream), "backend");
    assert_string_equal(access_preset_key(ACCESS_PRESET_JSON, ACCESS_FIELD_upstream), "upstream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_line_of_nginx, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attempts_and_flags_of_nginx, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_nginx_answers_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lines_of_haproxy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_request_at_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids_and_escapes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_map_of_ones_own, setup, teardown),
        cmocka_unit_test_setup_teardown(test_any_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recorded_lines, setup, teardown),
        cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* `trace`: its defaults, all keys, and what is refused before anything starts. */
#include "cmocka_all.h"

#include <stdio.h>

#include "loading.h"
#include "temporary.h"

#define TOKEN "0123456789abcdef"

static void defaults(void **state)
{
    struct config *config = load("", no_environment);
    const struct config_trace *trace = &config->trace;

    (void)state;
    assert_int_equal(trace->export, CONFIG_TRACE_EXPORT_KEPT);
    assert_false(trace->compress);
    assert_true(trace->slow_ms == 1000 && trace->slow_factor == 4 && trace->slow_for_series_min_ms == 10);
    assert_true(trace->rare_count == 5 && trace->baseline_parts == 1000000);
    assert_true(trace->rate_per_s == 100 && trace->linger_ms == 30000);
    assert_int_equal(trace->exemplar_retention_s, 900);
    assert_int_equal(trace->peers.count, 0);
    assert_null(trace->peer_token);
    assert_null(trace->peer_tls.cert_file);
    config_free(config);
}

static void all_keys(void **state)
{
    struct temporary directory;
    char token[512];
    char certificate[512];
    char text[4096];

    (void)state;
    temporary_init(&directory);
    temporary_write(&directory, "token", TOKEN "\n", token);
    temporary_write(&directory, "agent.pem", "any", certificate);
    (void)snprintf(text, sizeof text,
        "trace:\n  export: all\n  compress: true\n  slow_ms: 0\n  slow_factor: 10\n  slow_for_series_min_ms: "
        "1\n  rare_count: "
        "0\n"
        "  baseline: 1\n  rate_per_s: 7\n  linger_ms: 100\n  peers: [https://node-2:9464, "
        "\"http://[fd00::3]:9464/\"]\n"
        "  peer_token_file: %s\n  peer_tls:\n    ca_file: %s\n    cert_file: %s\n    key_file: %s\n"
        "    server_name: weft\n",
        token, certificate, certificate, certificate);
    struct config *config = load(text, no_environment);
    const struct config_trace *trace = &config->trace;

    assert_int_equal(trace->export, CONFIG_TRACE_EXPORT_ALL);
    assert_true(trace->compress);
    assert_true(trace->slow_ms == 0 && trace->slow_factor == 10 && trace->slow_for_series_min_ms == 1);
    assert_true(trace->rare_count == 0 && trace->baseline_parts == 1000000000);
    assert_true(trace->rate_per_s == 7 && trace->linger_ms == 100);
    assert_int_equal(trace->peers.count, 2);
    assert_string_equal(trace->peers.items[1], "http://[fd00::3]:9464/");
    assert_string_equal(trace->peer_token, TOKEN); /* without the line's end */
    assert_string_equal(trace->peer_tls.key_file, certificate);
    assert_string_equal(trace->peer_tls.server_name, "weft");
    config_free(config);
    temporary_deinit(&directory);
}

static void loopback_needs_nothing_else(void **state)
{
    struct config *config = load("trace:\n  peers: [http://127.0.0.1:9465, \"http://[::1]:9466\", "
                                 "http://localhost:9467, http://127.8.0.1]\n",
        no_environment);

    (void)state;
    assert_int_equal(config->trace.peers.count, 4);
    config_free(config);
}

static void bad_ones_name_their_key(void **state)
{
    static const struct {
        const char *text;
        const char *key;
        const char *said;
    } rows[] = {
        {"trace:\n  export: some\n", "trace.export", "kept, all"},
        {"trace:\n  slow_ms: -1\n", "trace.slow_ms", "0 to 3600000"},
        {"trace:\n  slow_factor: 1001\n", "trace.slow_factor", "0 to 1000"},
        {"trace:\n  rare_count: 256\n", "trace.rare_count", "0 to 255"},
        {"trace:\n  baseline: 1.5\n", "trace.baseline", "a number from 0 to 1"},
        {"trace:\n  baseline: 1e-3\n", "trace.baseline", "a number from 0 to 1"},
        {"trace:\n  rate_per_s: 100001\n", "trace.rate_per_s", "0 to 100000"},
        {"trace:\n  linger_ms: 99\n", "trace.linger_ms", "100 to 3600000"},
        {"trace:\n  exemplar_retention_s: 0\n", "trace.exemplar_retention_s", "1 to 86400"},
        {"trace:\n  peers: [\"\"]\n", "trace.peers[0]", "1 to 1024 bytes"},
        {"trace:\n  peers: [node-2:9464]\n", "trace.peers[0]", "http://HOST:PORT"},
        {"trace:\n  peers: [\"http://127.0.0.1:1/api\"]\n", "trace.peers[0]", "http://HOST:PORT"},
        {"trace:\n  peers: [\"http://127.0.0.1:1?a\"]\n", "trace.peers[0]", "http://HOST:PORT"},
        {"trace:\n  peers: [\"http://u:p@127.0.0.1\"]\n", "trace.peers[0]", "http://HOST:PORT"},
        {"trace:\n  peers: [\"http://[]:1\"]\n", "trace.peers[0]", "http://HOST:PORT"},
        {"trace:\n  peers: [\"http://:1\"]\n", "trace.peers[0]", "http://HOST:PORT"},
        {"trace:\n  peers: [http://127.0.0.1:1, http://127.0.0.1:1]\n", "trace.peers[1]", "once"},
        {"trace:\n  peers: [http://10.0.0.7:9464]\n", "trace.peers[0]", "not loopback"},
        {"trace:\n  peers: [\"https://[fd00::1]:9464\"]\n", "trace.peers[0]", "not loopback"},
        {"trace:\n  peers: [http://127.0.0.1.example:9464]\n", "trace.peers[0]", "not loopback"},
        {"trace:\n  peer_token_file: /nonexistent\n", "trace.peer_token_file", "cannot read"},
        {"trace:\n  peer_tls:\n    insecure_skip_verify: maybe\n", "trace.peer_tls.insecure_skip_verify",
            "true"},
        {"trace:\n  slow: 1\n", "trace.slow", "unknown"},
        {"limits:\n  trace_ring_bytes: 0\n", "limits.trace_ring_bytes", "trace.export: all"},
        {"limits:\n  trace_ring_bytes: 1048575\n", "limits.trace_ring_bytes", "at least 262144 for each"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool is_deeper = strstr(rows[i].text, "insecure") != NULL;
        const char *cannot_read = strstr(rows[i].said, "cannot read");
        struct config_source source = {.path = "w.yaml", .environment = no_environment, .is_root = true};
        struct config_error error;
        struct config *config = NULL;

        if (cannot_read == NULL) {
            expect_error_with(rows[i].text, no_environment, is_deeper ? 3 : 2, rows[i].key, rows[i].said);
            continue;
        }
        assert_int_equal(
            config_load_text(&source, rows[i].text, strlen(rows[i].text), &config, &error), WERR_IO);
        assert_non_null(strstr(error.text, rows[i].key));
    }
}

static void a_ring_is_needed_where_kept_traces_leave(void **state)
{
    (void)state;
    config_free(load("limits:\n  trace_ring_bytes: 0\ntrace:\n  export: all\n", no_environment));
    config_free(load("shards: 2\nlimits:\n  trace_ring_bytes: 524288\n", no_environment));
    config_free(load("limits:\n  trace_ring_bytes: 1048576\n", no_environment));
    expect_error("shards: 8\nlimits:\n  trace_ring_bytes: 1048576\n", 3, "limits.trace_ring_bytes", "each");
}

static void expect_token_error(const char *token)
{
    struct temporary directory;
    char path[512];
    char text[1024];

    temporary_init(&directory);
    temporary_write(&directory, "token", token, path);
    (void)snprintf(text, sizeof text, "trace:\n  peer_token_file: %s\n", path);
    expect_error_with(text, no_environment, 2, "trace.peer_token_file", "at least 16");
    temporary_deinit(&directory);
}

/* It stands in a header: no spaces, no line breaks; and nobody may guess it. The error never shows it. */
static void bad_tokens(void **state)
{
    (void)state;
    expect_token_error("");
    expect_token_error("short");
    expect_token_error("0123456789 abcdef");
    expect_token_error("0123456789abcdef\nx: y");
    expect_token_error("0123456789abcdef\xc3\xa9");
}

static void too_many_peers(void **state)
{
    char text[8192] = "trace:\n  peers:\n";

    (void)state;
    for (int i = 0; i <= CONFIG_PEER_COUNT_MAX; i++) {
        size_t length = strlen(text);

        (void)snprintf(text + length, sizeof text - length, "    - http://127.0.0.1:%d\n", 10000 + i);
    }
    expect_error_with(text, no_environment, 2, "trace.peers", "at most 64");
}

static void certificate_without_key(void **state)
{
    struct temporary directory;
    char path[512];
    char text[1024];

    (void)state;
    temporary_init(&directory);
    temporary_write(&directory, "agent.pem", "any", path);
    (void)snprintf(text, sizeof text, "trace:\n  peer_tls:\n    cert_file: %s\n", path);
    expect_error_with(text, no_environment, 2, "trace.peer_tls", "together");
    temporary_deinit(&directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(all_keys),
        cmocka_unit_test(loopback_needs_nothing_else),
        cmocka_unit_test(bad_ones_name_their_key),
        cmocka_unit_test(a_ring_is_needed_where_kept_traces_leave),
        cmocka_unit_test(bad_tokens),
        cmocka_unit_test(too_many_peers),
        cmocka_unit_test(certificate_without_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

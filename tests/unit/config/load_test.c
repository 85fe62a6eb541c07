/* Loading: defaults, every kind of key, expansion, secrets, and what each fault says. */
#include "cmocka_all.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "histogram/bounds.h"
#include "loading.h"
#include "temporary.h"

#define OTLP "exporters:\n  otlp:\n    - name: a\n      endpoint: http://h:4317\n"

static void test_defaults(void **state)
{
    struct config *config = load("", no_environment);
    struct limits limits;

    (void)state;
    assert_string_equal(config->socket.path, "/run/weft/weft.sock");
    assert_int_equal(config->socket.mode, 0660);
    assert_int_equal(config->socket.directory_mode, 0750);
    assert_null(config->socket.group);
    assert_int_equal(config->socket.gid, (gid_t)-1);
    assert_true(config->api_socket.enabled);
    assert_string_equal(config->api_socket.path, "/run/weft/api.sock");
    assert_string_equal(config->http.address, "127.0.0.1:9464");
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&config->http.sockaddr;
    assert_int_equal(v4->sin_family, AF_INET);
    assert_int_equal(ntohs(v4->sin_port), 9464);
    assert_int_equal(ntohl(v4->sin_addr.s_addr), INADDR_LOOPBACK);
    assert_int_equal(config->http.sockaddr_bytes, sizeof *v4);
    assert_int_equal(config->shards, 0);
    assert_string_equal(config->cluster, "");
    assert_int_equal(config->log.level, LOG_LEVEL_INFO);
    assert_int_equal(config->log.format, LOG_FORMAT_LOGFMT);
    limits_init(&limits);
    assert_memory_equal(&config->limits, &limits, sizeof limits);
    assert_int_equal(config->metrics.bounds_ns.count, 16);
    assert_int_equal(config->metrics.bounds_ns.items[0], 500000);
    assert_true(config->metrics.bounds_ns.items[15] == 60000000000ull);
    assert_int_equal(config->metrics.native_schema, 3);
    assert_true(config->metrics.classic);
    assert_int_equal(config->redact.attributes.count, 5);
    assert_int_equal(config->exporters.otlp.count, 0);
    assert_int_equal(config->warnings.count, 0);
    config_free(config);
    config_free(NULL);
}

static void test_values(void **state)
{
    struct config *config = load("socket:\n"
                                 "  path: /tmp/s.sock\n"
                                 "  mode: 0600\n"
                                 "  directory_mode: \"0o700\"\n"
                                 "  group: root\n"
                                 "api_socket: {enabled: false, group: 1234}\n"
                                 "http: {address: \"[::1]:80\"}\n"
                                 "shards: 3\n"
                                 "cluster: north\n"
                                 "log: {level: debug, format: json}\n"
                                 "limits: {drain_ms: 0, series_count_max: 100}\n"
                                 "metrics: {bounds_ms: [1, 2.5], native_schema: -4, classic: no}\n"
                                 "redact: {attributes: []}\n",
        no_environment);

    (void)state;
    assert_string_equal(config->socket.path, "/tmp/s.sock");
    assert_int_equal(config->socket.mode, 0600);
    assert_int_equal(config->socket.directory_mode, 0700);
    assert_int_equal(config->socket.gid, 0);
    assert_false(config->api_socket.enabled);
    assert_null(config->api_socket.path);
    assert_int_equal(config->api_socket.gid, 1234);
    assert_int_equal(config->http.sockaddr.ss_family, AF_INET6);
    assert_int_equal(config->shards, 3);
    assert_string_equal(config->cluster, "north");
    assert_int_equal(config->log.level, LOG_LEVEL_DEBUG);
    assert_int_equal(config->log.format, LOG_FORMAT_JSON);
    assert_int_equal(config->limits.drain_ms, 0);
    assert_int_equal(config->limits.series_count_max, 100);
    assert_int_equal(config->limits.strings_count_max, 262144);
    assert_int_equal(config->metrics.bounds_ns.count, 2);
    assert_int_equal(config->metrics.bounds_ns.items[1], 2500000);
    assert_int_equal(config->metrics.native_schema, -4);
    assert_false(config->metrics.classic);
    assert_int_equal(config->redact.attributes.count, 0);
    config_free(config);
}

static void test_empty_keys_keep_defaults(void **state)
{
    struct config *config =
        load("socket:\nlog:\n  level:\nmetrics: {bounds_ms: }\nexporters:\n  otlp:\n", no_environment);

    (void)state;
    assert_string_equal(config->socket.path, "/run/weft/weft.sock");
    assert_int_equal(config->log.level, LOG_LEVEL_INFO);
    assert_int_equal(config->metrics.bounds_ns.count, 16);
    assert_int_equal(config->exporters.otlp.count, 0);
    config_free(config);
}

static void test_otlp(void **state)
{
    struct config *config = load("exporters:\n"
                                 "  otlp:\n"
                                 "    - name: a\n"
                                 "      endpoint: https://h:4317\n"
                                 "    - name: b\n"
                                 "      protocol: http/protobuf\n"
                                 "      endpoint: http://h:4318/base/\n"
                                 "      metrics_endpoint: http://m/x\n"
                                 "      headers: [{name: X-Tenant, value: t}]\n"
                                 "      compression: zstd\n"
                                 "      timeout_ms: 5\n"
                                 "      queue: {bytes_max: 1048576}\n"
                                 "      batch: {count_max: 1, bytes_max: 4096, delay_ms: 9}\n"
                                 "      metrics: {interval_s: 1, temporality: delta, histograms: explicit}\n"
                                 "      tls: {server_name: s, insecure_skip_verify: true}\n"
                                 "    - name: c\n"
                                 "      endpoint: http://h:4317\n"
                                 "      signals: [metrics]\n",
        no_environment);
    const struct config_otlp *items = config->exporters.otlp.items;

    (void)state;
    assert_int_equal(config->exporters.otlp.count, 3);
    assert_int_equal(items[0].protocol, CONFIG_PROTOCOL_GRPC);
    assert_int_equal(items[0].signals, 3);
    assert_string_equal(items[0].url[CONFIG_SIGNAL_TRACES], "https://h:4317");
    assert_string_equal(items[0].url[CONFIG_SIGNAL_METRICS], "https://h:4317");
    assert_int_equal(items[0].compression, CONFIG_COMPRESSION_GZIP);
    assert_int_equal(items[0].timeout_ms, 10000);
    assert_int_equal(items[0].queue.bytes_max, 67108864);
    assert_int_equal(items[0].batch.count_max, 8192);
    assert_int_equal(items[0].metrics.interval_s, 60);
    assert_false(items[0].tls.insecure_skip_verify);
    assert_int_equal(items[1].protocol, CONFIG_PROTOCOL_HTTP_PROTOBUF);
    assert_string_equal(items[1].url[CONFIG_SIGNAL_TRACES], "http://h:4318/base/v1/traces");
    assert_string_equal(items[1].url[CONFIG_SIGNAL_METRICS], "http://m/x");
    assert_int_equal(items[1].headers.count, 1);
    assert_string_equal(items[1].headers.items[0].name, "x-tenant");
    assert_string_equal(items[1].headers.items[0].value, "t");
    assert_int_equal(items[1].compression, CONFIG_COMPRESSION_ZSTD);
    assert_int_equal(items[1].timeout_ms, 5);
    assert_int_equal(items[1].batch.delay_ms, 9);
    assert_int_equal(items[1].metrics.temporality, CONFIG_TEMPORALITY_DELTA);
    assert_int_equal(items[1].metrics.histograms, CONFIG_HISTOGRAMS_EXPLICIT);
    assert_true(items[1].tls.insecure_skip_verify);
    assert_null(items[2].url[CONFIG_SIGNAL_TRACES]);
    assert_int_equal(items[2].signals, 1u << CONFIG_SIGNAL_METRICS);
    config_free(config);
}

static void test_hosts_and_sockets(void **state)
{
    static const char text[] = "http: {hosts: [metrics.example.com, node-7]}\n"
                               "exporters:\n  otlp:\n    - name: a\n      endpoint: unix:/run/otel.sock\n";
    struct config *config = load(text, no_environment);

    (void)state;
    assert_int_equal(config->http.hosts.count, 2);
    assert_string_equal(config->http.hosts.items[1], "node-7");
    assert_string_equal(config->exporters.otlp.items[0].url[CONFIG_SIGNAL_TRACES], "unix:/run/otel.sock");
    config_free(config);
    expect_error(
        "exporters:\n  otlp:\n    - name: a\n      protocol: http/protobuf\n      endpoint: unix:/x\n", 5,
        "endpoint", "http://");
}

static void test_expansion(void **state)
{
    static const char *const environment[] = {
        "SHARDS=2", "LEVEL=warn", "INJECT=x\nlog: {level: error}", NULL};
    struct config *config = load("shards: ${SHARDS}\n"
                                 "log: {level: \"${LEVEL:-info}\", format: \"${FORMAT:-json}\"}\n"
                                 "cluster: ${INJECT}$$\n"
                                 "metrics: {bounds_ms: [\"${LOW:-1}\", 2]}\n",
        environment);

    (void)state;
    assert_int_equal(config->shards, 2);
    assert_int_equal(config->log.level, LOG_LEVEL_WARN);
    assert_int_equal(config->log.format, LOG_FORMAT_JSON);
    assert_string_equal(config->cluster, "x\nlog: {level: error}$");
    assert_int_equal(config->metrics.bounds_ns.items[0], 1000000);
    config_free(config);
    expect_error_with("\nshards: ${NOT_SET}\n", environment, 2, "shards", "NOT_SET is not set");
    expect_error_with("shards: ${LEVEL}\n", environment, 1, "shards", "got \"warn\"");
    expect_error_with("cluster: a${oops\n", environment, 1, "cluster", "${NAME:-default}");
}

static void test_secret_files(void **state)
{
    struct temporary temporary;
    char path[512];
    char text[1024];

    (void)state;
    temporary_init(&temporary);
    temporary_write(&temporary, "token", "Bearer s3cret\n", path);
    (void)snprintf(text, sizeof text, OTLP "      headers: [{name: authorization, value_file: %s}]\n", path);
    struct config *config = load(text, no_environment);
    assert_string_equal(config->exporters.otlp.items[0].headers.items[0].value, "Bearer s3cret");
    config_free(config);

    /* One newline is an editor's, a second one is the secret's, and no header's. */
    temporary_write(&temporary, "token", "a\n\n", NULL);
    expect_error(text, 5, "headers[0]", "control characters");
    temporary_deinit(&temporary);
}

static void test_secret_file_faults(void **state)
{
    struct temporary temporary;
    struct config_source source = {.path = "w.yaml", .is_root = true};
    struct config_error error;
    struct config *config = NULL;
    char path[512];
    char text[1024];

    (void)state;
    temporary_init(&temporary);
    temporary_write(&temporary, "token", "line\nline\x01\n", path);
    (void)snprintf(
        text, sizeof text, OTLP "      headers:\n        - name: x\n          value_file: %s\n", path);
    expect_error(text, 6, "headers[0]", "control characters");
    (void)snprintf(
        text, sizeof text, OTLP "      headers:\n        - {name: x, value: v, value_file: %s}\n", path);
    expect_error(text, 6, "headers[0].value_file", "excludes");
    (void)snprintf(text, sizeof text, OTLP "      headers:\n        - {name: x, value_file: %s-not}\n", path);
    assert_int_equal(config_load_text(&source, text, strlen(text), &config, &error), WERR_IO);
    assert_non_null(strstr(error.text, "w.yaml:6: exporters.otlp[0].headers[0].value_file: cannot read"));
    assert_null(config);
    char *large = malloc(CONFIG_SECRET_BYTES_MAX + 2);
    assert_non_null(large);
    memset(large, 'a', CONFIG_SECRET_BYTES_MAX + 1);
    large[CONFIG_SECRET_BYTES_MAX + 1] = '\0';
    temporary_write(&temporary, "token", large, path);
    free(large);
    (void)snprintf(text, sizeof text, OTLP "      headers:\n        - {name: x, value_file: %s}\n", path);
    expect_error(text, 6, "value_file", "at most 65536 bytes");
    temporary_deinit(&temporary);
}

/* A secret that is refused must not be in the error. */
static void test_errors_hide_secrets(void **state)
{
    static const char *const environment[] = {"TOKEN=s3cret\x01", NULL};
    struct config_source source = {.path = "w.yaml", .environment = environment, .is_root = true};
    const char *text = OTLP "      headers: [{name: x, value: \"${TOKEN}\"}]\n";
    struct config_error error;
    struct config *config = NULL;

    (void)state;
    assert_int_equal(config_load_text(&source, text, strlen(text), &config, &error), WERR_CONFIG);
    assert_null(strstr(error.text, "s3cret"));
}

static void test_unknown_keys_and_shapes(void **state)
{
    (void)state;
    expect_error("\n\nsockets: {}\n", 3, "sockets: unknown key", "socket, api_socket, http");
    expect_error("socket:\n  path: x\n\n  mod: 3\n", 4, "socket.mod: unknown key",
        "path, mode, directory_mode, group");
    expect_error("limits:\n  no_such: 3\n", 2, "limits.no_such: unknown key", "connections_count_max");
    expect_error(OTLP "      tls:\n        ca: x\n", 6, "exporters.otlp[0].tls.ca: unknown key", "ca_file");
    expect_error("socket: 3\n", 1, "socket", "expected a mapping, got a single value");
    expect_error("shards: [1]\n", 1, "shards", "expected a single value, got a list");
    expect_error("redact:\n  attributes: a\n", 2, "redact.attributes", "expected a list");
    expect_error("redact:\n  attributes:\n    - a\n    - {b: c}\n", 4, "redact.attributes[1]",
        "expected a single value");
    expect_error("exporters:\n  otlp: {name: a}\n", 2, "exporters.otlp", "expected a list, got a mapping");
    expect_error("exporters:\n  otlp:\n    - a\n", 3, "exporters.otlp[0]", "expected a mapping");
    expect_error("- a\n", 1, "", "expected a mapping, got a list");
    expect_error("text\n", 1, "", "expected a mapping");
    expect_error("socket.path: x\n", 1, "socket.path", "");
}

static void test_not_yaml(void **state)
{
    (void)state;
    expect_error("socket:\n  path: \"x\n", 3, "not valid YAML", "");
    expect_error("a: b: c\n", 1, "not valid YAML", "");
    expect_error("shards: 1\nshards: 2\n", 2, "shards", "given twice");
    expect_error("log: {level: info}\nlog: {level: info}\n", 2, "log", "given twice");
    expect_error("a: &x 1\nb: *x\n", 2, "", "aliases");
    expect_error("shards: 1\n---\nshards: 2\n", 2, "", "second document");
    expect_error("? [a]\n: b\n", 1, "", "expected a key");
    expect_error("[[[[[[[[[[[[]]]]]]]]]]]]\n", 1, "", "nested deeper");
    expect_error("shards: 1\ncluster: \xff\xfe\n", 2, "not valid YAML", "");
    expect_error("cluster: \"a\\0b\"\n", 1, "cluster", "NUL");
    expect_error("\tshards: 1\n", 1, "not valid YAML", "");
}

static void test_bad_values(void **state)
{
    (void)state;
    expect_error("shards: many\n", 1, "shards", "expected an integer from 0 to 64, got \"many\"");
    expect_error("shards: 65\n", 1, "shards", "from 0 to 64");
    expect_error("log:\n  level: loud\n", 2, "log.level", "one of debug, info, warn, error, got \"loud\"");
    expect_error("socket: {mode: 999}\n", 1, "socket.mode", "octal");
    expect_error("metrics: {classic: maybe}\n", 1, "metrics.classic", "true or false");
    expect_error("metrics: {native_schema: 6}\n", 1, "metrics.native_schema", "from -4 to 5");
    expect_error(
        "metrics:\n  bounds_ms:\n    - 1\n    - 1\n", 4, "metrics.bounds_ms[1]", "each above the one before");
    expect_error(
        "limits:\n  nesting_depth_max: 101\n", 2, "limits.nesting_depth_max", "from 4 to 100, got \"101\"");
    expect_error(
        "limits: {message_bytes_max: 1073741824}\n", 1, "limits.message_bytes_max", "assembly_bytes_max");
    expect_error(
        "limits: {assembly_bytes_max: 65536}\n", 1, "limits.assembly_bytes_max", "message_bytes_max");
    expect_error("socket: {group: no-such-group-here}\n", 1, "socket.group", "no group");
    expect_error("http: {address: example.org:80}\n", 1, "http.address", "ADDRESS:PORT");
    expect_error("http: {address: 127.0.0.1}\n", 1, "http.address", "ADDRESS:PORT");
    expect_error("http: {address: 127.0.0.1:65536}\n", 1, "http.address", "ADDRESS:PORT");
    expect_error("http: {address: \"::1:80\"}\n", 1, "http.address", "ADDRESS:PORT");
    expect_error("http: {address: \"[]:80\"}\n", 1, "http.address", "ADDRESS:PORT");
    expect_error(
        "socket: {path: /tmp/a}\napi_socket: {path: /tmp/a}\n", 2, "api_socket.path", "another path");
    char text[256] = "socket:\n  path: /";
    memset(text + strlen(text), 'a', 120);
    expect_error(text, 2, "socket.path", "1 to 107 bytes");
}

static void test_bad_otlp(void **state)
{
    (void)state;
    expect_error("exporters:\n  otlp:\n    - endpoint: http://h\n", 3, "name", "letters");
    expect_error("exporters:\n  otlp:\n    - name: a b\n", 3, "name", "letters");
    expect_error("exporters:\n  otlp:\n    - name: a\n", 3, "endpoint", "http://HOST");
    expect_error(
        "exporters:\n  otlp:\n    - name: a\n      endpoint: h:4317\n", 4, "endpoint", "http://HOST");
    expect_error(
        "exporters:\n  otlp:\n    - name: a\n      endpoint: http:///x\n", 4, "endpoint", "http://HOST");
    expect_error(
        "exporters:\n  otlp:\n    - name: a\n      endpoint: \"http://h h\"\n", 4, "endpoint", "http://HOST");
    expect_error(OTLP "    - name: a\n      endpoint: http://h\n", 5, "exporters.otlp[1].name", "no other");
    expect_error(OTLP "      protocol: http/json\n", 5, "protocol", "one of grpc, http/protobuf");
    expect_error(OTLP "      signals: []\n", 5, "signals", "at least one");
    expect_error(OTLP "      signals: [traces, profiles]\n", 5, "signals[1]", "one of traces, metrics, logs");
    expect_error(OTLP "      signals: [traces, traces]\n", 5, "signals[1]", "one of");
    expect_error(OTLP "      traces_endpoint: http://h/x\n", 5, "traces_endpoint", "http/protobuf only");
    expect_error(OTLP "      headers:\n        - name: x\n", 6, "headers[0]", "value_file");
    expect_error(OTLP "      headers:\n        - value: x\n", 6, "headers[0]", "name");
    expect_error(OTLP "      headers: [{name: \"a b\", value: x}]\n", 5, "headers[0]", "header name");
    expect_error(OTLP "      headers: [{name: \":path\", value: x}]\n", 5, "headers[0]", "header name");
    expect_error(
        OTLP "      headers: [{name: Content-Type, value: x}]\n", 5, "headers[0]", "does not set itself");
    expect_error(
        OTLP "      headers: [{name: grpc-timeout, value: x}]\n", 5, "headers[0]", "does not set itself");
    expect_error(OTLP "      headers: [{name: a, value: \"x\\r\\ny: z\"}]\n", 5, "headers[0]", "control");
    expect_error(OTLP "      tls: {ca_file: /no/such/file}\n", 5, "tls.ca_file", "readable file");
    expect_error(OTLP "      tls: {cert_file: /dev/null}\n", 5, "tls", "together");
    expect_error(OTLP "      queue: {bytes_max: 1048576}\n", 3, "batch.bytes_max", "at most queue.bytes_max");
    expect_error(OTLP "      timeout_ms: 0\n", 5, "timeout_ms", "from 1 to 600000");
}

/* What start would refuse is refused here. */
static void test_counts(void **state)
{
    char text[16384];
    int length = snprintf(text, sizeof text, "metrics:\n  bounds_ms: [1");

    (void)state;
    _Static_assert((int)CONFIG_BOUNDS_COUNT_MAX == (int)BOUNDS_COUNT_MAX, "as many as histograms can hold");
    for (int i = 2; i <= CONFIG_BOUNDS_COUNT_MAX; i++) {
        length += snprintf(text + length, sizeof text - (size_t)length, ", %d", i);
    }
    (void)snprintf(text + length, sizeof text - (size_t)length, "]\n");
    config_free(load(text, no_environment));
    (void)snprintf(text + length, sizeof text - (size_t)length, ", 97]\n");
    expect_error(text, 2, "metrics.bounds_ms", "at most 96 bounds, got 97");

    length = snprintf(text, sizeof text, "exporters:\n  otlp:\n");
    for (int i = 0; i <= CONFIG_OTLP_COUNT_MAX; i++) {
        if (i == CONFIG_OTLP_COUNT_MAX) {
            config_free(load(text, no_environment));
        }
        length += snprintf(text + length, sizeof text - (size_t)length,
            "    - {name: d%d, endpoint: \"http://127.0.0.1:1\"}\n", i);
    }
    expect_error(text, 2, "exporters.otlp", "at most 16 destinations, got 17");
}

static void test_options_and_places(void **state)
{
    static const char *const runtime[] = {"XDG_RUNTIME_DIR=/run/user/7", NULL};
    struct config_source source = {.environment = runtime};
    struct config_error error;
    struct config *config = NULL;

    (void)state;
    assert_int_equal(config_load(&source, &config, &error), 0);
    assert_string_equal(config->socket.path, "/run/user/7/weft/weft.sock");
    assert_string_equal(config->api_socket.path, "/run/user/7/weft/api.sock");
    config_free(config);
    config = NULL;

    source.environment = no_environment;
    assert_int_equal(config_load(&source, &config, &error), WERR_CONFIG);
    assert_non_null(strstr(error.text, "socket.path"));
    assert_null(config);

    source.socket_path = "/tmp/x/s.sock";
    source.http_address = "localhost:0";
    source.shards = "2";
    assert_int_equal(config_load(&source, &config, &error), 0);
    assert_string_equal(config->socket.path, "/tmp/x/s.sock");
    assert_string_equal(config->api_socket.path, "/tmp/x/api.sock");
    assert_int_equal(((const struct sockaddr_in *)&config->http.sockaddr)->sin_port, 0);
    assert_string_equal(config->http.address, "127.0.0.1:0"); /* nothing after this resolves names */
    assert_int_equal(config->shards, 2);
    config_free(config);
    config = NULL;

    source.http_address = "nowhere";
    assert_int_equal(config_load(&source, &config, &error), WERR_CONFIG);
    assert_non_null(strstr(error.text, "--http: expected"));
    source.http_address = NULL;
    source.shards = "-1";
    assert_int_equal(config_load(&source, &config, &error), WERR_CONFIG);
    assert_non_null(strstr(error.text, "--shards: expected"));
    source.shards = NULL;
    source.socket_path = "";
    assert_int_equal(config_load(&source, &config, &error), WERR_CONFIG);
    assert_non_null(strstr(error.text, "--socket: expected"));
    assert_null(config);
}

static void test_files(void **state)
{
    struct temporary temporary;
    struct config_source source = {.environment = no_environment, .is_root = true};
    struct config_error error;
    struct config *config = NULL;
    char path[512];
    char expected[600];

    (void)state;
    temporary_init(&temporary);
    temporary_write(&temporary, "w.yaml", "shards: 7\n", path);
    source.path = path;
    assert_int_equal(config_load(&source, &config, &error), 0);
    assert_int_equal(config->shards, 7);
    config_free(config);
    config = NULL;
    temporary_write(&temporary, "w.yaml", "\nshards: x\n", path);
    assert_int_equal(config_load(&source, &config, &error), WERR_CONFIG);
    (void)snprintf(expected, sizeof expected, "%s:2: shards: expected", path);
    assert_int_equal(strncmp(error.text, expected, strlen(expected)), 0);
    source.path = temporary.path; /* a directory */
    assert_int_equal(config_load(&source, &config, &error), WERR_IO);
    source.path = "/no/such/weft.yaml";
    assert_int_equal(config_load(&source, &config, &error), WERR_IO);
    assert_non_null(strstr(error.text, "/no/such/weft.yaml: cannot be read: No such file"));
    assert_null(config);
    temporary_deinit(&temporary);
}

static void test_too_large(void **state)
{
    struct config_source source = {.path = "w.yaml", .environment = no_environment, .is_root = true};
    struct config_error error;
    struct config *config = NULL;
    char *text = malloc(CONFIG_FILE_BYTES_MAX + 1);
    size_t length;

    (void)state;
    assert_non_null(text);
    memset(text, '#', CONFIG_FILE_BYTES_MAX + 1);
    assert_int_equal(
        config_load_text(&source, text, CONFIG_FILE_BYTES_MAX + 1, &config, &error), WERR_CONFIG);
    assert_non_null(strstr(error.text, "larger than"));
    length = (size_t)snprintf(text, 64, "redact:\n  attributes:\n");
    for (int i = 0; i <= CONFIG_LIST_COUNT_MAX; i++) {
        length += (size_t)snprintf(text + length, 64, "    - a%d\n", i);
    }
    assert_int_equal(config_load_text(&source, text, length, &config, &error), WERR_CONFIG);
    assert_non_null(strstr(error.text, "256"));
    assert_null(config);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_empty_keys_keep_defaults),
        cmocka_unit_test(test_otlp),
        cmocka_unit_test(test_hosts_and_sockets),
        cmocka_unit_test(test_expansion),
        cmocka_unit_test(test_secret_files),
        cmocka_unit_test(test_secret_file_faults),
        cmocka_unit_test(test_errors_hide_secrets),
        cmocka_unit_test(test_unknown_keys_and_shapes),
        cmocka_unit_test(test_not_yaml),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_bad_otlp),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_options_and_places),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

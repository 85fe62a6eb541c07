/* `receivers.otlp` and `receivers.metrics_service`: off unless a key says where; beyond loopback only with
 * TLS or a list of networks. `http`: beyond it only with TLS and proof of who asks. */
#include "cmocka_all.h"

#include <stdio.h>

#include "loading.h"

static void nothing_listens_by_default(void **state)
{
    struct config *config = load("", no_environment);

    (void)state;
    assert_null(config->receivers.otlp.grpc);
    assert_null(config->receivers.otlp.http);
    assert_null(config->receivers.otlp.cert_file);
    assert_int_equal(config->receivers.otlp.allow.count, 0);
    assert_int_equal(config->receivers.metrics_service.counters, CONFIG_COUNTERS_CUMULATIVE);
    config_free(config);
}

static void what_may_listen(void **state)
{
    static const char *const rows[] = {
        "grpc: 127.0.0.1:4317\n    http: 127.8.0.1:4318",
        "grpc: '[::1]:4317'",
        "grpc: '[::ffff:127.0.0.1]:4317'",
        "grpc: 127.0.0.1:0\n    http: 127.0.0.1:0",
        "grpc: 0.0.0.0:4317\n    allow: [10.0.0.0/8, 'fd00::/8', 192.0.2.7]",
        "grpc: '[::]:4317'\n    cert_file: /a\n    key_file: /b",
        "http: 10.0.0.1:4318\n    cert_file: /a\n    key_file: /b\n    client_ca_file: /c",
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(text, sizeof text, "receivers:\n  otlp:\n    %s\n", rows[i]);
        config_free(load(text, no_environment));
    }
    struct config *config = load("receivers:\n"
                                 "  metrics_service:\n"
                                 "    counters: delta\n"
                                 "  otlp:\n"
                                 "    grpc: 0.0.0.0:4317\n"
                                 "    allow: [10.0.0.0/8]\n",
        no_environment);

    assert_int_equal(config->receivers.metrics_service.counters, CONFIG_COUNTERS_DELTA);
    assert_string_equal(config->receivers.otlp.grpc, "0.0.0.0:4317");
    assert_int_equal(config->receivers.otlp.allow.count, 1);
    assert_string_equal(config->receivers.otlp.allow.items[0], "10.0.0.0/8");
    config_free(config);
}

static void what_may_not(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *key;
        const char *said;
    } rows[] = {
        {"grpc: 0.0.0.0:4317", 3, "receivers.otlp.grpc", "is not loopback"},
        {"http: '[::]:4318'", 3, "receivers.otlp.http", "is not loopback"},
        {"http: 10.0.0.1:4318", 3, "receivers.otlp.http", "is not loopback"},
        {"grpc: localhost:4317", 3, "receivers.otlp.grpc", "numeric address"},
        {"grpc: 127.0.0.1", 3, "receivers.otlp.grpc", "ADDRESS:PORT"},
        {"grpc: 127.0.0.1:70000", 3, "receivers.otlp.grpc", "ADDRESS:PORT"},
        {"grpc: '::1:4317'", 3, "receivers.otlp.grpc", "ADDRESS:PORT"},
        {"grpc: '[127.0.0.1]:4317'", 3, "receivers.otlp.grpc", "ADDRESS:PORT"},
        {"grpc: 127.0.0.1/8:4317", 3, "receivers.otlp.grpc", "ADDRESS:PORT"},
        {"grpc: 127.0.0.1:1\n    http: 127.0.0.1:1", 4, "receivers.otlp.http", "another address"},
        {"grpc: 0.0.0.0:1\n    cert_file: /a", 4, "receivers.otlp.cert_file", "together"},
        {"grpc: 0.0.0.0:1\n    key_file: /a", 4, "receivers.otlp.key_file", "together"},
        {"grpc: 127.0.0.1:1\n    client_ca_file: /a", 4, "receivers.otlp.client_ca_file", "only TLS"},
        {"grpc: 0.0.0.0:1\n    allow: [10.0.0.1/8]", 4, "receivers.otlp.allow", "10.0.0.1/8"},
        {"grpc: 0.0.0.0:1\n    allow: [10.0.0.0/8, shop]", 4, "receivers.otlp.allow", "shop"},
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(text, sizeof text, "receivers:\n  otlp:\n    %s\n", rows[i].text);
        expect_error_with(text, no_environment, rows[i].line, rows[i].key, rows[i].said);
    }
}

static void too_many_networks_are_refused(void **state)
{
    char text[4096] = "receivers:\n  otlp:\n    grpc: 0.0.0.0:1\n    allow: [";
    size_t length = strlen(text);

    (void)state;
    for (int i = 0; i < 65; i++) {
        length +=
            (size_t)snprintf(text + length, sizeof text - length, "%s10.0.%d.0/24", i > 0 ? ", " : "", i);
    }
    (void)snprintf(text + length, sizeof text - length, "]\n");
    expect_error_with(text, no_environment, 4, "receivers.otlp.allow", "at most 64");
}

static void what_may_answer_queries(void **state)
{
    static const char *const rows[] = {
        "http:\n  address: '[::1]:9464'\n",
        "http:\n  address: localhost:9464\n",
        "http:\n  address: 0.0.0.0:9464\n  insecure: true\n",
        "http: {address: 10.0.0.1:1, cert_file: /dev/null, key_file: /dev/null, client_ca_file: /dev/null}\n",
        "metrics_http:\n  address: '[::]:9465'\n",
        "metrics_http:\n  address: 0.0.0.0:1\n  cert_file: /dev/null\n  key_file: /dev/null\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        config_free(load(rows[i], no_environment));
    }
}

static void what_may_not_answer_queries(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *key;
        const char *said;
    } rows[] = {
        {"http:\n  address: 0.0.0.0:9464\n", 2, "http.address", "is not loopback"},
        {"http:\n  address: '[::]:1'\n  cert_file: /dev/null\n  key_file: /dev/null\n", 2, "http.address",
            "token_file or client_ca_file"},
        {"http:\n  cert_file: /dev/null\n", 2, "http.cert_file", "together"},
        {"http:\n  client_ca_file: /dev/null\n", 2, "http.client_ca_file", "only TLS"},
        {"http:\n  token_file: /dev/null\n", 2, "http.token_file", "at least 16 letters"},
        {"metrics_http:\n  address: localhost:1\n", 2, "metrics_http.address", "numeric address"},
        {"metrics_http:\n  address: 0.0.0.0:1\n  key_file: /dev/null\n", 3, "metrics_http.key_file",
            "together"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_error_with(rows[i].text, no_environment, rows[i].line, rows[i].key, rows[i].said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_listens_by_default),
        cmocka_unit_test(what_may_listen),
        cmocka_unit_test(what_may_not),
        cmocka_unit_test(too_many_networks_are_refused),
        cmocka_unit_test(what_may_answer_queries),
        cmocka_unit_test(what_may_not_answer_queries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
